"""Kafka's jars from Maven, once per user.

Theory of operation. `pom.xml` beside this file says what is needed. The jars go to `<cache>/kafka-<version>/jars-<hash
of the pom>`, copied by Maven into a neighbouring directory that is then renamed: who sees the directory sees all of it.
A file lock lets one process do that while the others wait; the kernel drops the lock when its holder dies.
"""

import fcntl
import hashlib
import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.resources import files
from pathlib import Path

from gateway.localkafka.config import LocalKafkaError
from gateway.localkafka.external import run_to_end

MAVEN_DEADLINE_S = 600
"""45 MB: 7 s on a good line, minutes on a bad one."""


def pom() -> str:
    """The text of the pom."""
    return files("gateway.localkafka").joinpath("pom.xml").read_text()


def kafka_version() -> str:
    """The version the pom asks for; the Docker image has the same."""
    found = re.search(r"<kafka\.version>([^<]+)</kafka\.version>", pom())
    if found is None:
        raise LocalKafkaError("the pom of the local Kafka names no kafka.version")
    return found[1]


def cache_directory(chosen: Path | None) -> Path:
    """Where jars and what is derived from them are kept for this Kafka version."""
    if chosen is None:
        base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
        chosen = Path(base) / "sendguard"
    return chosen / f"kafka-{kafka_version()}"


def jars_directory(cache: Path) -> Path:
    """Where the jars are, if they are."""
    return cache / f"jars-{hashlib.sha256(pom().encode()).hexdigest()[:12]}"


@contextmanager
def cache_lock(cache: Path) -> Iterator[None]:
    """One process at a time changes the cache."""
    cache.mkdir(parents=True, exist_ok=True)
    with (cache / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def class_path(cache: Path) -> str:
    """The class path, after fetching the jars when they are not there. Always the same text for the same jars."""
    jars = jars_directory(cache)
    if not jars.is_dir():
        with cache_lock(cache):
            if not jars.is_dir():  # another process may have been faster
                _fetch(cache, jars)
    return os.pathsep.join(str(jar) for jar in sorted(jars.glob("*.jar")))


def _fetch(cache: Path, jars: Path) -> None:
    maven = shutil.which("mvn")
    if maven is None:
        raise LocalKafkaError("Kafka's jars are not in the cache and there is no `mvn` on PATH to fetch them")
    staging = cache / "staging"
    shutil.rmtree(staging, ignore_errors=True)  # of a process that died here
    staging.mkdir()
    (staging / "pom.xml").write_text(pom())
    run_to_end(
        f"Maven, asked for Kafka {kafka_version()},",
        [
            maven,
            "--batch-mode",
            "--quiet",
            "--strict-checksums",
            "--file",
            str(staging / "pom.xml"),
            "dependency:copy-dependencies",
            "-DincludeScope=runtime",
            f"-DoutputDirectory={staging / 'jars'}",
        ],
        MAVEN_DEADLINE_S,
    )
    (staging / "jars").rename(jars)
    shutil.rmtree(staging)
