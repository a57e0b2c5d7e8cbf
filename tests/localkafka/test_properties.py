"""The brokers' configuration, without a broker."""

import secrets
from pathlib import Path

import pytest

from gateway.localkafka.certificates import Certificates
from gateway.localkafka.config import LocalKafkaConfig, SecurityProtocol
from gateway.localkafka.properties import Endpoint, Listener, NodeLayout, render, server_properties

PASSWORD = secrets.token_hex()
CERTIFICATES = Certificates(
    authority="CA\nLINES",
    server_certificate="CERT\nLINES",
    server_key="KEY\nLINES",
    authority_file=Path("ca.pem"),
    client_certificate_file=Path("client.pem"),
    client_key_file=Path("client.key"),
)


def layout(brokers: int = 1, *protocols: SecurityProtocol) -> NodeLayout:
    listeners = tuple(
        Listener(protocol, protocol, Endpoint("127.0.0.1", 9092 + number), Endpoint("127.0.0.1", 9092 + number))
        for number, protocol in enumerate((SecurityProtocol.PLAINTEXT, *protocols))
    )
    voters = {node: Endpoint("127.0.0.1", 9200 + node) for node in range(1, brokers + 1)}
    return NodeLayout(1, listeners, voters[1], voters, "/data")


@pytest.mark.parametrize(("brokers", "replication", "min_isr"), [(1, "1", "1"), (3, "3", "2")])
def test_internal_topics_are_replicated_as_far_as_the_cluster_goes(
    brokers: int, replication: str, min_isr: str
) -> None:
    properties = server_properties(LocalKafkaConfig(brokers=brokers), layout(brokers))
    assert properties["offsets.topic.replication.factor"] == replication
    assert properties["transaction.state.log.replication.factor"] == replication
    assert properties["transaction.state.log.min.isr"] == min_isr
    assert properties["min.insync.replicas"] == min_isr


def test_nothing_is_created_or_elected_or_delayed_behind_ones_back() -> None:
    properties = server_properties(LocalKafkaConfig(), layout())
    assert properties["auto.create.topics.enable"] == "false"
    assert properties["unclean.leader.election.enable"] == "false"
    assert properties["group.initial.rebalance.delay.ms"] == "0"


def test_every_listener_is_on_the_loopback_interface() -> None:
    properties = server_properties(LocalKafkaConfig(), layout(1, SecurityProtocol.SASL_PLAINTEXT))
    assert properties["listeners"] == (
        "PLAINTEXT://127.0.0.1:9092,SASL_PLAINTEXT://127.0.0.1:9093,CONTROLLER://127.0.0.1:9201"
    )
    assert "CONTROLLER" not in properties["advertised.listeners"]


def test_quick_failover_is_an_option() -> None:
    assert "broker.session.timeout.ms" not in server_properties(LocalKafkaConfig(), layout())
    quick = server_properties(LocalKafkaConfig(quick_failover=True), layout())
    assert quick["broker.session.timeout.ms"] == "3000"
    assert quick["broker.heartbeat.interval.ms"] == "500"


def test_the_callers_properties_win() -> None:
    config = LocalKafkaConfig(server_properties={"min.insync.replicas": "3", "message.max.bytes": "2000000"})
    properties = server_properties(config, layout())
    assert properties["min.insync.replicas"] == "3"
    assert properties["message.max.bytes"] == "2000000"


def test_a_tls_listener_has_the_certificates_and_a_plain_one_has_not() -> None:
    both = layout(1, SecurityProtocol.SASL_SSL, SecurityProtocol.SASL_PLAINTEXT)
    properties = server_properties(LocalKafkaConfig(sasl_password=PASSWORD), both, CERTIFICATES)
    assert properties["listener.name.sasl_ssl.ssl.keystore.key"] == "KEY\nLINES"
    assert "listener.name.sasl_plaintext.ssl.keystore.key" not in properties
    assert f'user_sendguard="{PASSWORD}"' in properties["listener.name.sasl_ssl.plain.sasl.jaas.config"]
    assert properties["sasl.enabled.mechanisms"] == "PLAIN"


def test_a_tls_listener_without_certificates_is_refused() -> None:
    with pytest.raises(ValueError, match="needs certificates"):
        server_properties(LocalKafkaConfig(), layout(1, SecurityProtocol.SSL))


def test_line_breaks_and_backslashes_survive_the_file_format() -> None:
    assert render({"key": "a\nb\\c"}) == "key=a\\nb\\\\c\n"
