"""Where a partition is gone on with: the group's committed offset, checked against the outputs themselves.

Theory of operation. A transaction commits outputs and offset together, so where the outputs end is where the offset
stands. They can still differ: an operator resets or deletes the group's offsets, the group expires, or brokers that
lost acknowledged records (unclean restarts, an internal topic with too few replicas) forget one half. The outputs are
what readers see, so they win:

* an offset behind the outputs' end would decide again what is decided;
* an offset ahead of them, with records between, would leave those undecided.

One offset is followed whatever the outputs say: that of `sendguard skip`, which carries `BY_HAND` as its metadata. A
person has looked, because requests are lost or the topic was re-created.

A leader or coordinator that was frozen and thaws can answer with the past for some 250 ms (K17), either of the two. So
a difference counts only once it was seen `SIGHTINGS` times, with new connections, over seconds; agreement counts at
once. Call it when the partition's producers are fenced, else the answers are not final (K7).
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import NamedTuple

from aiokafka import AIOKafkaConsumer, TopicPartition

from gateway.streams.clients import Clients

log = logging.getLogger(__name__)

SIGHTINGS = 4
"""Of the same difference, before it is believed."""

BETWEEN_SIGHTINGS_S = 0.5
"""Twice as long as a thawed broker was seen to answer with the past."""

BY_HAND = "sendguard skip"
"""Metadata of an offset that a person committed; the next one that a worker commits has none."""

POLL_MS = 200
"""Longest wait of one poll."""


class Position(NamedTuple):
    """The next offset to read, and what the log holds. `next_offset` may lie outside of it."""

    next_offset: int
    begin: int
    end: int


CommittedOffset = Callable[[TopicPartition], Awaitable[int | None]]
"""The group's committed offset of a partition, None when there is none."""

FindOutputsEnd = Callable[[int], Awaitable[int | None]]
"""The offset behind the input record of a partition number's last output; None when there is none, or when repeating
outputs does no harm."""


class Group(NamedTuple):
    """Whose offsets. `committed` may be a member's own way to ask."""

    clients: Clients
    group_id: str
    committed: CommittedOffset


async def position(
    reader: AIOKafkaConsumer, partition: TopicPartition, group: Group, outputs_end: FindOutputsEnd
) -> Position:
    """Where to go on. `reader` is started; its assignment is changed. KafkaError, TimeoutError."""
    seen: tuple[int, int] | None = None
    sightings = 0
    while True:
        offset, outputs = await group.committed(partition), await outputs_end(partition.partition)
        begin = (await reader.beginning_offsets([partition]))[partition]
        end = (await reader.end_offsets([partition]))[partition]
        if outputs is None:
            return Position(begin if offset is None else offset, begin, end)
        if offset is None:
            return Position(outputs, begin, end)
        right = await _right(reader, partition, Position(offset, begin, end), outputs)
        if right == offset or await group.clients.offset_metadata(group.group_id, partition) == BY_HAND:
            return Position(offset, begin, end)
        sightings = sightings + 1 if seen == (offset, outputs) else 1
        seen = (offset, outputs)
        if sightings == SIGHTINGS:
            log.error(
                "%s-%d: the group's offset is %d, but the outputs end at %d; going on at %d. The offset was reset, or "
                "brokers lost acknowledged records",
                *partition,
                offset,
                outputs,
                right,
            )
            return Position(right, begin, end)
        await asyncio.sleep(BETWEEN_SIGHTINGS_S)


async def _right(reader: AIOKafkaConsumer, partition: TopicPartition, committed: Position, outputs: int) -> int:
    """The committed offset, or where to go on in its stead."""
    offset, begin, end = committed
    if outputs > offset:
        return outputs
    undecided = max(outputs, begin)
    return undecided if await _holds_records(reader, partition, undecided, min(offset, end)) else offset


async def _holds_records(reader: AIOKafkaConsumer, partition: TopicPartition, start: int, end: int) -> bool:
    """Whether there is a committed record from `start` up to before `end`, not only markers of transactions."""
    if start >= end:
        return False
    reader.assign([partition])
    reader.seek(partition, start)
    while await reader.position(partition) < end:
        try:
            fetched = await reader.getmany(timeout_ms=POLL_MS)
        except UnicodeDecodeError:
            return True  # a record with a misnamed header is one, too
        if any(record.offset < end for record in fetched.get(partition, [])):
            return True
    return False
