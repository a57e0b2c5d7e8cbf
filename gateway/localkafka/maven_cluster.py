"""A cluster of JVMs of this machine, from the Maven artifacts."""

import shutil
import tempfile
from importlib.resources import files
from pathlib import Path

from gateway.localkafka.archive import archive_flags
from gateway.localkafka.artifacts import cache_directory, class_path
from gateway.localkafka.broker import Broker
from gateway.localkafka.certificates import Certificates, make_certificates
from gateway.localkafka.config import LOOPBACK, LocalKafkaConfig, LocalKafkaError, SecurityProtocol
from gateway.localkafka.java import Java
from gateway.localkafka.jvm_flags import broker_command
from gateway.localkafka.jvm_process import JvmProcess
from gateway.localkafka.owner import Watchdog
from gateway.localkafka.ports import free_ports
from gateway.localkafka.properties import Endpoint, Listener, NodeLayout, render, server_properties
from gateway.localkafka.storage import format_directory, new_id, template_directory


class MavenCluster:
    """Its brokers are set up, but not running. See Cluster."""

    def __init__(self, config: LocalKafkaConfig, java: Java) -> None:
        self._config = config
        self._java = java
        cache = cache_directory(config.cache_dir)
        self._class_path = class_path(cache)
        self._template = template_directory(cache, java, self._class_path)
        self._archive_flags = archive_flags()
        self._watchdog = Watchdog()
        self.data_dir = self._make_data_dir()
        self._cluster_id = self._remembered_cluster_id()
        self.certificates: Certificates | None = None
        if any(protocol.has_tls for protocol in config.secure_listeners):
            self.certificates = make_certificates(self.data_dir / "tls", (LOOPBACK, "localhost"))
        self.brokers = [self._broker(layout) for layout in self._layouts()]

    def close(self) -> None:
        """Everything of a stopped cluster goes away, except data of a directory that was given."""
        if self._config.data_dir is None:
            shutil.rmtree(self.data_dir, ignore_errors=True)
        self._watchdog.dismiss()

    def _make_data_dir(self) -> Path:
        if self._config.data_dir is None:
            directory = Path(tempfile.mkdtemp(prefix="sendguard-kafka-"))
            self._watchdog.remove_directory(directory)
            return directory
        self._config.data_dir.mkdir(parents=True, exist_ok=True)
        return self._config.data_dir.resolve()

    def _remembered_cluster_id(self) -> str:
        """The id the directory was formatted with; the number of brokers must be the same again."""
        known = self.data_dir / "cluster"
        if not known.exists():
            known.write_text(f"{self._config.brokers} {new_id()}\n")
        brokers, cluster_id = known.read_text().split()
        if int(brokers) != self._config.brokers:
            raise LocalKafkaError(f"{self.data_dir} belongs to a cluster of {brokers}, not {self._config.brokers}")
        return cluster_id

    def _layouts(self) -> list[NodeLayout]:
        free = free_ports()
        node_ids = range(1, self._config.brokers + 1)
        voters = {node_id: Endpoint(LOOPBACK, next(free)) for node_id in node_ids}
        layouts = []
        for node_id in node_ids:
            fixed = self._config.port
            ports = {SecurityProtocol.PLAINTEXT: next(free) if fixed is None else fixed + node_id - 1}
            ports |= {protocol: next(free) for protocol in self._config.secure_listeners}
            listeners = tuple(
                Listener(protocol, protocol, Endpoint(LOOPBACK, port), Endpoint(LOOPBACK, port))
                for protocol, port in ports.items()
            )
            data = self.data_dir / f"broker-{node_id}" / "data"
            layouts.append(NodeLayout(node_id, listeners, voters[node_id], voters, str(data)))
        return layouts

    def _broker(self, layout: NodeLayout) -> Broker:
        directory = self.data_dir / f"broker-{layout.node_id}"
        (directory / "tmp").mkdir(parents=True, exist_ok=True)
        format_directory(Path(layout.log_dir), self._template, self._cluster_id, layout.node_id)
        properties = render(server_properties(self._config, layout, self.certificates))
        (directory / "server.properties").write_text(properties)
        logging = files("gateway.localkafka").joinpath("log4j2.properties").read_text()
        (directory / "log4j2.properties").write_text(logging)
        command = broker_command(self._java, self._config, self._class_path, directory, self._archive_flags)
        process = JvmProcess(command, directory, directory / "broker.log", self._watchdog)
        addresses = {listener.protocol: listener.advertised for listener in layout.listeners}
        return Broker(layout.node_id, process, addresses, self._config.start_deadline_s)
