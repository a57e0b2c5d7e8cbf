"""Reading all partitions of a topic from positions that the caller keeps, for ever; as a member of no group.

For who takes in a whole topic and stores what it says together with how far it came. A topic that was created again
(another id), or that no longer holds a position, is read from its beginning: callers take in twice what is there twice.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager

from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition
from aiokafka.errors import KafkaError
from msgspec import Struct

from gateway.streams.clients import Clients, close
from gateway.streams.closing import start
from gateway.streams.misnamed import read
from gateway.streams.topics import KafkaUnreachableError
from gateway.streams.wire import ask_topic

log = logging.getLogger(__name__)

POLL_MS = 250
"""Longest wait of one read; it ends at once when records are there."""

OPEN_DEADLINE_S = 15.0
"""For opening against a slow cluster."""

SILENCE_LIMIT_S = 10.0
"""Without a record for so long the ends are asked for: a fetch task that died is silent (K15)."""


class Entry(Struct, frozen=True, gc=False):
    """A record. `timestamp` in ms since the epoch."""

    partition: int
    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None


class Stretch(Struct, frozen=True):
    """Records, in order within a partition, and the next offset of each partition after them."""

    entries: Sequence[Entry]
    positions: Mapping[int, int]


class LogReader:
    """Made by `log_reader`. Raises KafkaUnreachableError; then it must be made anew."""

    def __init__(self, consumer: AIOKafkaConsumer, topic: str, topic_id: str, positions: dict[int, int]) -> None:
        self._consumer = consumer
        self._topic = topic
        self._positions = positions
        self._heard = asyncio.get_running_loop().time()
        self.topic_id = topic_id

    @property
    def positions(self) -> Mapping[int, int]:
        """The next offset of each partition, behind all that `read` has returned."""
        return dict(self._positions)

    async def ends(self) -> Mapping[int, int]:
        """Where the partitions end now."""
        with _unreachable(self._topic):
            async with asyncio.timeout(OPEN_DEADLINE_S):
                found = await self._consumer.end_offsets(self._partitions())
        return {tp.partition: end for tp, end in found.items()}

    async def read(self, limit: int) -> Stretch:
        """The next records, at most `limit` or some more; none when none came within POLL_MS."""
        with _unreachable(self._topic):
            entries = await self._read(limit)
            for tp in self._partitions():
                self._positions[tp.partition] = int(await self._consumer.position(tp))
        if entries:
            self._heard = asyncio.get_running_loop().time()
        elif asyncio.get_running_loop().time() - self._heard > SILENCE_LIMIT_S:
            await self._check()
        return Stretch(entries, self.positions)

    async def _read(self, limit: int) -> list[Entry]:
        fetched = await read(self._consumer, self._offsets(), POLL_MS, limit)
        return [_entry(record) for records in fetched.values() for record in records]

    async def _check(self) -> None:
        ends = await self.ends()
        count = len(self._consumer.partitions_for_topic(self._topic) or ())
        if count != len(self._positions):
            raise KafkaUnreachableError(f"{self._topic} has {count} partitions now")
        if any(self._positions[partition] < end for partition, end in ends.items()):
            raise KafkaUnreachableError(f"{self._topic}: nothing read for {SILENCE_LIMIT_S:g} s")
        self._heard = asyncio.get_running_loop().time()

    def _partitions(self) -> list[TopicPartition]:
        return list(self._offsets())

    def _offsets(self) -> dict[TopicPartition, int]:
        return {TopicPartition(self._topic, partition): at for partition, at in self._positions.items()}


@asynccontextmanager
async def log_reader(
    clients: Clients, topic: str, topic_id: str | None, offsets: Mapping[int, int], *, committed: bool
) -> AsyncIterator[LogReader]:
    """A reader of a topic that exists. `topic_id` and `offsets`: of what was taken in before, None and {} for nothing.

    `committed`: leave out what open and aborted transactions wrote. KafkaUnreachableError.
    """
    consumer = clients.reader() if committed else clients.state_follower()
    try:
        with _unreachable(topic):
            async with asyncio.timeout(OPEN_DEADLINE_S):
                found = await _topic_id(clients, topic)
                if topic_id not in (None, found):
                    log.warning("%s was created again, it is read from its beginning", topic)
                    offsets = {}
                await start(consumer)
                positions = await _positions(consumer, topic, offsets)
        yield LogReader(consumer, topic, found, positions)
    finally:
        await close(consumer)


class Ahead:
    """One read of a log under way, while the caller does something else."""

    def __init__(self, reader: LogReader, limit: int) -> None:
        self._reader = reader
        self._limit = limit
        self._task: asyncio.Task[Stretch] | None = None

    def task(self) -> asyncio.Task[Stretch]:
        """The read under way; one is begun if there is none."""
        if self._task is None:
            self._task = asyncio.create_task(self._reader.read(self._limit), name="read ahead")
        return self._task

    async def taken(self) -> Stretch:
        """What it has read. The next read is begun when somebody asks for its task."""
        found = await self.task()
        self._task = None
        return found

    async def end(self) -> None:
        """Before the reader is closed."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)


@asynccontextmanager
async def read_ahead(reader: LogReader, limit: int) -> AsyncIterator[Ahead]:
    """Reads of at most `limit` records, until the block ends."""
    ahead = Ahead(reader, limit)
    try:
        yield ahead
    finally:
        await ahead.end()


async def _positions(consumer: AIOKafkaConsumer, topic: str, offsets: Mapping[int, int]) -> dict[int, int]:
    await consumer.end_offsets([TopicPartition(topic, 0)])  # waits until the topic is known
    partitions = [TopicPartition(topic, number) for number in sorted(consumer.partitions_for_topic(topic) or ())]
    begins, ends = await consumer.beginning_offsets(partitions), await consumer.end_offsets(partitions)
    positions: dict[int, int] = {}
    for tp in partitions:
        at = offsets.get(tp.partition, begins[tp])
        if not begins[tp] <= at <= ends[tp]:
            log.warning("%s-%d holds %d to %d and not %d; read from its beginning", *tp, begins[tp], ends[tp], at)
            at = begins[tp]
        positions[tp.partition] = at
    consumer.assign(partitions)
    for tp in partitions:
        consumer.seek(tp, positions[tp.partition])
    return positions


async def _topic_id(clients: Clients, topic: str) -> str:
    client = clients.bare("topic-id")
    try:
        await start(client)
        return (await ask_topic(client, topic)).topic_id
    finally:
        await close(client)


@contextmanager
def _unreachable(topic: str) -> Iterator[None]:
    try:
        yield
    except (KafkaError, OSError, TimeoutError) as error:
        raise KafkaUnreachableError(f"{topic} cannot be read: {error!r}") from error


def _entry(record: ConsumerRecord[bytes, bytes]) -> Entry:
    return Entry(record.partition, record.offset, record.timestamp, record.key, record.value)
