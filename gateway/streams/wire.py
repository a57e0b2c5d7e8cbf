"""Two Kafka requests that aiokafka 0.14 does not build itself: Metadata v12 and ListOffsets v5.

The barrier needs from them what older versions lack: the topic's id (KIP-516), which tells a re-created topic from the
one we know, and leader epochs (KIP-320), with which a broker that is no longer or not yet the leader says so instead
of answering. Brokers since Kafka 3.0 speak both. Field names and types: Apache Kafka's own message definitions
(clients/src/main/resources/common/message).
"""

from __future__ import annotations

from io import BytesIO
from typing import NamedTuple

from aiokafka.client import AIOKafkaClient
from aiokafka.errors import for_code
from aiokafka.protocol.abstract import AbstractType
from aiokafka.protocol.api import Request, RequestStruct, Response
from aiokafka.protocol.types import (
    Array,
    Boolean,
    CompactArray,
    CompactString,
    Int8,
    Int16,
    Int32,
    Int64,
    Schema,
    String,
    TaggedFields,
)

LATEST = -1
"""ListOffsets timestamp that asks for the end of the partition."""

READ_UNCOMMITTED = 0
"""Isolation under which the end is the high watermark: an open transaction hides nothing behind it."""

NO_REPLICA = -1
"""Replica id of a consumer."""


class Uuid(AbstractType[bytes]):
    """16 bytes, as they are."""

    @classmethod
    def encode(cls, value: bytes) -> bytes:
        return value

    @classmethod
    def decode(cls, data: BytesIO) -> bytes:
        return data.read(16)


_UNNAMED_TOPIC = bytes(16)
_NAME = CompactString("utf-8")
_TAGS = ("tags", TaggedFields)


class MetadataResponseV12(Response):
    API_KEY = 3
    API_VERSION = 12
    SCHEMA = Schema(
        ("throttle_time_ms", Int32),
        (
            "brokers",
            CompactArray(("node_id", Int32), ("host", _NAME), ("port", Int32), ("rack", _NAME), _TAGS),
        ),
        ("cluster_id", _NAME),
        ("controller_id", Int32),
        (
            "topics",
            CompactArray(
                ("error_code", Int16),
                ("name", _NAME),
                ("topic_id", Uuid),
                ("is_internal", Boolean),
                (
                    "partitions",
                    CompactArray(
                        ("error_code", Int16),
                        ("partition", Int32),
                        ("leader", Int32),
                        ("leader_epoch", Int32),
                        ("replicas", CompactArray(Int32)),
                        ("isr", CompactArray(Int32)),
                        ("offline_replicas", CompactArray(Int32)),
                        _TAGS,
                    ),
                ),
                ("authorized_operations", Int32),
                _TAGS,
            ),
        ),
        _TAGS,
    )


class _MetadataRequestV12(RequestStruct):
    FLEXIBLE_VERSION = True
    API_KEY = 3
    API_VERSION = 12
    RESPONSE_TYPE = MetadataResponseV12
    SCHEMA = Schema(
        ("topics", CompactArray(("topic_id", Uuid), ("name", _NAME), _TAGS)),
        ("allow_auto_topic_creation", Boolean),
        ("include_topic_authorized_operations", Boolean),
        _TAGS,
    )


class TopicMetadataRequest(Request[_MetadataRequestV12]):
    """What one broker knows of one topic; never creates it."""

    API_KEY = 3

    def __init__(self, topic: str) -> None:
        self._topic = topic

    def build(self, request_struct_class: type[_MetadataRequestV12]) -> _MetadataRequestV12:
        return request_struct_class([(_UNNAMED_TOPIC, self._topic, {})], False, False, {})


class ListOffsetsResponseV5(Response):
    API_KEY = 2
    API_VERSION = 5
    SCHEMA = Schema(
        ("throttle_time_ms", Int32),
        (
            "topics",
            Array(
                ("topic", String("utf-8")),
                (
                    "partitions",
                    Array(
                        ("partition", Int32),
                        ("error_code", Int16),
                        ("timestamp", Int64),
                        ("offset", Int64),
                        ("leader_epoch", Int32),
                    ),
                ),
            ),
        ),
    )


class _ListOffsetsRequestV5(RequestStruct):
    API_KEY = 2
    API_VERSION = 5
    RESPONSE_TYPE = ListOffsetsResponseV5
    SCHEMA = Schema(
        ("replica_id", Int32),
        ("isolation_level", Int8),
        (
            "topics",
            Array(
                ("topic", String("utf-8")),
                (
                    "partitions",
                    # aiokafka's own v4 writes the epoch as 64 bits, which no broker reads
                    Array(("partition", Int32), ("current_leader_epoch", Int32), ("timestamp", Int64)),
                ),
            ),
        ),
    )


class HighWatermarksRequest(Request[_ListOffsetsRequestV5]):
    """The high watermarks of partitions, from the leader of the named epochs or an error."""

    API_KEY = 2

    def __init__(self, topic: str, epochs: dict[int, int]) -> None:
        self._topic = topic
        self._epochs = epochs

    def build(self, request_struct_class: type[_ListOffsetsRequestV5]) -> _ListOffsetsRequestV5:
        partitions = [(partition, epoch, LATEST) for partition, epoch in self._epochs.items()]
        return request_struct_class(NO_REPLICA, READ_UNCOMMITTED, [(self._topic, partitions)])


class PartitionLeadership(NamedTuple):
    """Who leads a partition, as one broker knows it: `leader` is -1 for nobody, `epoch` grows with every leader."""

    leader: int
    epoch: int
    replicas: tuple[int, ...]


class TopicMetadata(NamedTuple):
    """One broker's picture of a topic. `error` is Kafka's code; then the rest says nothing."""

    error: int
    topic_id: str
    partitions: dict[int, PartitionLeadership]


def topic_metadata(answer: MetadataResponseV12) -> TopicMetadata:
    """Read the one topic of a TopicMetadataRequest's answer."""
    ((error, _, topic_id, _, partitions, _, _),) = answer.topics  # type: ignore[attr-defined]  # set by its schema
    return TopicMetadata(
        error,
        topic_id.hex(),
        {
            partition: PartitionLeadership(-1 if failed else leader, epoch, tuple(sorted(replicas)))
            for failed, partition, leader, epoch, replicas, *_ in partitions
        },
    )


async def ask_topic(client: AIOKafkaClient, topic: str) -> TopicMetadata:
    """What any one broker knows of the topic. KafkaError: also the broker's own, such as that there is none."""
    found = topic_metadata(await client.send(client.get_random_node(), TopicMetadataRequest(topic)))
    if found.error:
        raise for_code(found.error)
    return found


def high_watermarks(answer: ListOffsetsResponseV5) -> tuple[dict[int, int], dict[int, int]]:
    """End offsets by partition, and Kafka's error codes by partition."""
    ends: dict[int, int] = {}
    errors: dict[int, int] = {}
    for _, partitions in answer.topics:  # type: ignore[attr-defined]  # set by its schema
        for partition, error, _, offset, _ in partitions:
            if error:
                errors[partition] = error
            else:
                ends[partition] = offset
    return ends, errors
