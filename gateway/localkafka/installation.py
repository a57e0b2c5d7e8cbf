"""What the brokers' JVMs are started from."""

from dataclasses import dataclass
from pathlib import Path

from gateway.localkafka.artifacts import cache_directory, class_path
from gateway.localkafka.java import Java
from gateway.localkafka.storage import template_directory


@dataclass(frozen=True, slots=True)
class Installation:
    """`template` is a formatted storage; `archive_flags` make the JVM read, or write, a class data archive."""

    cache: Path
    java: Java
    class_path: str
    template: Path
    archive_flags: tuple[str, ...] = ()


def install(java: Java, cache_dir: Path | None) -> Installation:
    """Find everything in the user's cache, or put it there: the first time that needs Maven and takes some seconds."""
    cache = cache_directory(cache_dir)
    jars = class_path(cache)
    return Installation(cache, java, jars, template_directory(cache, java, jars))
