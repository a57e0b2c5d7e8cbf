"""Where a cluster keeps its data, and what it remembers there."""

import shutil
import tempfile
from pathlib import Path

from gateway.localkafka.config import LocalKafkaConfig, LocalKafkaError
from gateway.localkafka.owner import Watchdog
from gateway.localkafka.storage import new_id


class DataDirectory:
    """A temporary one goes away with the cluster, also after a crash; a given one stays.

    A file in it remembers the cluster's id and size, because brokers refuse data of another cluster.
    """

    def __init__(self, config: LocalKafkaConfig, watchdog: Watchdog) -> None:
        self._is_temporary = config.data_dir is None
        if config.data_dir is None:
            self.path = Path(tempfile.mkdtemp(prefix="sendguard-kafka-")).resolve()
            watchdog.remove_directory(self.path)
        else:
            config.data_dir.mkdir(parents=True, exist_ok=True)
            self.path = config.data_dir.resolve()
        self.cluster_id = self._remembered_cluster_id(config.brokers)

    def broker(self, node_id: int) -> Path:
        """The directory of one broker, made when it is not there."""
        directory = self.path / f"broker-{node_id}"
        directory.mkdir(exist_ok=True)
        return directory

    def remove(self) -> None:
        """Remove it if it is temporary."""
        if self._is_temporary:
            shutil.rmtree(self.path, ignore_errors=True)

    def _remembered_cluster_id(self, brokers: int) -> str:
        known = self.path / "cluster"
        if not known.exists():
            known.write_text(f"{brokers} {new_id()}\n")
        size, cluster_id = known.read_text().split()
        if int(size) != brokers:
            raise LocalKafkaError(f"{self.path} belongs to a cluster of {size} brokers, not of {brokers}")
        return cluster_id
