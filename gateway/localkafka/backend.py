"""Which backend runs the brokers."""

from gateway.localkafka.config import LocalKafkaConfig, LocalKafkaError
from gateway.localkafka.java import find_java
from gateway.localkafka.maven_cluster import MavenCluster


def make_cluster(config: LocalKafkaConfig) -> MavenCluster:
    """A cluster that is set up, but not running."""
    java = find_java()
    if java is None:
        raise LocalKafkaError("a local Kafka needs Java 17 or newer")
    return MavenCluster(config, java)
