"""Which backend runs the brokers: Docker when an engine answers, else the Maven artifacts on this machine's Java."""

import os
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol, assert_never

from gateway.localkafka.archive import with_archive
from gateway.localkafka.artifacts import cache_directory, jars_directory
from gateway.localkafka.broker import Broker
from gateway.localkafka.certificates import Certificates
from gateway.localkafka.config import Backend, LocalKafkaConfig, LocalKafkaError
from gateway.localkafka.docker_engine import engine_answers
from gateway.localkafka.installation import install
from gateway.localkafka.java import OLDEST_JAVA, Java, find_java
from gateway.localkafka.maven_cluster import MavenCluster

BACKEND_VARIABLE = "SENDGUARD_KAFKA_BACKEND"


class Cluster(Protocol):
    """What a backend sets up; the brokers do not run yet."""

    @property
    def cluster_id(self) -> str: ...

    @property
    def data_dir(self) -> Path: ...

    @property
    def brokers(self) -> Sequence[Broker]: ...

    @property
    def certificates(self) -> Certificates | None: ...

    def close(self) -> None:
        """Remove everything of a stopped cluster except a data directory that was given."""


def choose_backend(config: LocalKafkaConfig, docker_answers: Callable[[], bool] = engine_answers) -> Backend:
    """The configured one, else the environment's, else the first that works here."""
    if config.backend is not None:
        return config.backend
    named = os.environ.get(BACKEND_VARIABLE)
    if named:
        try:
            return Backend(named)
        except ValueError as unknown:
            known = " or ".join(Backend)
            raise LocalKafkaError(f"{BACKEND_VARIABLE} must be {known}, not {named!r}") from unknown
    return Backend.DOCKER if docker_answers() else Backend.MAVEN


def make_cluster(config: LocalKafkaConfig) -> Cluster:
    """A cluster that is set up, but not running; LocalKafkaError says what is missing."""
    backend = choose_backend(config)
    match backend:
        case Backend.DOCKER:
            from gateway.localkafka.docker_cluster import DockerCluster  # half a second to import

            return DockerCluster(config)
        case Backend.MAVEN:
            java = find_java()
            missing = missing_for_maven(config, java)
            if java is None or missing:
                raise LocalKafkaError(explain_missing(missing))
            return MavenCluster(config, with_archive(install(java, config.cache_dir)))
        case _:
            assert_never(backend)


def missing_for_maven(config: LocalKafkaConfig, java: Java | None) -> list[str]:
    """What the Maven backend lacks here; Maven itself is needed only until the jars are in the cache."""
    missing = []
    if java is None:
        missing.append(f"Java {OLDEST_JAVA} or newer (looked in JAVA_HOME and on PATH)")
    if not jars_directory(cache_directory(config.cache_dir)).is_dir() and shutil.which("mvn") is None:
        missing.append("Maven (no `mvn` on PATH)")
    return missing


def explain_missing(missing: list[str]) -> str:
    """What to tell somebody on whose machine no Kafka can be started."""
    return (
        "No local Kafka can be started on this machine. It needs one of these two:\n"
        "  * a running Docker engine: none answers (DOCKER_HOST, the Docker context or /var/run/docker.sock)\n"
        f"  * Java {OLDEST_JAVA} or newer and Maven: missing is {' and '.join(missing)}\n"
        f"{BACKEND_VARIABLE}=docker or {BACKEND_VARIABLE}=maven chooses one of them."
    )
