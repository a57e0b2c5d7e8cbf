"""A worker on one partition of a real broker, that copies numbered records, and what others see of its work."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from aiokafka import TopicPartition

from gateway.localkafka import LocalKafka
from gateway.streams.clients import Clients
from gateway.streams.closing import close
from gateway.streams.lane import Lane
from gateway.streams.outputs import Outputs
from gateway.streams.quorum import NotFreshError
from gateway.streams.resuming import CommittedOffset
from gateway.streams.worker import Batch, NewLane, PartitionWorker, WorkerSettings
from tests.kafka.outside import DEADLINE_S, Outsider, clients_for, until

SESSION_TIMEOUT_MS = 1_000
"""Short, because a fenced worker pauses for three fifths of it."""


@dataclass(frozen=True, slots=True)
class Stage:
    """Topics of one test: what is read, what is written."""

    outsider: Outsider
    name: str

    @classmethod
    def of(cls, kafka: LocalKafka, name: str, partitions: int = 1, *, max_output_bytes: int = 5_000_000) -> Stage:
        stage = cls(Outsider.of(kafka), name)
        stage.outsider.create(stage.requests, partitions)
        for topic in (stage.copies, stage.decisions):
            stage.outsider.create(topic, partitions, max_message_bytes=max_output_bytes)
        return stage

    @property
    def requests(self) -> str:
        return f"{self.name}-requests"

    @property
    def copies(self) -> str:
        return f"{self.name}-copies"

    @property
    def decisions(self) -> str:
        return f"{self.name}-decisions"

    @property
    def group(self) -> str:
        return f"{self.name}-group"

    @property
    def partition(self) -> TopicPartition:
        return TopicPartition(self.requests, 0)

    def settings(self, batch_records: int = 10) -> WorkerSettings:
        return WorkerSettings(self.group, batch_records, SESSION_TIMEOUT_MS)

    def request(self, values: Sequence[bytes], partition: int = 0) -> None:
        self.outsider.produce(self.requests, values, partition)

    def decided(self, partition: int = 0) -> list[int]:
        """The offsets a `read_committed` reader finds decisions of, in the order it finds them."""
        found = [record for record in self.outsider.read(self.decisions) if record.partition() == partition]
        return [int(record.value()) for record in found]

    def is_done(self, count: int, partition: int = 0) -> bool:
        return self.outsider.committed_offset(self.group, self.requests, partition) == count

    async def done(self, count: int, partition: int = 0) -> None:
        """Wait until the group's offset says so."""
        await until(lambda: self.is_done(count, partition), lambda: self.decided(partition))

    def is_exact(self, count: int, partition: int = 0) -> bool:
        """Every record decided once, in order, and its copy beside it."""
        copies = [record for record in self.outsider.read(self.copies) if record.partition() == partition]
        return self.decided(partition) == list(range(count)) and len(copies) == count

    async def exact(self, count: int, partition: int = 0) -> None:
        """What a judge finds once the last commit is visible; a record too many would stay."""
        await self.done(count, partition)
        await until(lambda: self.is_exact(count, partition), lambda: self.decided(partition))


def numbers(count: int) -> list[bytes]:
    """Values that tell their offset."""
    return [b"%d" % number for number in range(count)]


@dataclass
class Copier:
    """Writes each record's value to `copies` and its offset to `decisions`. Not fresh for the first so many calls."""

    stage: Stage
    not_fresh: int = 0
    outputs_end_at: int | None = None
    delivered_batches: list[list[int]] = field(default_factory=list)
    asked: list[list[int]] = field(default_factory=list)

    async def __call__(self, batch: Batch, outputs: Outputs) -> None:
        offsets = [record.offset for record in batch.records]
        self.asked.append(offsets)
        if self.not_fresh:
            self.not_fresh -= 1
            raise NotFreshError("not yet")
        for record in batch.records:
            value = b"stand-in" if batch.unwritable else record.value
            outputs.append(self.stage.copies, record.key, value, record.timestamp)
            outputs.append(self.stage.decisions, None, b"%d" % record.offset, record.timestamp)

    async def outputs_end(self, partition: int) -> int | None:
        return self.outputs_end_at

    def delivered(self, batch: Batch) -> None:
        self.delivered_batches.append([record.offset for record in batch.records])


@asynccontextmanager
async def group_offsets(clients: Clients, group: str) -> AsyncIterator[CommittedOffset]:
    """The committed offsets of a group, without being a member."""
    member = clients.member(group, None, 6_000)
    await member.start()
    try:
        yield member.committed
    finally:
        await close(member)


@asynccontextmanager
async def working(
    kafka: LocalKafka,
    stage: Stage,
    copier: Copier,
    *,
    new_lane: NewLane = Lane,
    batch_records: int = 10,
    clients: Clients | None = None,
) -> AsyncIterator[PartitionWorker]:
    """A worker, stopped in an orderly way; what it dies of comes out here."""
    clients = clients_for(kafka) if clients is None else clients
    async with group_offsets(clients, stage.group) as committed:
        settings = stage.settings(batch_records)
        worker = PartitionWorker(clients, settings, stage.partition, committed, copier, new_lane)
        try:
            yield worker
        finally:
            worker.stop()
            await asyncio.wait_for(worker.task, DEADLINE_S)


@asynccontextmanager
async def open_lane(kafka: LocalKafka, stage: Stage, ends: int | None = None) -> AsyncIterator[Lane]:
    """A lane by itself, open."""
    clients = clients_for(kafka)
    lane = Lane(clients, stage.group, stage.partition)

    async def outputs_end(_: int) -> int | None:
        return ends

    async with group_offsets(clients, stage.group) as committed:
        try:
            await lane.open(committed, outputs_end)
            yield lane
        finally:
            await lane.close()


async def read_some(lane: Lane, limit: int = 100) -> list[int]:
    """Offsets of the next records; waits for the first."""
    async with asyncio.timeout(DEADLINE_S):
        while not (records := await lane.read(limit)):
            pass
    return [record.offset for record in records]


def copies_of(lane: Lane, stage: Stage, offsets: Sequence[int]) -> Outputs:
    """What a copier would have written."""
    outputs = lane.outputs()
    for offset in offsets:
        outputs.append(stage.copies, None, b"x", 0)
        outputs.append(stage.decisions, None, b"%d" % offset, 0)
    return outputs
