"""Keeps a small compacted topic in memory: the newest record of each key, for whoever decides by it.

Theory of operation. A session reads all partitions without a group, committed records only, from the beginning into a
new table. When it has reached the ends that the topic had when the session began, the new table takes the place of the
old one, and what comes later is applied to it as it comes. Any error ends the session, and the next one reads anew;
until that is done the table of the last one stays, so an outage changes nothing for those who look things up.

Re-created topics and added partitions: the topic's id and partitions are asked for again every `LOOK_EVERY_S`; others
than the session began with end it. So what a re-created topic no longer says is forgotten.

It is for topics of some 100,000 keys, which are read in seconds; there is no barrier and no position to keep.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Generic, Protocol, TypeVar

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError, UnknownTopicOrPartitionError

from gateway.contract.log import LogRecord
from gateway.streams.clients import Clients, close
from gateway.streams.closing import start
from gateway.streams.misnamed import read
from gateway.streams.wire import TopicMetadata, ask_topic

log = logging.getLogger(__name__)

WAIT_MS = 250
"""Longest wait of one fetch and one poll; both end with the first record."""

BATCH_RECORDS = 5_000
"""Most records applied in one go: the event loop is blocked for some 10 ms."""

SETUP_DEADLINE_S = 15.0
"""For opening a session against a slow cluster."""

LOOK_EVERY_S = 5.0
"""Between two looks at the topic's id and partitions, and how long nothing may be read while something is there."""

FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.1, 2.0
"""Between sessions, doubling."""


class Table(Protocol):
    def apply(self, records: Sequence[LogRecord]) -> None:
        """Records of one partition, in order."""


Filled = TypeVar("Filled", bound=Table)


class _AnotherTopicError(Exception):
    """The topic is not the one that the session began with."""


class CompactedTopic(Generic[Filled]):
    """`run` until cancelled. `install` gets each new table once it has all that the topic held."""

    def __init__(
        self, clients: Clients, topic: str, new_table: Callable[[], Filled], install: Callable[[Filled], None]
    ) -> None:
        self._clients = clients
        self._topic = topic
        self._new_table = new_table
        self._install = install
        self.loaded = asyncio.Event()
        """Set when the first table is installed, and then for ever."""
        self.problem: str | None = None
        """Why nothing new is learnt at present, for the operator."""

    async def run(self) -> None:
        pause = FIRST_PAUSE_S
        while True:
            try:
                await self._session()
            except _AnotherTopicError as error:
                log.warning("%s is read anew: %s", self._topic, error)
                pause = FIRST_PAUSE_S
            except (KafkaError, OSError, TimeoutError) as error:
                if self.problem is None:
                    log.warning("following %s is interrupted: %r", self._topic, error)
                else:
                    pause = min(pause * 2, LONGEST_PAUSE_S)
                self.problem = f"{self._topic} cannot be read: {error!r}"
            await asyncio.sleep(pause)

    async def _session(self) -> None:
        consumer = self._clients.reader(WAIT_MS)
        try:
            async with asyncio.timeout(SETUP_DEADLINE_S):
                await start(consumer)
                began_with = await self._described(consumer)
                partitions = [TopicPartition(self._topic, number) for number in sorted(began_with.partitions)]
                begins = await consumer.beginning_offsets(partitions)
                ends = await consumer.end_offsets(partitions)
            consumer.assign(partitions)
            for partition, begin in begins.items():
                consumer.seek(partition, begin)
            await self._follow(consumer, began_with, ends)
        finally:
            await close(consumer)

    async def _follow(
        self, consumer: AIOKafkaConsumer, began_with: TopicMetadata, ends: Mapping[TopicPartition, int]
    ) -> None:
        table, installed = self._new_table(), False
        clock = asyncio.get_running_loop().time
        looked = clock()
        before = positions = await _positions(consumer)
        while True:
            for records in (await read(consumer, positions, WAIT_MS, BATCH_RECORDS)).values():
                table.apply(records)
            positions = await _positions(consumer)
            if not installed and all(positions[partition] >= end for partition, end in ends.items()):
                self._install(table)
                installed = True
                self._loaded()
            if clock() - looked > LOOK_EVERY_S:
                async with asyncio.timeout(SETUP_DEADLINE_S):
                    await self._look(consumer, began_with, before)
                looked, before = clock(), positions
            await asyncio.sleep(0)  # while loading, getmany never has to wait: let the others run

    def _loaded(self) -> None:
        if self.problem is not None:
            log.warning("%s is followed again", self._topic)
        self.problem = None
        self.loaded.set()

    async def _look(
        self, consumer: AIOKafkaConsumer, began_with: TopicMetadata, before: Mapping[TopicPartition, int]
    ) -> None:
        """Whether it is still this topic, and whether the fetcher, which dies without a word (K15), still fetches."""
        now = await self._described(consumer)
        if now.topic_id != began_with.topic_id:
            raise _AnotherTopicError(f"it was re-created, its topic id is {now.topic_id}")
        if now.partitions.keys() != began_with.partitions.keys():
            raise _AnotherTopicError(f"it has {len(now.partitions)} partitions")
        ends = await consumer.end_offsets(list(before))
        for partition, position in before.items():
            if await consumer.position(partition) == position < ends[partition]:
                raise TimeoutError(f"nothing read from partition {partition.partition} for {LOOK_EVERY_S:g} s")
            if position > ends[partition]:
                raise _AnotherTopicError(f"partition {partition.partition} ends before what was read")

    async def _described(self, consumer: AIOKafkaConsumer) -> TopicMetadata:
        try:
            return await ask_topic(consumer._client, self._topic)
        except UnknownTopicOrPartitionError:
            raise OSError("there is no such topic; `sendguard topics apply` creates it") from None


async def _positions(consumer: AIOKafkaConsumer) -> dict[TopicPartition, int]:
    return {partition: await consumer.position(partition) for partition in consumer.assignment()}
