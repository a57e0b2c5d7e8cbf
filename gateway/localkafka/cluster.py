"""The local Kafka: one cluster, from start to stop."""

import time
from pathlib import Path
from types import TracebackType
from typing import Self

from gateway.localkafka.backend import Cluster, make_cluster
from gateway.localkafka.broker import Broker
from gateway.localkafka.certificates import Certificates
from gateway.localkafka.config import LocalKafkaConfig, LocalKafkaError, SecurityProtocol

PORT_TRIES = 3
"""Another program may take a port between our look at it and the broker's start, hardly twice."""

PORT_TAKEN = "Address already in use"
"""How a broker's log says it."""


class LocalKafka:
    """A real Apache Kafka in KRaft mode on this machine, reachable from this machine only.

    `with LocalKafka(LocalKafkaConfig(brokers=3)) as kafka: ...`, or start() and stop(). The calls block: from async
    code use `asyncio.to_thread`. One caller at a time.
    """

    def __init__(self, config: LocalKafkaConfig | None = None) -> None:
        self.config = LocalKafkaConfig() if config is None else config
        self._cluster: Cluster | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def start(self) -> None:
        """Set the cluster up, start every broker, wait until all serve."""
        if self._cluster is not None:
            raise LocalKafkaError("this local Kafka was started already")
        for tries_left in reversed(range(PORT_TRIES)):
            try:
                self._start_once()
            except LocalKafkaError as failed:
                if tries_left == 0 or self.config.port is not None or PORT_TAKEN not in str(failed):
                    raise
            else:
                return

    def _start_once(self) -> None:
        self._cluster = make_cluster(self.config)
        try:
            self.start_all()
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """Stop every broker and remove temporary data. Nothing happens when it was not started."""
        if self._cluster is None:
            return
        try:
            if self.config.data_dir is None:
                for broker in self.brokers:  # the data goes away: no reason to wait for an orderly end
                    broker.kill()
            else:
                self.stop_all()
        finally:
            self._cluster.close()
            self._cluster = None

    def start_all(self) -> None:
        """Start every broker that does not run, on the same data and ports; wait until all serve."""
        for broker in self.brokers:
            if not broker.is_running():
                broker.start(wait=False)
        self.wait_ready()

    def stop_all(self) -> None:
        """An orderly stop of every broker; the data stays for start_all()."""
        for broker in self.brokers:
            broker.ask_to_stop()
        for broker in self.brokers:
            broker.finish_stop()

    def wait_ready(self) -> None:
        """Wait until every broker serves and a topic could be created with a replica on each."""
        deadline = time.monotonic() + self.config.start_deadline_s
        everyone = {broker.node_id for broker in self.brokers}
        for broker in self.brokers:
            broker.wait_ready(everyone, deadline)

    @property
    def brokers(self) -> list[Broker]:
        """In the order of their node ids, which start at 1."""
        return list(self._started().brokers)

    @property
    def bootstrap_servers(self) -> str:
        """`host:port,...` of the PLAINTEXT listeners."""
        return self.bootstrap_for(SecurityProtocol.PLAINTEXT)

    def bootstrap_for(self, protocol: SecurityProtocol) -> str:
        """`host:port,...` of the listeners with this protocol."""
        return ",".join(broker.address_for(protocol) for broker in self.brokers)

    @property
    def certificates(self) -> Certificates | None:
        """Of the TLS listeners, None when there are none."""
        return self._started().certificates

    @property
    def cluster_id(self) -> str:
        """Kafka's own name for the cluster, kept as long as its data."""
        return self._started().cluster_id

    @property
    def data_dir(self) -> Path:
        """With each broker's log in `broker-<n>/broker.log`."""
        return self._started().data_dir

    def _started(self) -> Cluster:
        if self._cluster is None:
            raise LocalKafkaError("this local Kafka is not started")
        return self._cluster
