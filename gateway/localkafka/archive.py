"""A class data archive: a JVM that maps Kafka's parsed classes from a file starts in about half the time.

Theory of operation. A JVM writes the archive when it ends in an orderly way (`-XX:ArchiveClassesAtExit`), so the first
use runs one broker until it is ready and stops it. The archive fits one build of Java and one class path: both are in
its name. It only saves time, so whatever goes wrong here means "no archive", and an empty file remembers that.
"""

import hashlib
from dataclasses import replace
from pathlib import Path

from gateway.localkafka.artifacts import cache_lock
from gateway.localkafka.config import LocalKafkaConfig, LocalKafkaError
from gateway.localkafka.installation import Installation
from gateway.localkafka.maven_cluster import MavenCluster

QUIET = ("-Xshare:auto", "-Xlog:disable", "-Xlog:all=error:stderr")
"""An archive the JVM cannot use, for whatever reason, is left unused without a word."""


def with_archive(installation: Installation) -> Installation:
    """The same installation with the flags that use its archive, which is made when it is not there."""
    archive = archive_file(installation)
    try:
        if not archive.exists():
            with cache_lock(installation.cache):
                if not archive.exists():
                    _make(archive, installation)
        usable = archive.stat().st_size > 0
    except OSError:  # say, a cache that is read-only
        usable = False
    if not usable:
        return installation
    return replace(installation, archive_flags=(f"-XX:SharedArchiveFile={archive}", *QUIET))


def archive_file(installation: Installation) -> Path:
    """Where the archive of this Java and class path is, if it is."""
    identity = f"{installation.java.executable}\n{installation.java.identity}\n{installation.class_path}"
    return installation.cache / f"classes-{hashlib.sha256(identity.encode()).hexdigest()[:12]}.jsa"


def _make(archive: Path, installation: Installation) -> None:
    fresh = archive.with_suffix(".staging")
    fresh.unlink(missing_ok=True)  # of a process that died here
    training = replace(installation, archive_flags=(f"-XX:ArchiveClassesAtExit={fresh}", *QUIET))
    try:
        _run_once(training)
    except LocalKafkaError:
        fresh.unlink(missing_ok=True)
    if not fresh.exists():
        fresh.touch()
    fresh.rename(archive)


def _run_once(training: Installation) -> None:
    cluster = MavenCluster(LocalKafkaConfig(), training)
    try:
        for broker in cluster.brokers:
            broker.start()
            broker.stop()
    finally:
        for broker in cluster.brokers:
            broker.kill()
        cluster.close()
