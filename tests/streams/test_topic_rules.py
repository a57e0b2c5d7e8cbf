"""Each difference between a live cluster and the contract, and what it costs. A live cluster is data here."""

from collections.abc import Mapping
from dataclasses import replace

import pytest

from gateway.contract.topics import Topics
from gateway.settings import Settings
from gateway.streams.topic_rules import (
    DESCRIBE_QUORUM_API,
    OFFSETS_TOPIC,
    SINCE_3_7_API,
    SINCE_3_8_API,
    Difference,
    LiveCluster,
    LiveTopic,
    Severity,
    differences,
    wanted_configs,
)

TOPICS = Topics()
SETTINGS = Settings.of(replication_factor=3, request_partitions=4, event_partitions=2).topics
APIS = frozenset({DESCRIBE_QUORUM_API, SINCE_3_7_API, SINCE_3_8_API})
DAY_MS = 24 * 3_600_000


def as_in_the_contract() -> LiveCluster:
    """Brokers also report settings that we leave to them."""
    live = {
        spec.name: LiveTopic(
            SETTINGS.count(spec.count),
            3,
            wanted_configs(spec, SETTINGS) | {"flush.messages": "9223372036854775807"}
            if not spec.flush_every_record
            else wanted_configs(spec, SETTINGS),
        )
        for spec in TOPICS.specs
    }
    return LiveCluster(live, {}, {1: APIS, 2: APIS, 3: APIS})


def with_topic(name: str, topic: LiveTopic | None) -> LiveCluster:
    live = as_in_the_contract()
    topics = {key: value for key, value in live.topics.items() if key != name}
    return replace(live, topics=topics if topic is None else topics | {name: topic})


def with_configs(name: str, **configs: str) -> LiveCluster:
    live = as_in_the_contract().topics[name]
    changed = {config.replace("_", "."): value for config, value in configs.items()}
    return with_topic(name, replace(live, configs=dict(live.configs) | changed))


def found_in(live: LiveCluster) -> list[tuple[str, str, Severity]]:
    return [(found.topic, found.what, found.severity) for found in differences(live, TOPICS, SETTINGS)]


def test_a_cluster_as_the_contract_says_has_no_difference() -> None:
    assert differences(as_in_the_contract(), TOPICS, SETTINGS) == []


@pytest.mark.parametrize(
    ("topic", "configs"),
    [
        ("dnd.events", {"cleanup_policy": "compact"}),
        ("dnd.events", {"cleanup_policy": "compact,delete"}),
        ("dnd.events", {"retention_ms": str(3650 * DAY_MS)}),
        ("dnd.events", {"retention_bytes": "1000000000000"}),
        ("dnd.events", {"message_timestamp_type": "CreateTime"}),
        ("dnd.events", {"flush_messages": "9223372036854775807"}),
        ("dnd.events", {"min_insync_replicas": "1"}),
        ("dnd.events", {"unclean_leader_election_enable": "true"}),
        ("dnd.events", {"max_message_bytes": "1000"}),
        ("outbound.requests", {"retention_ms": str(DAY_MS - 1)}),
        ("outbound.requests", {"retention_bytes": "1000000"}),
        ("outbound.requests", {"cleanup_policy": "compact"}),
        ("outbound.requests", {"unclean_leader_election_enable": "true"}),
        ("outbound.requests", {"max_message_bytes": "1048588"}),
        ("outbound.sms", {"max_message_bytes": "1048588"}),
        ("outbound.sms", {"min_insync_replicas": "1"}),
        ("outbound.sms", {"unclean_leader_election_enable": "true"}),
        ("outbound.dead", {"max_message_bytes": str(4 * 1024 * 1024)}),
        ("outbound.decisions", {"min_insync_replicas": "1"}),
        ("outbound.decisions", {"unclean_leader_election_enable": "true"}),
        ("outbound.decisions", {"cleanup_policy": "compact"}),
    ],
)
def test_a_setting_that_could_lose_a_hold_a_request_or_a_decision_is_refused(
    topic: str, configs: Mapping[str, str]
) -> None:
    (config,) = configs
    assert found_in(with_configs(topic, **configs)) == [(topic, config.replace("_", "."), Severity.REFUSE)]


@pytest.mark.parametrize(
    ("topic", "configs"),
    [
        ("outbound.requests", {"retention_ms": str(2 * DAY_MS)}),
        ("outbound.requests", {"message_timestamp_type": "CreateTime"}),
        ("outbound.requests", {"compression_type": "gzip"}),
        ("outbound.sms", {"retention_ms": str(DAY_MS)}),
        ("dnd.state", {"cleanup_policy": "delete"}),
        ("contacts", {"min_insync_replicas": "1"}),
        ("contacts", {"unclean_leader_election_enable": "true"}),
    ],
)
def test_any_other_setting_is_a_warning(topic: str, configs: Mapping[str, str]) -> None:
    (config,) = configs
    assert found_in(with_configs(topic, **configs)) == [(topic, config.replace("_", "."), Severity.WARN)]


@pytest.mark.parametrize(
    ("topic", "configs"),
    [
        ("dnd.events", {"min_insync_replicas": "3"}),
        ("outbound.decisions", {"retention_ms": "-1"}),
        ("outbound.requests", {"retention_ms": str(7 * DAY_MS)}),
        ("outbound.sms", {"max_message_bytes": "10485760"}),
    ],
)
def test_more_than_is_asked_for_is_no_difference(topic: str, configs: Mapping[str, str]) -> None:
    assert found_in(with_configs(topic, **configs)) == []


def test_a_decision_must_not_be_deleted_before_its_request() -> None:
    week, two_weeks = str(7 * DAY_MS), str(14 * DAY_MS)
    for requests, decisions in ((two_weeks, week), ("-1", week)):
        live = with_configs("outbound.requests", retention_ms=requests)
        assert live.topics["outbound.decisions"].configs["retention.ms"] == decisions
        name = "retention.ms against outbound.requests"
        assert found_in(live) == [("outbound.decisions", name, Severity.REFUSE)]


def test_a_receipt_should_not_be_deleted_before_what_it_is_about() -> None:
    live = with_configs("outbound.sms", retention_ms=str(14 * DAY_MS))
    assert found_in(live) == [("outbound.receipts", "retention.ms against outbound.sms", Severity.WARN)]


def test_receipts_that_have_grown_alone_are_named() -> None:
    live = with_topic("outbound.receipts", replace(as_in_the_contract().topics["outbound.receipts"], partitions=8))
    assert found_in(live) == [("outbound.receipts", "partitions", Severity.WARN)] * len(TOPICS.outputs)


@pytest.mark.parametrize(
    ("topic", "severity"),
    [
        ("dnd.events", Severity.REFUSE),
        ("outbound.requests", Severity.REFUSE),
        ("outbound.fb", Severity.REFUSE),
        ("outbound.decisions", Severity.REFUSE),
        ("outbound.dead", Severity.REFUSE),
        ("dnd.state", Severity.WARN),
        ("contacts", Severity.WARN),
    ],
)
def test_a_missing_or_unreadable_topic_is_refused_where_the_guard_needs_it(topic: str, severity: Severity) -> None:
    live = with_topic(topic, None)
    assert found_in(live) == [(topic, "topic", severity)]
    hidden = replace(live, unreadable={topic: "TopicAuthorizationFailedError"})
    assert found_in(hidden) == [(topic, "description", severity)]


@pytest.mark.parametrize(
    ("topic", "partitions", "severity"),
    [
        ("dnd.events", 1, Severity.REFUSE),
        ("dnd.events", 3, Severity.REFUSE),
        ("outbound.sms", 3, Severity.REFUSE),
        ("outbound.decisions", 3, Severity.REFUSE),
        ("outbound.dead", 3, Severity.REFUSE),
        ("outbound.receipts", 3, Severity.REFUSE),
        ("dnd.state", 3, Severity.WARN),
        ("outbound.requests", 3, Severity.WARN),
        ("contacts", 1, Severity.WARN),
    ],
)
def test_another_partition_count_is_named(topic: str, partitions: int, severity: Severity) -> None:
    live = with_topic(topic, replace(as_in_the_contract().topics[topic], partitions=partitions))
    assert found_in(live) == [(topic, "partitions", severity)]


def test_requests_may_grow_once_the_outputs_have() -> None:
    grown = as_in_the_contract()
    outputs = {
        name: replace(topic, partitions=8) if name.startswith("outbound.") and name != "outbound.requests" else topic
        for name, topic in grown.topics.items()
    }
    assert found_in(replace(grown, topics=outputs)) == []
    too_early = with_topic("outbound.requests", replace(grown.topics["outbound.requests"], partitions=8))
    refused = [topic for topic, what, severity in found_in(too_early) if severity is Severity.REFUSE]
    assert refused == [*TOPICS.outputs, "outbound.decisions", "outbound.dead", "outbound.receipts"]


@pytest.mark.parametrize(("topic", "severity"), [("dnd.events", Severity.REFUSE), ("outbound.sms", Severity.WARN)])
def test_too_few_replicas_are_named(topic: str, severity: Severity) -> None:
    live = with_topic(topic, replace(as_in_the_contract().topics[topic], replicas=2))
    assert found_in(live) == [(topic, "replication factor", severity)]


@pytest.mark.parametrize(
    ("apis", "expected"),
    [
        (APIS - {DESCRIBE_QUORUM_API}, [("broker 2", "metadata mode", Severity.REFUSE)]),
        (APIS - {SINCE_3_7_API, SINCE_3_8_API}, [("broker 2", "version", Severity.REFUSE)]),
        (APIS - {SINCE_3_8_API}, [("broker 2", "version", Severity.WARN)]),
    ],
)
def test_a_broker_too_old_for_the_guarantees_is_named(
    apis: frozenset[int], expected: list[tuple[str, str, Severity]]
) -> None:
    live = as_in_the_contract()
    assert found_in(replace(live, apis={**live.apis, 2: apis})) == expected


def test_kafkas_own_topics_are_looked_at_once_they_exist() -> None:
    own = LiveTopic(50, 1, {"min.insync.replicas": "1", "unclean.leader.election.enable": "true"})
    assert found_in(with_topic(OFFSETS_TOPIC, own)) == [
        (OFFSETS_TOPIC, "replication factor", Severity.WARN),
        (OFFSETS_TOPIC, "min.insync.replicas", Severity.WARN),
        (OFFSETS_TOPIC, "unclean.leader.election.enable", Severity.REFUSE),
    ]


def test_a_difference_says_what_was_expected_and_what_was_found() -> None:
    difference = Difference("dnd.events", "retention.ms", "-1", "604800000", Severity.REFUSE)
    assert str(difference) == "refuse: dnd.events: retention.ms: expected -1, found 604800000"
