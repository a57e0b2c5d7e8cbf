"""A broker as a container of the `apache/kafka` image, run by testcontainers.

The image's own entry point would turn environment variables into a configuration. Ours is written already, so the
container runs the scripts of the image directly: StorageTool once, then the server as process 1, which gets signals.
Data lies in a volume of the image: it outlives a kill and goes away with the container.
"""

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from importlib.resources import files
from pathlib import Path

from docker.errors import DockerException, NotFound  # type: ignore[import-untyped]  # ships no types
from testcontainers.core.container import DockerContainer
from testcontainers.core.exceptions import ContainerConnectException, ContainerStartException
from testcontainers.core.network import Network

from gateway.localkafka.artifacts import kafka_version
from gateway.localkafka.broker import POLL_S
from gateway.localkafka.config import LocalKafkaConfig, LocalKafkaError
from gateway.localkafka.jvm_flags import COMMON_FLAGS, heap_flag, tuning_flags

IMAGE = "apache/kafka"
CONFIGURATION = "/etc/sendguard"
DATA_VOLUME = "/var/lib/kafka/data"
LOG_DIR = f"{DATA_VOLUME}/broker"

START_SCRIPT = f"""\
export LOG_DIR=/tmp
if [ ! -e {LOG_DIR}/meta.properties ]; then
  /opt/kafka/bin/kafka-storage.sh format -t "$CLUSTER_ID" -c {CONFIGURATION}/server.properties || exit
fi
exec /opt/kafka/bin/kafka-server-start.sh {CONFIGURATION}/server.properties
"""

KILL_DEADLINE_S = 30.0
"""SIGKILL cannot be refused; more than that means a hanging engine."""

NAMES_FRESH = ("-Dsun.net.inetaddr.ttl=1", "-Dsun.net.inetaddr.negative.ttl=0")
"""A broker's name is unknown until its container runs and may then mean another address: Java must ask again."""

ENGINE_ERRORS = (DockerException, ContainerStartException, ContainerConnectException, OSError)
"""Of the Docker client, of testcontainers and of the connection to the engine."""

ALIVE = frozenset({"running", "paused", "restarting"})


def kafka_container(
    config: LocalKafkaConfig, properties: str, cluster_id: str, network: Network, alias: str
) -> DockerContainer:
    """The container without its ports and data; `alias` is its name in the network of the cluster."""
    logging = files("gateway.localkafka").joinpath("log4j2.properties").read_bytes()
    flags = [
        *tuning_flags(config),
        *COMMON_FLAGS,
        *NAMES_FRESH,
        "-Xshare:auto",
        "-XX:SharedArchiveFile=/opt/kafka/kafka.jsa",
    ]
    return (
        DockerContainer(f"{IMAGE}:{kafka_version()}")
        .with_kwargs(entrypoint=["/bin/bash", "-c", START_SCRIPT])
        .with_network(network)
        .with_network_aliases(alias)
        .with_copy_into_container(properties.encode(), f"{CONFIGURATION}/server.properties")
        .with_copy_into_container(logging, f"{CONFIGURATION}/log4j2.properties")
        .with_env("CLUSTER_ID", cluster_id)
        .with_env("KAFKA_HEAP_OPTS", heap_flag(config))
        .with_env("KAFKA_JVM_PERFORMANCE_OPTS", " ".join(flags))
        .with_env("KAFKA_LOG4J_OPTS", f"-Dlog4j2.configurationFile={CONFIGURATION}/log4j2.properties")
        .with_env("EXTRA_ARGS", "-name kafkaServer")  # the script's default adds a garbage collection log
    )


def publish(container: DockerContainer, port: int, host: str, host_port: int) -> None:
    """Make a port of the container reachable at `host:host_port`."""
    # with_bind_ports() knows no address; the Docker client below it does.
    container.ports[f"{port}/tcp"] = (host, host_port)  # type: ignore[assignment]


def keep_data(container: DockerContainer, directory: Path) -> None:
    """Keep the data in a directory of the host that belongs to the user, whose process writes it then."""
    container.with_volume_mapping(directory, DATA_VOLUME, "rw")
    container.with_kwargs(entrypoint=["/bin/bash", "-c", START_SCRIPT], user=f"{os.getuid()}:{os.getgid()}")


class ContainerProcess:
    """See BrokerProcess."""

    def __init__(self, container: DockerContainer) -> None:
        self._container = container
        self._created = False

    @property
    def pid(self) -> int | None:
        """A container's process is the engine's, maybe on another machine."""
        return None

    def launch(self) -> None:
        with docker_errors("start the broker"):
            if self._created:
                self._container.get_wrapped_container().start()
            else:
                self._created = True  # also when it fails half-way: then there may be something to remove
                self._container.start()

    def is_running(self) -> bool:
        if not self._created:
            return False
        with docker_errors("ask for the broker's state"):
            try:
                self._container.reload()
            except NotFound:
                return False
        return self._container.status in ALIVE

    def kill(self) -> None:
        if self.is_running():
            with docker_errors("kill the broker"):
                self._container.get_wrapped_container().kill()
            self.wait_stopped(KILL_DEADLINE_S)

    def freeze(self) -> None:
        with docker_errors("freeze the broker"):
            self._container.get_wrapped_container().pause()

    def thaw(self) -> None:
        with docker_errors("thaw the broker"):
            self._container.reload()
            if self._container.status == "paused":
                self._container.get_wrapped_container().unpause()

    def ask_to_stop(self) -> None:
        with docker_errors("stop the broker"):
            self._container.get_wrapped_container().kill(signal="SIGTERM")

    def wait_stopped(self, timeout_s: float) -> bool:
        deadline = time.monotonic() + timeout_s
        while self.is_running():
            if time.monotonic() >= deadline:
                return False
            time.sleep(POLL_S)
        return True

    def log_tail(self, lines: int) -> str:
        with docker_errors("read the broker's log"):
            return bytes(self._container.get_wrapped_container().logs(tail=lines)).decode(errors="replace")

    def remove(self) -> None:
        """The container and its volumes."""
        if self._created:
            with docker_errors("remove the broker"), suppress(NotFound):
                self._container.stop()


@contextmanager
def docker_errors(what: str) -> Iterator[None]:
    """Turn the Docker client's errors into ours."""
    try:
        yield
    except ENGINE_ERRORS as refused:
        raise LocalKafkaError(
            f"Docker could not {what}: {refused}\n"
            "SENDGUARD_KAFKA_BACKEND=maven runs it on this machine's Java instead, without Docker."
        ) from refused
