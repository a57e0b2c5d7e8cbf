"""What a partition's worker owns: one reader and the partition's transactional producers, made and closed together.

Theory of operation. Opening:

1. Start the producers ONE AFTER ANOTHER, ALWAYS IN THE SAME ORDER. Each start fences whoever had that transactional id
   before and ends its transaction, so of two owners that open at the same time only one can then deliver.
2. Read the group's committed offset: final only now, since every former transaction has ended (K7). It is checked
   against the outputs' end (`resuming`).
3. Seek the reader there.

Delivering a batch:

7. Begin on the next producer in turn, the FIRST ON NUMBER 0. In turn, because a producer whose last markers are still
   being written would wait 20 ms or more (K11).
8. Send the output batches.
9. Await every one: a commit does not notice a failed batch (K5).
10. Send the input offset into the transaction. Not while batches travel: a broker that verifies one just then makes it
    wait and be sent again.
11. Commit. Only then may the next transaction begin.

(4 to 6, read, barrier and decide, are the worker's.) Steps 1 and 7 in this order are what makes turns safe: with the
producers fenced in parallel, or the first transaction on another one, two owners can decide the same record.
`tests/streams/test_fence_model.py` walks all interleavings.

After any error a lane is closed and a new one opened: a producer that failed once must not be used again (K13).
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, ConsumerRecord, TopicPartition
from aiokafka.errors import IllegalOperation
from aiokafka.structs import RecordMetadata

from gateway.streams.clients import Clients, close
from gateway.streams.closing import Client, start
from gateway.streams.misnamed import read
from gateway.streams.outputs import Outputs
from gateway.streams.resuming import CommittedOffset, FindOutputsEnd, Group, position

PRODUCERS = 2
"""Transactional producers per partition. Part of the protocol, not a setting: owners with different numbers would not
fence each other completely and could decide twice."""

READ_MS = 100
"""Longest wait of one read; a read ends at once when records are there."""

READS_BEFORE_CHECK = 50
"""Empty reads before the reader's position is compared with the end: a dead fetch task is silent (K15)."""

DELIVERY_DEADLINE_S = 20.0
"""For opening, and for delivering one batch: longer than a leader election, shorter than a person's patience."""

RECORDS_BEFORE_RENEWAL = 2**30
"""Records written before the producers are renewed, all topics together: a producer's sequence numbers run out after
2^31 records on a partition (K12). It takes 40 ms, once in hours."""


class LaneError(Exception):
    """The lane cannot be relied on any more; a new one must be opened."""


class RequestsLostError(Exception):
    """The input's log no longer holds the next record to read: retention, or a re-created topic, removed some."""

    def __init__(self, partition: TopicPartition, next_offset: int, begin: int, end: int) -> None:
        super().__init__(
            f"{partition.topic}-{partition.partition}: next undecided offset is {next_offset}, "
            f"but the log holds {begin} to {end}; `sendguard skip` records the gap and goes on"
        )
        self.partition = partition
        self.next_offset = next_offset
        self.begin = begin
        self.end = end


def transactional_ids(group_id: str, partition: TopicPartition) -> list[str]:
    """The ids of a partition's producers, in the order in which they must be fenced."""
    return [f"{group_id}-{partition.topic}-{partition.partition}-{index}" for index in range(PRODUCERS)]


async def fence(clients: Clients, group_id: str, partition: TopicPartition, started: list[AIOKafkaProducer]) -> None:
    """Step 1. Appends to `started` as it goes, so that the caller can close what was started before an error."""
    for transactional_id in transactional_ids(group_id, partition):
        producer = clients.transactional_producer(transactional_id)
        started.append(producer)
        try:
            await start(producer)
        except AssertionError as error:  # aiokafka's, when every broker went away between two of its own steps
            raise LaneError(f"the producer {transactional_id} could not be started: {error!r}") from error


class Lane:
    """One reader and the producers of one partition; see the top of this file for the numbered steps."""

    def __init__(self, clients: Clients, group_id: str, partition: TopicPartition) -> None:
        self._clients = clients
        self._group_id = group_id
        self._partition = partition
        self._producers: list[AIOKafkaProducer] = []
        self._reader: AIOKafkaConsumer = clients.reader()
        self._transactions = 0
        self._written = 0
        self._empty_reads = 0
        self._behind_at: int | None = None
        self._next = 0

    async def open(self, committed: CommittedOffset, outputs_end: FindOutputsEnd) -> None:
        """Steps 1 to 3. RequestsLostError: the next record to read is not in the log any more."""
        async with asyncio.timeout(DELIVERY_DEADLINE_S):
            await fence(self._clients, self._group_id, self._partition, self._producers)
            await start(self._reader)
            group = Group(self._clients, self._group_id, committed)
            at = await position(self._reader, self._partition, group, outputs_end)
            if not at.begin <= at.next_offset <= at.end:
                raise RequestsLostError(self._partition, *at)
            self._reader.assign([self._partition])
            self._reader.seek(self._partition, at.next_offset)
            self._next = at.next_offset

    async def read(self, limit: int) -> Sequence[ConsumerRecord[bytes, bytes]]:
        """Step 4: the next records, at most `limit`; empty when none came within READ_MS."""
        if self._written >= RECORDS_BEFORE_RENEWAL:
            raise LaneError(f"the producers of {self._partition} are renewed after {self._written} records")
        positions = {self._partition: await self._reader.position(self._partition)}
        fetched = await read(self._reader, positions, READ_MS, limit)
        records = fetched.get(self._partition, [])
        if not records:
            self._empty_reads += 1
            if self._empty_reads % READS_BEFORE_CHECK == 0:
                await self._check_reader()
        elif records[0].offset < self._next:
            raise LaneError(f"{self._partition}: read offset {records[0].offset} instead of {self._next} or later")
        return records

    async def position(self) -> int:
        """The next offset to read, behind everything that `read` has returned."""
        self._next = int(await self._reader.position(self._partition))
        return self._next

    def outputs(self) -> Outputs:
        """An empty set of outputs for the next batch."""
        return Outputs(self._producers[0].create_batch, self._partition.partition)

    async def deliver(self, outputs: Outputs, next_offset: int) -> None:
        """Steps 7 to 11."""
        producer = self._producers[self._transactions % PRODUCERS]
        self._transactions += 1
        self._written += sum(batch.record_count() for _, batch in outputs.batches())
        async with asyncio.timeout(DELIVERY_DEADLINE_S):
            await producer.begin_transaction()
            await self._send(producer, outputs)
            await producer.send_offsets_to_transaction({self._partition: next_offset}, self._group_id)
            await producer.commit_transaction()

    async def _send(self, producer: AIOKafkaProducer, outputs: Outputs) -> list[RecordMetadata]:
        """Steps 8 and 9; where each batch begins."""
        number = outputs.partition
        sent: list[asyncio.Future[RecordMetadata]] = []
        try:
            for topic, batch in outputs.batches():
                if number not in await producer.partitions_for(topic):
                    raise LaneError(f"{topic} has no partition {number}: outputs must grow before inputs")
                sent.append(await producer.send_batch(batch, topic, partition=number))
                sent[-1].add_done_callback(_seen)
        except IllegalOperation as error:
            # aiokafka's word for a transaction that has failed meanwhile; why, is with what was sent before.
            await asyncio.gather(*sent)
            raise LaneError(f"the transaction ended before everything was sent: {error}") from error
        return [await delivered for delivered in sent]

    async def _check_reader(self) -> None:
        position = await self._reader.position(self._partition)
        end = (await self._reader.end_offsets([self._partition]))[self._partition]
        if position == self._behind_at:
            raise LaneError(f"the reader of {self._partition} stands still at {position}, the end is {end}")
        self._behind_at = position if position < end else None

    async def close(self) -> None:
        """Close the clients. A transaction that is open stays open: the next lane, here or elsewhere, ends it."""
        clients: list[Client] = [self._reader, *self._producers]
        closing = [asyncio.create_task(close(client), name="close lane") for client in clients]
        try:
            await asyncio.wait(closing)
        except asyncio.CancelledError:
            await asyncio.wait(closing)  # each has its deadline; one cancelled before it began would close nothing
            raise


def _seen(sent: asyncio.Future[RecordMetadata]) -> None:
    """After the first error the others are no news; asyncio would log them as never retrieved."""
    if not sent.cancelled():
        sent.exception()
