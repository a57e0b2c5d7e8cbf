"""Creating the topics of the contract, and comparing them with it.

`apply` only creates what is missing. It never changes a topic that is there: a setting somebody chose is theirs to
change, and the wrong one may already have cost something that people must look at first. `check` never creates.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from aiokafka.admin.config_resource import ConfigResourceType
from aiokafka.client import AIOKafkaClient
from aiokafka.errors import KafkaError, TopicAlreadyExistsError, UnknownTopicOrPartitionError, for_code
from aiokafka.protocol.admin import ApiVersionRequest, CreateTopicsRequest, DescribeConfigsRequest
from aiokafka.protocol.metadata import MetadataRequest

from gateway.contract.topics import Topics
from gateway.settings import Settings
from gateway.streams.clients import Clients, close
from gateway.streams.closing import start
from gateway.streams.topic_rules import (
    INTERNAL_TOPICS,
    Difference,
    LiveCluster,
    LiveTopic,
    Severity,
    differences,
    wanted_configs,
)

__all__ = ["ApplyReport", "Difference", "KafkaUnreachableError", "Severity", "apply", "check"]

DEADLINE_S = 60.0
"""For all of it: a controller under load takes seconds to create two dozen topics."""

CREATE_TIMEOUT_MS = 30_000
"""How long the controller may take before it answers that it is not done."""

SETTLE_PAUSE_S = 0.05
"""Between two looks whether every broker has heard of the new topics."""


class KafkaUnreachableError(Exception):
    """No broker answered in time."""


@dataclass(frozen=True, slots=True)
class ApplyReport:
    """What `apply` did: topics created and found, those Kafka refused with its reason, and what `check` says now."""

    created: tuple[str, ...]
    existed: tuple[str, ...]
    failed: Mapping[str, str]
    differences: tuple[Difference, ...]


async def apply(settings: Settings) -> ApplyReport:
    """Create the topics that are missing, then check all. KafkaUnreachableError when no broker answers."""
    topics = Topics(settings.topics.prefix)
    async with _connected(settings) as client:
        missing = set(topics.names) - (await _described(client, topics.names)).keys()
        failed, raced = await _create(client, topics, settings, missing)
        await _settled(client, missing - failed.keys())
        live = await _live(client, topics)
    return ApplyReport(
        created=tuple(name for name in topics.names if name in missing - failed.keys() - raced),
        existed=tuple(name for name in topics.names if name not in missing or name in raced),
        failed=failed,
        differences=tuple(differences(live, topics, settings.topics)),
    )


async def check(settings: Settings) -> list[Difference]:
    """Every difference between the live topics and the contract. KafkaUnreachableError when no broker answers."""
    topics = Topics(settings.topics.prefix)
    async with _connected(settings) as client:
        return differences(await _live(client, topics), topics, settings.topics)


@contextlib.asynccontextmanager
async def _connected(settings: Settings) -> AsyncIterator[AIOKafkaClient]:
    client = Clients(settings.kafka).bare("topics")
    try:
        async with asyncio.timeout(DEADLINE_S):
            await start(client)
            yield client
    except (KafkaError, OSError, TimeoutError) as error:
        servers = settings.kafka.bootstrap_servers
        raise KafkaUnreachableError(f"no usable answer from {servers}: {error!r}") from error
    finally:
        await close(client)


async def _create(
    client: AIOKafkaClient, topics: Topics, settings: Settings, missing: Iterable[str]
) -> tuple[dict[str, str], set[str]]:
    """Topics that could not be created, with the reason, and those somebody else created at the same time."""
    wanted: list[Any] = [
        (
            spec.name,
            settings.topics.count(spec.count),
            settings.topics.replication_factor,
            [],  # replicas are placed by the controller
            list(wanted_configs(spec, settings.topics).items()),
        )
        for spec in topics.specs
        if spec.name in missing
    ]
    if not wanted:
        return {}, set()
    # In KRaft mode any broker takes it and passes it on to the controller.
    request = CreateTopicsRequest(wanted, CREATE_TIMEOUT_MS, False)
    answer = await _send(client, client.get_random_node(), request)
    failed: dict[str, str] = {}
    raced: set[str] = set()
    for result in answer["topic_errors"]:
        if not result["error_code"]:
            continue
        error = for_code(result["error_code"])
        if error is TopicAlreadyExistsError:
            raced.add(result["topic"])
        else:
            failed[result["topic"]] = f"{error.__name__}: {result['error_message'] or 'no reason given'}"
    return failed, raced


async def _settled(client: AIOKafkaClient, created: set[str]) -> None:
    """Wait until every broker knows the new topics and a leader of each partition (K18)."""
    if not created:
        return
    await client.force_metadata_update()
    for broker in client.cluster.brokers():
        while True:
            described = await _metadata(client, broker.nodeId, sorted(created))
            partitions = [partition for topic in described for partition in topic["partitions"]]
            known = all(not topic["error_code"] for topic in described)
            if known and all(not partition["error_code"] for partition in partitions):
                break
            await asyncio.sleep(SETTLE_PAUSE_S)


async def _live(client: AIOKafkaClient, topics: Topics) -> LiveCluster:
    described = await _described(client, (*topics.names, *INTERNAL_TOPICS))
    unreadable = {name: topic for name, topic in described.items() if isinstance(topic, str)}
    readable = {name: topic for name, topic in described.items() if not isinstance(topic, str)}
    live: dict[str, LiveTopic] = {}
    if readable:
        resources = [(int(ConfigResourceType.TOPIC), name, None) for name in readable]
        answer = await _send(client, client.get_random_node(), DescribeConfigsRequest(resources, False))
        for resource in answer["resources"]:
            name = resource["resource_name"]
            if resource["error_code"]:
                unreadable[name] = f"{for_code(resource['error_code']).__name__} for its configuration"
            configs = {entry["config_names"]: entry["config_value"] for entry in resource["config_entries"]}
            partitions = readable[name]
            live[name] = LiveTopic(
                len(partitions), min((len(each["replicas"]) for each in partitions), default=0), configs
            )
    apis: dict[int, frozenset[int]] = {}
    for broker in client.cluster.brokers():
        answer = await _send(client, broker.nodeId, ApiVersionRequest())
        apis[broker.nodeId] = frozenset(api["api_key"] for api in answer["api_versions"])
    return LiveCluster(live, unreadable, apis)


async def _described(client: AIOKafkaClient, names: Iterable[str]) -> dict[str, list[dict[str, Any]] | str]:
    """Partitions of the topics that exist, or in words why they cannot be seen."""
    found: dict[str, list[dict[str, Any]] | str] = {}
    for topic in await _metadata(client, client.get_random_node(), list(names)):
        if not topic["error_code"]:
            found[topic["topic"]] = topic["partitions"]
        elif (error := for_code(topic["error_code"])) is not UnknownTopicOrPartitionError:
            found[topic["topic"]] = error.__name__
    return found


async def _metadata(client: AIOKafkaClient, node: int | None, names: list[str]) -> list[dict[str, Any]]:
    # False: a broker with auto.create.topics.enable must not create, with its defaults, what we only ask about.
    answer = await _send(client, node, MetadataRequest(names, False))
    topics: list[dict[str, Any]] = answer["topics"]
    return topics


async def _send(client: AIOKafkaClient, node: int | None, request: Any) -> dict[str, Any]:
    answer: dict[str, Any] = (await client.send(node, request)).to_object()
    return answer
