"""A tap on topics: reads what is committed there from the beginning on, as a member of no group and leaving no trace.

For watching and auditing. Records come in order within a partition; between partitions and topics there is no order.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from typing import TypeVar

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError, KafkaTimeoutError
from msgspec import Struct

from gateway.streams.clients import Clients, close
from gateway.streams.closing import start
from gateway.streams.topics import KafkaUnreachableError

Answer = TypeVar("Answer")

POLL_MS = 200
"""Longest wait of one poll; a poll ends at once when records are there."""

BATCH_RECORDS = 5_000
"""Most records handed over at a time."""

SILENCE_LIMIT_S = 15.0
"""Without an answer for so long while records are waiting, the cluster counts as unreachable."""


class Tapped(Struct, frozen=True, gc=False):
    """One committed record. `timestamp` in ms since the epoch, the broker's on LogAppendTime topics."""

    topic: str
    partition: int
    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, bytes], ...] = ()


class Tap:
    """Made by `tap`. Raises KafkaUnreachableError."""

    def __init__(self, consumer: AIOKafkaConsumer, partitions: Sequence[TopicPartition]) -> None:
        self._consumer = consumer
        self._partitions = partitions

    async def read(self) -> list[Tapped]:
        """The next records, none when none came within POLL_MS."""
        try:
            fetched = await self._consumer.getmany(timeout_ms=POLL_MS, max_records=BATCH_RECORDS)
        except (KafkaError, OSError) as error:
            raise KafkaUnreachableError(f"topics cannot be read: {error!r}") from error
        return [
            Tapped(
                record.topic,
                record.partition,
                record.offset,
                record.timestamp,
                record.key,
                record.value,
                tuple(record.headers),
            )
            for records in fetched.values()
            for record in records
        ]

    async def read_to_end(self) -> AsyncIterator[list[Tapped]]:
        """Everything committed before the call that was not read yet; maybe some of what came later."""
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(SILENCE_LIMIT_S):
                # read_committed: these are the last stable offsets
                ends = await _patiently(lambda: self._consumer.end_offsets(self._partitions))
        except (KafkaError, OSError, TimeoutError) as error:
            raise KafkaUnreachableError(f"topics cannot be read: {error!r}") from error
        heard = loop.time()
        while True:
            behind = [each for each in ends if await self._consumer.position(each) < ends[each]]
            if not behind:
                return
            if records := await self.read():
                heard = loop.time()
                yield records
            elif loop.time() - heard > SILENCE_LIMIT_S:
                raise KafkaUnreachableError(f"{behind[0].topic} cannot be read: no answer for {SILENCE_LIMIT_S:g} s")


@asynccontextmanager
async def tap(clients: Clients, topics: Sequence[str]) -> AsyncIterator[Tap]:
    """A tap on topics that exist, from their beginning. KafkaUnreachableError when no broker answers."""
    consumer = clients.reader()
    try:
        try:
            async with asyncio.timeout(SILENCE_LIMIT_S):
                await start(consumer)
                partitions = await _patiently(lambda: _partitions(consumer, topics))
                begins = await _patiently(lambda: consumer.beginning_offsets(partitions))
        except (KafkaError, OSError, TimeoutError) as error:
            raise KafkaUnreachableError(f"topics cannot be read: {error!r}") from error
        consumer.assign(partitions)
        for partition, begin in begins.items():
            consumer.seek(partition, begin)
        yield Tap(consumer, partitions)
    finally:
        await close(consumer)


async def _partitions(consumer: AIOKafkaConsumer, topics: Sequence[str]) -> list[TopicPartition]:
    await consumer.end_offsets([TopicPartition(topic, 0) for topic in topics])  # waits until the topics are known
    return [
        TopicPartition(topic, number)
        for topic in topics
        for number in sorted(consumer.partitions_for_topic(topic) or ())
    ]


async def _patiently(ask: Callable[[], Awaitable[Answer]]) -> Answer:
    """Ask again until the caller's deadline: the client gives up sooner than a busy broker answers."""
    while True:
        try:
            return await ask()
        except KafkaTimeoutError:
            continue
