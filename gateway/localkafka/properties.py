"""`server.properties` of a broker, the same for the Maven and the Docker backend."""

from collections.abc import Mapping
from dataclasses import dataclass

from gateway.localkafka.certificates import Certificates
from gateway.localkafka.config import LocalKafkaConfig, SecurityProtocol

INTERNAL_TOPIC_PARTITIONS = 4
"""Kafka's 50 make a small cluster slow to start and to recover, and prove nothing more."""

CLEANER_BUFFER_BYTES = 8 * 1024 * 1024
"""Kafka's 128 MiB do not fit into a small heap."""

RETENTION_MS = 7 * 24 * 3600 * 1000
"""Kafka's default, written out: nothing disappears while somebody tries things out."""

CONTROLLER = "CONTROLLER"


@dataclass(frozen=True, slots=True)
class Endpoint:
    host: str
    port: int

    def __str__(self) -> str:
        return f"{self.host}:{self.port}"


@dataclass(frozen=True, slots=True)
class Listener:
    """`bind` is where the broker listens, `advertised` what it tells clients."""

    name: str
    protocol: SecurityProtocol
    bind: Endpoint
    advertised: Endpoint


@dataclass(frozen=True, slots=True)
class NodeLayout:
    """Where one node (broker and controller in one process) listens and keeps its data.

    `listeners` are the clients' ones; the first is also used between brokers. `voters` maps every node id to its
    controller's address as the other nodes see it.
    """

    node_id: int
    listeners: tuple[Listener, ...]
    controller_bind: Endpoint
    voters: Mapping[int, Endpoint]
    log_dir: str


def server_properties(
    config: LocalKafkaConfig, layout: NodeLayout, certificates: Certificates | None = None
) -> dict[str, str]:
    """Everything in a node's `server.properties`; the caller's own properties win."""
    return {
        **_network(layout),
        **_security(config, layout, certificates),
        **_durability(len(layout.voters)),
        **_small_and_quick(config),
        "log.dirs": layout.log_dir,
        **config.server_properties,
    }


def render(properties: Mapping[str, str]) -> str:
    """Text in Java's properties format."""
    return "".join(f"{key}={_escape(value)}\n" for key, value in properties.items())


def _escape(value: str) -> str:
    return value.replace("\\", "\\\\").replace("\n", "\\n")


def _network(layout: NodeLayout) -> dict[str, str]:
    listeners = layout.listeners
    return {
        "process.roles": "broker,controller",
        "node.id": str(layout.node_id),
        "controller.quorum.voters": ",".join(f"{node}@{endpoint}" for node, endpoint in layout.voters.items()),
        "controller.listener.names": CONTROLLER,
        "listeners": ",".join(
            [f"{listener.name}://{listener.bind}" for listener in listeners]
            + [f"{CONTROLLER}://{layout.controller_bind}"]
        ),
        "advertised.listeners": ",".join(f"{listener.name}://{listener.advertised}" for listener in listeners),
        "inter.broker.listener.name": listeners[0].name,
        "listener.security.protocol.map": ",".join(
            [f"{listener.name}:{listener.protocol}" for listener in listeners]
            + [f"{CONTROLLER}:{SecurityProtocol.PLAINTEXT}"]
        ),
    }


def _security(config: LocalKafkaConfig, layout: NodeLayout, certificates: Certificates | None) -> dict[str, str]:
    properties: dict[str, str] = {}
    for listener in layout.listeners:
        prefix = f"listener.name.{listener.name.lower()}."
        if listener.protocol.has_sasl:
            properties["sasl.enabled.mechanisms"] = "PLAIN"
            properties[prefix + "plain.sasl.jaas.config"] = (
                "org.apache.kafka.common.security.plain.PlainLoginModule required "
                f'user_{config.sasl_username}="{config.sasl_password}";'
            )
        if listener.protocol.has_tls:
            if certificates is None:
                raise ValueError(f"the listener {listener.name} needs certificates")
            properties[prefix + "ssl.keystore.type"] = "PEM"
            properties[prefix + "ssl.keystore.certificate.chain"] = certificates.server_certificate
            properties[prefix + "ssl.keystore.key"] = certificates.server_key
            properties[prefix + "ssl.truststore.type"] = "PEM"
            properties[prefix + "ssl.truststore.certificates"] = certificates.authority
            # A client may show a certificate; one that shows a wrong one is refused.
            properties[prefix + "ssl.client.auth"] = "requested"
    return properties


def _durability(brokers: int) -> dict[str, str]:
    replication = str(brokers)
    min_isr = str(min(2, brokers))
    return {
        "default.replication.factor": replication,
        "min.insync.replicas": min_isr,
        "offsets.topic.replication.factor": replication,
        "transaction.state.log.replication.factor": replication,
        "transaction.state.log.min.isr": min_isr,
        "share.coordinator.state.topic.replication.factor": replication,
        "share.coordinator.state.topic.min.isr": min_isr,
        "unclean.leader.election.enable": "false",
        "auto.create.topics.enable": "false",
        "log.retention.ms": str(RETENTION_MS),
        "log.retention.bytes": "-1",
    }


def _small_and_quick(config: LocalKafkaConfig) -> dict[str, str]:
    properties = {
        "group.initial.rebalance.delay.ms": "0",
        "offsets.topic.num.partitions": str(INTERNAL_TOPIC_PARTITIONS),
        "transaction.state.log.num.partitions": str(INTERNAL_TOPIC_PARTITIONS),
        "share.coordinator.state.topic.num.partitions": str(INTERNAL_TOPIC_PARTITIONS),
        "log.cleaner.dedupe.buffer.size": str(CLEANER_BUFFER_BYTES),
    }
    if config.quick_failover:
        properties |= {"broker.session.timeout.ms": "3000", "broker.heartbeat.interval.ms": "500"}
    return properties
