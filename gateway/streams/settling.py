"""The engine for work that finishes out of order: one worker per partition number, one receipt for each input record.

Theory of operation. As in `lane` and `worker` one owner has the producers of a partition, fenced one after another in
fixed order, and outputs and offsets are committed in one transaction. What differs:

* The partition that is owned is the *output's* (`outbound.receipts`); its owner reads the same partition number of
  several input topics, and is the only one that writes that partition of the output.
* Inputs are finished in any order. The offset committed for an input partition is its *frontier*: all below it have a
  receipt. Beside it, as the offset's metadata, stands from where on the receipts tell what is finished above it.

Opening:

1. Fence the former owners' producers (`lane.fence`).
2. Read the frontiers and their metadata. Without an offset: the beginning of both. What was committed last is final
   now; a coordinator that answers with an older offset (K17) only makes step 3 longer.
3. Read the receipts from the oldest of these positions to their end, and keep whose receipt is there. A leader that was
   frozen and thaws shows an old end for some 250 ms, so the end counts only when it is still the same after longer.
4. Seek the reader to the frontiers.

Settling (committing) works as `Lane.deliver`: begin on the next producer in turn, the first on number 0; send; await
every one; offsets; commit.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition
from aiokafka.structs import OffsetAndMetadata

from gateway.streams.clients import Clients, close
from gateway.streams.closing import start
from gateway.streams.lane import (
    DELIVERY_DEADLINE_S,
    PRODUCERS,
    READS_BEFORE_CHECK,
    RECORDS_BEFORE_RENEWAL,
    Lane,
    LaneError,
    RequestsLostError,
    fence,
)
from gateway.streams.misnamed import read
from gateway.streams.outputs import Outputs
from gateway.streams.resuming import CommittedOffset, FindOutputsEnd
from gateway.streams.settled import wait_settled

POLL_MS = 100
"""Longest wait of one read."""

END_STANDS_S = 0.4
"""How long the receipts' end must stay the same: longer than a thawed leader was seen to answer with the past."""

SCAN_DEADLINE_S = 600.0
"""For step 3: some ten million receipts."""

SCAN_RECORDS = 5_000
"""Per read of the scan."""

METADATA = "receipts from "
"""Before the position in the metadata of a frontier."""

Record = ConsumerRecord[bytes, bytes]


class Frontier(NamedTuple):
    """What is committed for an input partition."""

    offset: int
    receipts_from: int


class Opened(NamedTuple):
    """Where to go on: frontiers by topic, and where the receipts ended when nobody else could write any more."""

    frontiers: Mapping[str, Frontier]
    receipts_end: int


TakeReceipt = Callable[[Record, Mapping[str, Frontier]], None]
"""Gets the receipts of step 3, in order, with the frontiers of step 2."""


class SettlingLane(Lane):
    """A reader of the inputs, a second one for reading records again, and the producers of one output partition."""

    def __init__(self, clients: Clients, group_id: str, partition: TopicPartition, inputs: Sequence[str]) -> None:
        super().__init__(clients, group_id, partition)
        self._inputs = [TopicPartition(topic, partition.partition) for topic in inputs]
        self._again: AIOKafkaConsumer | None = None
        self._again_at: TopicPartition | None = None
        self._again_next = 0
        self._behind: Mapping[TopicPartition, int] = {}

    async def open(self, committed: CommittedOffset, outputs_end: FindOutputsEnd) -> None:  # noqa: ARG002 - a lane's
        """Step 1."""
        async with asyncio.timeout(DELIVERY_DEADLINE_S):
            await fence(self._clients, self._group_id, self._partition, self._producers)
            await start(self._reader)
            for partition in self._inputs:
                if partition.partition not in await self._producers[0].partitions_for(partition.topic):
                    raise LaneError(f"{partition.topic} has no partition {partition.partition}")

    async def resume(self, take: TakeReceipt) -> Opened:
        """Steps 2 to 4. RequestsLostError: a frontier lies behind its log's end, which is another log's then."""
        async with asyncio.timeout(SCAN_DEADLINE_S):
            frontiers = await self._frontiers()
            await wait_settled(self._clients, [self._partition.topic], self._partition.partition)
            end = await self._scan(frontiers, take)
            self._reader.assign(self._inputs)
            for partition in self._inputs:
                self._reader.seek(partition, frontiers[partition.topic].offset)
            return Opened(frontiers, end)

    async def _frontiers(self) -> Mapping[str, Frontier]:
        """Step 2."""
        receipts_begin = (await self._reader.beginning_offsets([self._partition]))[self._partition]
        begins = await self._reader.beginning_offsets(self._inputs)
        ends = await self._reader.end_offsets(self._inputs)
        found = await self._committed()
        frontiers: dict[str, Frontier] = {}
        for partition in self._inputs:
            committed = found.get(partition)
            if committed is None or committed.offset < 0:
                frontiers[partition.topic] = Frontier(begins[partition], receipts_begin)
                continue
            if committed.offset > ends[partition]:
                raise RequestsLostError(partition, committed.offset, begins[partition], ends[partition])
            since = max(receipts_begin, _receipts_from(committed.metadata))
            frontiers[partition.topic] = Frontier(max(begins[partition], committed.offset), since)
        return frontiers

    async def _committed(self) -> Mapping[TopicPartition, OffsetAndMetadata]:
        admin = self._clients.admin()
        try:
            await start(admin)
            found: Mapping[TopicPartition, OffsetAndMetadata] = await admin.list_consumer_group_offsets(
                self._group_id, partitions=self._inputs
            )
            return found
        finally:
            await close(admin)

    async def _scan(self, frontiers: Mapping[str, Frontier], take: TakeReceipt) -> int:
        """Step 3; where the receipts end."""
        reader, receipts = self._reader, self._partition
        at = min(frontier.receipts_from for frontier in frontiers.values())
        reader.assign([receipts])
        reader.seek(receipts, at)
        since = None
        while True:
            end = (await reader.end_offsets([receipts]))[receipts]
            while at < end:
                fetched = await read(reader, {receipts: at}, POLL_MS, SCAN_RECORDS)
                for record in fetched.get(receipts, []):
                    take(record, frontiers)
                at = int(await reader.position(receipts))
            if since == at:
                return at
            since = at
            await asyncio.sleep(END_STANDS_S)

    async def read_inputs(self, limit: int) -> Mapping[str, tuple[Sequence[Record], int]]:
        """The next records by topic, and the next offset to read; nothing when none came within POLL_MS."""
        positions = {partition: int(await self._reader.position(partition)) for partition in self._inputs}
        fetched = await read(self._reader, positions, POLL_MS, limit)
        found: dict[str, tuple[Sequence[Record], int]] = {}
        for partition in self._inputs:
            position = int(await self._reader.position(partition))
            if position > positions[partition]:
                found[partition.topic] = fetched.get(partition, ()), position
        if not found:
            self._empty_reads += 1
            if self._empty_reads % READS_BEFORE_CHECK == 0:
                await self._check_inputs(positions)
        return found

    async def _check_inputs(self, positions: Mapping[TopicPartition, int]) -> None:
        """A dead fetch task is silent (K15): twice at the same place, and the end is behind it."""
        ends = await self._reader.end_offsets(self._inputs)
        behind = {partition: at for partition, at in positions.items() if at < ends[partition]}
        for partition, at in behind.items():
            if self._behind.get(partition) == at:
                raise LaneError(f"the reader of {partition} stands still at {at}, the end is {ends[partition]}")
        self._behind = behind

    async def read_again(self, topic: str, offset: int, limit: int) -> Sequence[Record]:
        """Records of an input that were read before, from `offset` on; at least one. TimeoutError.

        One call at a time. Going on where the last call ended is cheap, a jump costs a fetch.
        """
        partition = TopicPartition(topic, self._partition.partition)
        async with asyncio.timeout(DELIVERY_DEADLINE_S):
            if self._again is None:
                self._again = self._clients.reader()
                await start(self._again)
            if self._again_at != partition:
                self._again.assign([partition])
                self._again_at, self._again_next = partition, -1
            if self._again_next != offset:
                self._again.seek(partition, offset)
            while True:
                at = int(await self._again.position(partition))
                fetched = await read(self._again, {partition: at}, POLL_MS, limit)
                if records := fetched.get(partition):
                    self._again_next = records[-1].offset + 1
                    return records

    async def settle(self, outputs: Outputs, frontiers: Mapping[str, Frontier]) -> int:
        """Commit receipts and frontiers together. An offset below the receipts' end now; 0 when none was written."""
        producer = self._producers[self._transactions % PRODUCERS]
        self._transactions += 1
        self._written += sum(batch.record_count() for _, batch in outputs.batches())
        offsets = {
            TopicPartition(topic, self._partition.partition): OffsetAndMetadata(
                frontier.offset, f"{METADATA}{frontier.receipts_from}"
            )
            for topic, frontier in frontiers.items()
        }
        async with asyncio.timeout(DELIVERY_DEADLINE_S):
            await producer.begin_transaction()
            written = await self._send(producer, outputs)
            if offsets:
                await producer.send_offsets_to_transaction(offsets, self._group_id)
            await producer.commit_transaction()
        return max((each.offset + 1 for each in written), default=0)

    def renewal_due(self) -> bool:
        """Whether the producers' sequence numbers run out soon (K12): then a new lane is to be opened."""
        return self._written >= RECORDS_BEFORE_RENEWAL

    async def close(self) -> None:
        if self._again is not None:
            await close(self._again)
        await super().close()


def _receipts_from(metadata: str | None) -> int:
    """0 = from the beginning: an offset that somebody else committed."""
    text = (metadata or "").removeprefix(METADATA)
    return int(text) if text != metadata and text.isascii() and text.isdigit() else 0
