"""The brokers as others see them: librdkafka, to set tests up and to judge what they did."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

from aiokafka.client import AIOKafkaClient
from confluent_kafka import (
    Consumer,
    IsolationLevel,
    KafkaError,
    KafkaException,
    Producer,
    TopicPartition,
)
from confluent_kafka.admin import (  # type: ignore[attr-defined]  # exported without being marked so
    AdminClient,
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
    OffsetSpec,
    ResourceType,
)
from confluent_kafka.cimpl import NewPartitions, NewTopic

from gateway.localkafka import LocalKafka
from gateway.settings import Settings
from gateway.streams.clients import Clients
from gateway.streams.closing import Client, close

Answer = TypeVar("Answer")

DEADLINE_S = 60.0
"""For whatever a test waits for: far above what it takes on a busy machine, so that only a defect reaches it."""

LOOK_EVERY_S = 0.01

QUIET = {"log_level": 0}
"""A broker that is killed on purpose is no news."""

Headers = list[tuple[str, str | bytes | None]]


def clients_for(kafka: LocalKafka) -> Clients:
    """Ours, with the product's settings."""
    return Clients(Settings.of(kafka_bootstrap_servers=kafka.bootstrap_servers).kafka)


async def until(happened: Callable[[], object], otherwise: Callable[[], object] = lambda: "it did not happen") -> None:
    """Wait for it; `otherwise` tells what is the case instead."""
    deadline = time.monotonic() + DEADLINE_S
    while not happened():
        assert time.monotonic() < deadline, otherwise()
        await asyncio.sleep(LOOK_EVERY_S)


async def until_awaited(happened: Callable[[], Awaitable[object]]) -> None:
    """Wait for what has to be asked for."""
    deadline = time.monotonic() + DEADLINE_S
    while not await happened():
        assert time.monotonic() < deadline, "it did not happen"
        await asyncio.sleep(LOOK_EVERY_S)


@asynccontextmanager
async def started(*clients: Client) -> AsyncIterator[None]:
    """Start them one after another; whatever happens, all are closed."""
    try:
        for client in clients:
            if isinstance(client, AIOKafkaClient):
                await client.bootstrap()
            else:
                await client.start()  # type: ignore[no-untyped-call]  # annotated in part
        yield
    finally:
        for client in clients:
            await close(client)


@dataclass(frozen=True, slots=True)
class Given:
    """A record as it is to be written."""

    value: bytes | None
    key: bytes | None = None
    headers: Headers | None = None


class Outsider:
    """Everything blocks: from async code use `asyncio.to_thread` for what takes long."""

    def __init__(self, bootstrap: str) -> None:
        self.bootstrap = bootstrap
        self._admin = AdminClient({**QUIET, "bootstrap.servers": bootstrap})
        self._in_group: dict[str, Consumer] = {}

    @classmethod
    def of(cls, kafka: LocalKafka) -> Outsider:
        return cls(kafka.bootstrap_servers)

    def create(self, topic: str, partitions: int = 1, replicas: int = -1, **config: object) -> str:
        """Create a topic whose leaders serve; `_` in a configuration's name stands for `.`. Returns its name."""
        named = {name.replace("_", "."): str(value) for name, value in config.items()}
        new = NewTopic(topic, partitions, replicas, config=named)
        self._admin.create_topics([new], operation_timeout=DEADLINE_S)[topic].result(DEADLINE_S)
        self._wait_served(topic, partitions)
        return topic

    def delete(self, topic: str) -> None:
        """Delete a topic; it may be created again then."""
        self._admin.delete_topics([topic], operation_timeout=DEADLINE_S)[topic].result(DEADLINE_S)
        self._patiently(lambda: self._is_gone(topic))

    def grow(self, topic: str, partitions: int) -> None:
        self._admin.create_partitions([NewPartitions(topic, partitions)])[topic].result(DEADLINE_S)
        self._wait_served(topic, partitions)

    def change(self, topic: str, **config: object) -> None:
        """Set configurations of a topic; `_` in a name stands for `.`."""
        entries = [
            ConfigEntry(name.replace("_", "."), str(value), incremental_operation=AlterConfigOpType.SET)
            for name, value in config.items()
        ]
        resource = ConfigResource(ResourceType.TOPIC, topic, incremental_configs=entries)
        for done in self._admin.incremental_alter_configs([resource]).values():
            done.result(DEADLINE_S)

    def delete_before(self, topic: str, offset: int, partition: int = 0) -> None:
        """What retention does."""
        for done in self._admin.delete_records([TopicPartition(topic, partition, offset)]).values():
            done.result(DEADLINE_S)

    def produce(
        self,
        topic: str,
        records: Sequence[bytes | Given],
        partition: int = 0,
        transactional_id: str | None = None,
        timestamp_ms: int = 0,
        client: Mapping[str, str] | None = None,
    ) -> None:
        """Write, acknowledged by all; in one transaction that is committed, if an id is given. Time 0 means now."""
        config = {
            **QUIET,
            "bootstrap.servers": self.bootstrap,
            "acks": "all",
            "enable.idempotence": True,
            **(client or {}),
        }
        if transactional_id is not None:
            config["transactional.id"] = transactional_id
        producer = Producer(config)
        if transactional_id is not None:
            producer.init_transactions(DEADLINE_S)
            producer.begin_transaction()
        failures: list[KafkaError] = []
        for each in records:
            given = Given(each) if isinstance(each, bytes) else each
            producer.produce(
                topic,
                given.value,
                given.key,
                partition,
                on_delivery=lambda error, _: failures.append(error) if error else None,
                timestamp=timestamp_ms,
                headers=given.headers or [],
            )
            producer.poll(0)
        assert producer.flush(DEADLINE_S) == 0
        assert not failures, failures
        if transactional_id is not None:
            producer.commit_transaction(DEADLINE_S)

    def open_transaction(
        self, topic: str, records: Sequence[bytes], transactional_id: str, partition: int = 0
    ) -> Producer:
        """Records acknowledged in a transaction that stays open; the caller ends it."""
        producer = Producer({**QUIET, "bootstrap.servers": self.bootstrap, "transactional.id": transactional_id})
        producer.init_transactions(DEADLINE_S)
        producer.begin_transaction()
        for value in records:
            producer.produce(topic, value, partition=partition)
        assert producer.flush(DEADLINE_S) == 0
        return producer

    def end(self, topic: str, partition: int = 0, *, committed: bool = False) -> int:
        """The high watermark, or what a `read_committed` reader may read up to."""
        return self._patiently(lambda: self._end(topic, partition, committed))

    def _end(self, topic: str, partition: int, committed: bool = False) -> int:
        level = IsolationLevel.READ_COMMITTED if committed else IsolationLevel.READ_UNCOMMITTED
        latest = OffsetSpec.latest()  # type: ignore[no-untyped-call]  # annotated in part
        asked = {TopicPartition(topic, partition): latest}
        (answer,) = self._admin.list_offsets(asked, isolation_level=level, request_timeout=DEADLINE_S).values()
        return int(answer.result(DEADLINE_S).offset)

    def read(self, topic: str, *, committed: bool = True) -> list[Any]:
        """All records a reader gets at this moment, partition by partition."""
        consumer = Consumer(
            {
                **QUIET,
                "bootstrap.servers": self.bootstrap,
                "group.id": "outsider",
                "enable.auto.commit": False,
                "isolation.level": "read_committed" if committed else "read_uncommitted",
                "enable.partition.eof": True,
                "auto.offset.reset": "earliest",
                "fetch.wait.max.ms": 20,
            }
        )
        try:
            partitions = consumer.list_topics(topic, DEADLINE_S).topics[topic].partitions
            consumer.assign([TopicPartition(topic, number, 0) for number in partitions])
            records: list[Any] = []
            left = len(partitions)
            while left:
                message = consumer.poll(DEADLINE_S)
                assert message is not None, f"{topic}: no answer"
                if (error := message.error()) is None:
                    records.append(message)
                else:
                    assert error.code() == KafkaError._PARTITION_EOF, error
                    left -= 1
            return sorted(records, key=lambda record: (record.partition(), record.offset()))
        finally:
            consumer.close()

    def values(self, topic: str, *, committed: bool = True) -> list[bytes | None]:
        return [record.value() for record in self.read(topic, committed=committed)]

    def committed_offset(self, group: str, topic: str, partition: int = 0) -> int | None:
        """The last one that is complete. One that waited for a transaction would keep a worker here from ending it."""
        if group not in self._in_group:
            config = {**QUIET, "bootstrap.servers": self.bootstrap, "isolation.level": "read_uncommitted"}
            self._in_group[group] = Consumer({**config, "group.id": group})
        consumer = self._in_group[group]
        (found,) = self._patiently(lambda: consumer.committed([TopicPartition(topic, partition)], DEADLINE_S))
        return None if found.offset < 0 else int(found.offset)

    def commit(self, group: str, topic: str, offset: int, partition: int = 0) -> None:
        consumer = Consumer({**QUIET, "bootstrap.servers": self.bootstrap, "group.id": group})
        try:
            place = TopicPartition(topic, partition, offset)
            (done,) = self._patiently(lambda: consumer.commit(offsets=[place], asynchronous=False))
        finally:
            consumer.close()
        assert done.error is None, done.error

    def forget_group(self, group: str) -> None:
        """Delete a group without members, and with it its offsets."""
        for done in self._admin.delete_consumer_groups([group]).values():
            done.result(DEADLINE_S)

    def leader(self, topic: str, partition: int = 0) -> int:
        """-1 for none."""
        return int(self._admin.list_topics(topic, DEADLINE_S).topics[topic].partitions[partition].leader)

    def in_sync(self, topic: str, partition: int = 0) -> set[int]:
        return set(self._admin.list_topics(topic, DEADLINE_S).topics[topic].partitions[partition].isrs)

    def _wait_served(self, topic: str, partitions: int) -> None:
        for number in range(partitions):
            self.end(topic, number)

    def _is_gone(self, topic: str) -> None:
        if self._admin.list_topics(topic, DEADLINE_S).topics[topic].error is None:
            raise KafkaException(KafkaError(KafkaError._IN_PROGRESS))

    def _patiently(self, step: Callable[[], Answer]) -> Answer:
        deadline = time.monotonic() + DEADLINE_S
        while True:
            try:
                return step()
            except KafkaException:
                if time.monotonic() > deadline:
                    raise
                time.sleep(LOOK_EVERY_S)
                self._admin = AdminClient({**QUIET, "bootstrap.servers": self.bootstrap})  # one that knows nothing old
