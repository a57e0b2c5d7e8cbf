"""A real Apache Kafka on this machine, for development, tests and benchmarks."""

from gateway.localkafka.broker import Broker
from gateway.localkafka.cluster import LocalKafka
from gateway.localkafka.config import Backend, LocalKafkaConfig, LocalKafkaError, SecurityProtocol, Tuning

__all__ = ["Backend", "Broker", "LocalKafka", "LocalKafkaConfig", "LocalKafkaError", "SecurityProtocol", "Tuning"]
