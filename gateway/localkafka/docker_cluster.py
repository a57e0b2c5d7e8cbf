"""A cluster of containers, through testcontainers.

A crash of the owner is the business of testcontainers' reaper (Ryuk), which removes containers and network when its
connection breaks. Host ports are chosen before the start, because a broker must know what it advertises, and they stay
the same over kill() and start().
"""

from contextlib import ExitStack
from pathlib import Path

from testcontainers.core.docker_client import DockerClient
from testcontainers.core.network import Network

from gateway.localkafka.broker import Broker
from gateway.localkafka.certificates import make_certificates
from gateway.localkafka.config import LOOPBACK, LocalKafkaConfig, SecurityProtocol
from gateway.localkafka.container_process import (
    LOG_DIR,
    ContainerProcess,
    docker_errors,
    kafka_container,
    keep_data,
    publish,
)
from gateway.localkafka.data_directory import DataDirectory
from gateway.localkafka.owner import Watchdog
from gateway.localkafka.ports import client_ports, free_ports
from gateway.localkafka.properties import Endpoint, Listener, NodeLayout, render, server_properties

CLIENT_PORT = 9092
"""Of the first client listener inside the container, the others follow."""

INTERNAL_PORT = 19092
CONTROLLER_PORT = 19093

EVERYWHERE = ""
"""Kafka's word for all interfaces of the container; only client ports are published."""


class DockerCluster:
    """Its brokers are set up, but not running. See Cluster."""

    def __init__(self, config: LocalKafkaConfig) -> None:
        self._config = config
        self._processes: list[ContainerProcess] = []
        self._watchdog = Watchdog()
        try:
            self._data = DataDirectory(config, self._watchdog)
            with docker_errors("set up the cluster"):
                self._host = engine_host()
                self.certificates = make_certificates(self.data_dir / "tls", (self._host, "localhost"), config)
                self._network = Network()
                self.brokers = self._brokers()
                self._network.create()  # last: nothing can fail behind it
        except BaseException:
            self._watchdog.abandon()
            raise

    @property
    def cluster_id(self) -> str:
        return self._data.cluster_id

    @property
    def data_dir(self) -> Path:
        return self._data.path

    def close(self) -> None:
        """See Cluster."""
        with ExitStack() as steps:  # from the last to the first, each whatever became of the one before
            steps.callback(self._watchdog.dismiss)
            steps.callback(self._data.remove)
            steps.callback(self._remove_network)
            for process in self._processes:
                steps.callback(process.remove)

    def _remove_network(self) -> None:
        with docker_errors("remove the cluster's network"):
            self._network.remove()

    def _brokers(self) -> list[Broker]:
        free = free_ports()
        node_ids = range(1, self._config.brokers + 1)
        return [self._broker(node_id, client_ports(self._config, node_id, free)) for node_id in node_ids]

    def _broker(self, node_id: int, host_ports: dict[SecurityProtocol, int]) -> Broker:
        layout = container_layout(node_id, self._config.brokers, self._host, host_ports)
        properties = render(server_properties(self._config, layout, self.certificates))
        container = kafka_container(self._config, properties, self._data.cluster_id, self._network, alias(node_id))
        interface = LOOPBACK if self._host == LOOPBACK else "0.0.0.0"  # noqa: S104 - a remote engine's ports
        for listener in layout.listeners[1:]:
            publish(container, listener.bind.port, interface, listener.advertised.port)
        if self._config.data_dir is not None:
            keep_data(container, self._data.broker(node_id))
        process = ContainerProcess(container)
        self._processes.append(process)
        addresses = {listener.protocol: listener.advertised for listener in layout.listeners[1:]}
        return Broker(node_id, self._data.cluster_id, process, addresses, self._config.start_deadline_s)


def engine_host() -> str:
    """Where published ports are reached."""
    client = DockerClient()
    host = client.host()
    client.client.close()
    return LOOPBACK if host == "localhost" else host


def alias(node_id: int) -> str:
    """The broker's name in the containers' network."""
    return f"broker-{node_id}"


def container_layout(node_id: int, brokers: int, host: str, host_ports: dict[SecurityProtocol, int]) -> NodeLayout:
    """The first listener is for the other brokers, the rest for clients at `host` and their ports there."""
    internal = Listener(
        "INTERNAL",
        SecurityProtocol.PLAINTEXT,
        bind=Endpoint(EVERYWHERE, INTERNAL_PORT),
        advertised=Endpoint(alias(node_id), INTERNAL_PORT),
    )
    clients = tuple(
        Listener(protocol, protocol, Endpoint(EVERYWHERE, CLIENT_PORT + number), Endpoint(host, host_port))
        for number, (protocol, host_port) in enumerate(host_ports.items())
    )
    return NodeLayout(
        node_id=node_id,
        listeners=(internal, *clients),
        controller_bind=Endpoint(EVERYWHERE, CONTROLLER_PORT),
        voters={other: Endpoint(alias(other), CONTROLLER_PORT) for other in range(1, brokers + 1)},
        log_dir=LOG_DIR,
    )
