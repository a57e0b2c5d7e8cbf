"""`topics apply` and `topics check` on a real broker."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType

from gateway.contract.topics import Topics
from gateway.localkafka import LocalKafka
from gateway.settings import Settings
from gateway.streams.clients import Clients, close
from gateway.streams.topic_rules import wanted_configs
from gateway.streams.topics import Difference, KafkaUnreachableError, Severity, apply, check

EXISTS, BAD_REPLICATION, BAD_CONFIG, UNKNOWN_TOPIC = 36, 38, 40, 3


def settings_for(kafka: LocalKafka, prefix: str, **values: object) -> Settings:
    small: dict[str, object] = {
        "replication_factor": 1,
        "request_partitions": 2,
        "event_partitions": 1,
        "other_partitions": 1,
    }
    return Settings.of(kafka_bootstrap_servers=kafka.bootstrap_servers, topic_prefix=f"{prefix}.", **(small | values))


@pytest.fixture
async def admin(kafka: LocalKafka) -> AsyncIterator[AIOKafkaAdminClient]:
    client = Clients(Settings.of(kafka_bootstrap_servers=kafka.bootstrap_servers).kafka).admin()
    await client.start()
    yield client
    await close(client)


def seen(found: list[Difference] | tuple[Difference, ...], prefix: str) -> list[tuple[str, str, Severity]]:
    return [(each.topic.removeprefix(f"{prefix}."), each.what, each.severity) for each in found]


async def test_apply_creates_every_topic_and_check_then_finds_no_difference(kafka: LocalKafka, fresh_name: str) -> None:
    settings = settings_for(kafka, fresh_name)
    report = await apply(settings)
    assert set(report.created) == set(Topics(settings.topics.prefix).names)
    assert (report.existed, dict(report.failed), report.differences) == ((), {}, ())
    assert await check(settings) == []


async def test_apply_a_second_time_changes_nothing(kafka: LocalKafka, fresh_name: str) -> None:
    settings = settings_for(kafka, fresh_name)
    first = await apply(settings)
    second = await apply(settings)
    assert (second.created, second.existed, second.differences) == ((), first.created, ())


async def test_check_alone_creates_nothing_and_names_what_is_missing(kafka: LocalKafka, fresh_name: str) -> None:
    settings = settings_for(kafka, fresh_name)
    for _ in range(2):
        found = await check(settings)
        assert {each.topic for each in found} == set(Topics(settings.topics.prefix).names)
        assert {each.found for each in found} == {"missing"}


@pytest.mark.parametrize(
    ("topic", "configs", "what"),
    [
        ("dnd.events", {"cleanup.policy": "compact"}, "cleanup.policy"),
        ("dnd.events", {"retention.ms": "604800000"}, "retention.ms"),
        ("dnd.events", {"retention.bytes": "1000000000"}, "retention.bytes"),
        ("dnd.events", {"message.timestamp.type": "CreateTime"}, "message.timestamp.type"),
        ("dnd.events", {"flush.messages": "100"}, "flush.messages"),
        ("dnd.events", {"unclean.leader.election.enable": "true"}, "unclean.leader.election.enable"),
        ("outbound.requests", {"retention.ms": "3600000"}, "retention.ms"),
        ("outbound.requests", {"max.message.bytes": "1048588"}, "max.message.bytes"),
        ("outbound.sms", {"unclean.leader.election.enable": "true"}, "unclean.leader.election.enable"),
        ("outbound.decisions", {"cleanup.policy": "compact"}, "cleanup.policy"),
    ],
)
async def test_a_topic_created_wrongly_is_refused_and_left_as_it_is(
    kafka: LocalKafka,
    fresh_name: str,
    admin: AIOKafkaAdminClient,
    topic: str,
    configs: dict[str, str],
    what: str,
) -> None:
    settings = settings_for(kafka, fresh_name)
    spec = Topics(settings.topics.prefix).spec(f"{fresh_name}.{topic}")
    wrong = wanted_configs(spec, settings.topics) | configs
    assert await create(admin, spec.name, settings.topics.count(spec.count), wrong) == 0
    assert seen((await apply(settings)).differences, fresh_name) == [(topic, what, Severity.REFUSE)]
    assert seen(await check(settings), fresh_name) == [(topic, what, Severity.REFUSE)]


@pytest.mark.parametrize(
    ("changed", "found"),
    [
        ({"event_partitions": 2}, [("dnd.events", "partitions", Severity.REFUSE)]),
        ({"request_partitions": 1}, []),
    ],
)
async def test_partition_counts_are_compared_with_the_settings(
    kafka: LocalKafka, fresh_name: str, changed: dict[str, object], found: list[tuple[str, str, Severity]]
) -> None:
    await apply(settings_for(kafka, fresh_name))
    refused = [each for each in await check(settings_for(kafka, fresh_name, **changed)) if each.severity == "refuse"]
    assert seen(refused, fresh_name) == found


async def test_outputs_with_fewer_partitions_than_the_requests_are_refused(
    kafka: LocalKafka, fresh_name: str, admin: AIOKafkaAdminClient
) -> None:
    await create(admin, f"{fresh_name}.outbound.sms", 1, {"max.message.bytes": str(5 * 1024 * 1024)})
    refused = [each for each in (await apply(settings_for(kafka, fresh_name))).differences if each.severity == "refuse"]
    assert seen(refused, fresh_name) == [("outbound.sms", "partitions", Severity.REFUSE)]
    assert refused[0].expected == f"at least 2, as {fresh_name}.outbound.requests has"


async def test_a_development_topic_is_refused_once_replication_is_wanted(kafka: LocalKafka, fresh_name: str) -> None:
    await apply(settings_for(kafka, fresh_name))
    found = seen(await check(settings_for(kafka, fresh_name, replication_factor=3)), fresh_name)
    assert ("dnd.events", "replication factor", Severity.REFUSE) in found
    for topic in ("dnd.events", "outbound.requests", "outbound.sms", "outbound.decisions", "outbound.dead"):
        assert (topic, "min.insync.replicas", Severity.REFUSE) in found


async def test_what_kafka_refuses_to_create_is_reported_with_its_reason(kafka: LocalKafka, fresh_name: str) -> None:
    report = await apply(settings_for(kafka, fresh_name, replication_factor=3))
    assert report.created == ()
    assert set(report.failed) == set(Topics(f"{fresh_name}.").names)
    assert all(reason.startswith("InvalidReplicationFactorError: ") for reason in report.failed.values())
    assert {each.found for each in report.differences if each.topic in report.failed} == {"missing"}


async def test_without_a_broker_both_say_so() -> None:
    nowhere = Settings.of(kafka_bootstrap_servers="127.0.0.1:1")
    for attempt in (apply, check):
        with pytest.raises(KafkaUnreachableError, match=r"127\.0\.0\.1:1"):
            await attempt(nowhere)


async def test_k22_admin_calls_answer_with_errors_and_do_not_raise(fresh_name: str, admin: AIOKafkaAdminClient) -> None:
    assert await create(admin, fresh_name, 1, {}) == 0
    assert await create(admin, fresh_name, 1, {}) == EXISTS
    assert await create(admin, f"{fresh_name}-rf", 1, {}, replication=3) == BAD_REPLICATION
    assert await create(admin, f"{fresh_name}-config", 1, {"retention.ms": "soon"}) == BAD_CONFIG
    missing = ConfigResource(ConfigResourceType.TOPIC, f"{fresh_name}-missing")
    (answer,) = await admin.describe_configs([missing])
    assert answer.to_object()["resources"][0]["error_code"] == UNKNOWN_TOPIC


async def create(
    admin: AIOKafkaAdminClient, name: str, partitions: int, configs: dict[str, str], replication: int = 1
) -> int:
    """Kafka's error code, 0 when the topic was created."""
    answer: Any = await admin.create_topics([NewTopic(name, partitions, replication, topic_configs=configs)])
    (result,) = answer.to_object()["topic_errors"]
    return int(result["error_code"])
