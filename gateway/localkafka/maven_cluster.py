"""A cluster of JVMs of this machine, from the Maven artifacts."""

from importlib.resources import files
from pathlib import Path

from gateway.localkafka.broker import Broker
from gateway.localkafka.certificates import make_certificates
from gateway.localkafka.config import LOOPBACK, LocalKafkaConfig
from gateway.localkafka.data_directory import DataDirectory
from gateway.localkafka.installation import Installation
from gateway.localkafka.jvm_flags import broker_command
from gateway.localkafka.jvm_process import JvmProcess
from gateway.localkafka.owner import Watchdog
from gateway.localkafka.ports import client_ports, free_ports
from gateway.localkafka.properties import Endpoint, Listener, NodeLayout, render, server_properties
from gateway.localkafka.storage import format_directory


class MavenCluster:
    """Its brokers are set up, but not running. See Cluster."""

    def __init__(self, config: LocalKafkaConfig, installation: Installation) -> None:
        self._config = config
        self._installation = installation
        self._watchdog = Watchdog()
        try:
            self._data = DataDirectory(config, self._watchdog)
            self.certificates = make_certificates(self.data_dir / "tls", (LOOPBACK, "localhost"), config)
            self.brokers = [self._broker(layout) for layout in self._layouts()]
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
        self._data.remove()
        self._watchdog.dismiss()

    def _layouts(self) -> list[NodeLayout]:
        free = free_ports()
        node_ids = range(1, self._config.brokers + 1)
        voters = {node_id: Endpoint(LOOPBACK, next(free)) for node_id in node_ids}
        layouts = []
        for node_id in node_ids:
            listeners = tuple(
                Listener(protocol, protocol, Endpoint(LOOPBACK, port), Endpoint(LOOPBACK, port))
                for protocol, port in client_ports(self._config, node_id, free).items()
            )
            data = self._data.broker(node_id) / "data"
            layouts.append(NodeLayout(node_id, listeners, voters[node_id], voters, str(data)))
        return layouts

    def _broker(self, layout: NodeLayout) -> Broker:
        directory = self._data.broker(layout.node_id)
        (directory / "tmp").mkdir(exist_ok=True)
        format_directory(Path(layout.log_dir), self._installation.template, self._data.cluster_id, layout.node_id)
        properties = render(server_properties(self._config, layout, self.certificates))
        (directory / "server.properties").write_text(properties)
        logging = files("gateway.localkafka").joinpath("log4j2.properties").read_text()
        (directory / "log4j2.properties").write_text(logging)
        command = broker_command(self._config, self._installation, directory)
        process = JvmProcess(command, directory, directory / "broker.log", self._watchdog)
        addresses = {listener.protocol: listener.advertised for listener in layout.listeners}
        return Broker(layout.node_id, self._data.cluster_id, process, addresses, self._config.start_deadline_s)
