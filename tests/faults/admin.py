"""What the tests do to topics, groups and leaders, with an independent client. Everything polls under a deadline."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import TypeVar

from confluent_kafka import ConsumerGroupTopicPartitions, KafkaException, TopicPartition
from confluent_kafka.admin import (  # type: ignore[attr-defined]  # exported without being marked so
    AdminClient,
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
    TopicMetadata,
)

from tests.faults.clients import options

PATIENCE_S = 60.0
"""For what takes seconds at most on an idle machine."""

ANSWER_S = 5.0
LOOK_S = 0.05
"""Between two looks at a condition; a look costs far less."""

Value = TypeVar("Value")


def until(what: str, look: Callable[[], Value | None], patience_s: float = PATIENCE_S) -> Value:
    """What `look` returns once it is neither None nor False."""
    deadline = time.monotonic() + patience_s
    while True:
        found = look()
        if found is not None and found is not False:
            return found
        if time.monotonic() > deadline:
            raise AssertionError(f"did not happen within {patience_s:g} s: {what}")
        time.sleep(LOOK_S)


class Admin:
    """`bootstrap` may name brokers that are down."""

    def __init__(self, bootstrap: str) -> None:
        self._client = AdminClient({**options(bootstrap)})

    def topic(self, topic: str) -> TopicMetadata | None:
        """As some broker knows it now, None when none does."""
        try:
            found: TopicMetadata = self._client.list_topics(topic, ANSWER_S).topics[topic]
        except (KafkaException, KeyError):
            return None
        return found if found.error is None and found.partitions else None

    def leader(self, topic: str, partition: int = 0) -> int:
        """The node that leads the partition; waits for one."""

        def look() -> int | None:
            found = self.topic(topic)
            leader = -1 if found is None else int(found.partitions[partition].leader)
            return leader if leader >= 0 else None

        return until(f"{topic}-{partition} has a leader", look)

    def wait_leader_other_than(self, node: int, topic: str, partition: int = 0) -> int:
        """The partition's new leader."""

        def look() -> int | None:
            leader = self.leader(topic, partition)
            return leader if leader != node else None

        return until(f"{topic}-{partition} gets another leader than {node}", look)

    def wait_in_sync(self, replicas: int) -> None:
        """Until every partition of the cluster has so many replicas in sync."""

        def look() -> bool:
            try:
                topics = self._client.list_topics(timeout=ANSWER_S).topics.values()
            except KafkaException:
                return False
            return all(
                len(partition.isrs) >= min(replicas, len(partition.replicas)) and partition.leader >= 0
                for topic in topics
                for partition in topic.partitions.values()
            )

        until("all replicas are in sync", look)

    def delete_topics(self, topics: Sequence[str]) -> None:
        """Those that are there; returns when no broker we ask knows them."""
        there = [topic for topic in topics if self.topic(topic) is not None]
        for deleted in self._client.delete_topics(there, operation_timeout=PATIENCE_S).values():
            deleted.result(PATIENCE_S)
        until(f"{topics} are gone", lambda: all(self.topic(topic) is None for topic in topics))

    def set_config(self, topic: str, name: str, value: str) -> None:
        entry = ConfigEntry(name, value, incremental_operation=AlterConfigOpType.SET)
        resource = ConfigResource(ConfigResource.Type.TOPIC, topic, incremental_configs=[entry])
        self._client.incremental_alter_configs([resource])[resource].result(PATIENCE_S)

    def delete_records_before(self, topic: str, partition: int, offset: int) -> None:
        """As retention does."""
        place = TopicPartition(topic, partition, offset)
        self._client.delete_records([place])[place].result(PATIENCE_S)

    def set_offsets(self, group_id: str, topic: str, offsets: Mapping[int, int]) -> None:
        """As `kafka-consumer-groups --reset-offsets` does; waits until the group has no member."""
        places = [TopicPartition(topic, number, offset) for number, offset in offsets.items()]
        wanted = ConsumerGroupTopicPartitions(group_id, places)

        def look() -> bool:
            try:
                self._client.alter_consumer_group_offsets([wanted])[group_id].result(PATIENCE_S)
            except KafkaException:  # not empty yet
                return False
            return True

        until(f"the offsets of {group_id} can be set", look)

    def delete_group(self, group_id: str) -> None:
        """With its offsets; waits until its last member counts as gone."""

        def look() -> bool:
            try:
                self._client.delete_consumer_groups([group_id])[group_id].result(PATIENCE_S)
            except KafkaException:  # not empty yet
                return False
            return True

        until(f"the group {group_id} can be deleted", look)
