"""The brokers of the compose file against the rules our own topics check goes by."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from gateway.contract.topics import Topics
from gateway.localkafka.artifacts import kafka_version
from gateway.settings import Settings, load
from gateway.streams.topic_rules import (
    DESCRIBE_QUORUM_API,
    OFFSETS_TOPIC,
    SINCE_3_7_API,
    SINCE_3_8_API,
    TRANSACTIONS_TOPIC,
    LiveCluster,
    LiveTopic,
    differences,
    wanted_configs,
)
from tests.deploy.files import environment, our_services, services

TOPIC_CONFIGS = ("min.insync.replicas", "unclean.leader.election.enable")
"""What a topic has from its broker unless it says otherwise, under the same name."""

TRANSACTIONS_MIN_ISR = "transaction.state.log.min.isr"

INTERNAL_PARTITIONS = 50


def properties(name: str) -> dict[str, str]:
    """As the image makes them from its variables."""
    variables = services()[name]["environment"]
    return {
        variable.removeprefix("KAFKA_").lower().replace("_", "."): str(value)
        for variable, value in variables.items()
        if variable.startswith("KAFKA_")
    }


BROKERS = {name: properties(name) for name in services() if name.startswith("kafka-")}


def cluster_of(broker: Mapping[str, str], settings: Settings) -> LiveCluster:
    """After `topics apply` on such brokers, with the internal topics they make themselves."""
    inherited = {config: broker[config] for config in TOPIC_CONFIGS if config in broker}
    ours = {
        spec.name: LiveTopic(
            settings.topics.count(spec.count),
            min(settings.topics.replication_factor, len(BROKERS)),
            {**inherited, **wanted_configs(spec, settings.topics)},
        )
        for spec in Topics().specs
    }
    offsets = LiveTopic(INTERNAL_PARTITIONS, int(broker["offsets.topic.replication.factor"]), inherited)
    transactions = LiveTopic(
        INTERNAL_PARTITIONS,
        int(broker["transaction.state.log.replication.factor"]),
        {**inherited, "min.insync.replicas": broker[TRANSACTIONS_MIN_ISR]},
    )
    apis = frozenset({DESCRIBE_QUORUM_API, SINCE_3_7_API, SINCE_3_8_API})
    internal = {OFFSETS_TOPIC: offsets, TRANSACTIONS_TOPIC: transactions}
    return LiveCluster({**ours, **internal}, {}, {int(each["node.id"]): apis for each in BROKERS.values()})


@pytest.mark.parametrize("name", BROKERS)
def test_the_topics_check_finds_no_difference(name: str) -> None:
    settings = load(environment(our_services()["topics"]))
    assert differences(cluster_of(BROKERS[name], settings), Topics(), settings.topics) == []


@pytest.mark.parametrize("name", BROKERS)
def test_what_the_guarantees_rest_on_is_written_out(name: str) -> None:
    broker = BROKERS[name]
    assert broker["unclean.leader.election.enable"] == "false"
    assert broker["auto.create.topics.enable"] == "false"
    assert (broker["default.replication.factor"], broker["min.insync.replicas"]) == ("3", "2")
    assert broker["process.roles"] == "broker,controller"


def test_it_is_the_kafka_that_the_tests_run_on() -> None:
    assert {services()[name]["image"] for name in BROKERS} == {f"apache/kafka:{kafka_version()}"}


def test_the_brokers_differ_only_in_what_they_are_called() -> None:
    own = {"node.id", "advertised.listeners"}
    common = [{key: value for key, value in broker.items() if key not in own} for broker in BROKERS.values()]
    assert all(broker == common[0] for broker in common)
    assert len({services()[name]["environment"]["CLUSTER_ID"] for name in BROKERS}) == 1


def test_every_broker_votes_and_is_reached_under_its_own_name() -> None:
    voters = {f"{broker['node.id']}@{name}:9093" for name, broker in BROKERS.items()}
    assert len(voters) == 3
    for name, broker in BROKERS.items():
        assert set(broker["controller.quorum.voters"].split(",")) == voters
        assert broker["advertised.listeners"] == f"PLAINTEXT://{name}:9092"
        assert services()[name]["hostname"] == name


@pytest.mark.parametrize("name", our_services())
def test_our_processes_ask_these_brokers(name: str) -> None:
    asked = load(environment(our_services()[name])).kafka.bootstrap_servers.split(",")
    assert {f"PLAINTEXT://{server}" for server in asked} == {
        broker["advertised.listeners"] for broker in BROKERS.values()
    }
