"""Going on behind requests that nobody can decide any more, and saying so where everybody can read it.

When the log no longer holds the next undecided request (retention deleted it, or the topic was re-created or lost its
end), the partition's worker stops rather than guess. What was lost is lost; an operator records the gap and moves on:

1. Look at the committed offset, and refuse if it lies in the log. It can only have moved on since, so this also
   spares a worker that is well.
2. Fence the partition's producers as a worker does, so that no worker delivers in between.
3. Look where a worker would go on: now it is final.
4. In ONE transaction, on the producer with number 0: the audit record and the new offset, marked as said by hand.

A running guard opens the stopped partition every few seconds, and fences us when that falls between 2 and 4: then it
is done again from 2 on.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from enum import StrEnum

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.errors import KafkaError, ProducerFenced
from aiokafka.structs import OffsetAndMetadata

from gateway.contract.topics import Topics
from gateway.streams.clients import Clients, close
from gateway.streams.closing import start
from gateway.streams.lane import LaneError, fence
from gateway.streams.resuming import BY_HAND, FindOutputsEnd, Group, position
from gateway.streams.topics import KafkaUnreachableError

log = logging.getLogger(__name__)

SKIPPED_FROM = "sg-skipped-from"
SKIPPED_THROUGH = "sg-skipped-through"
NEXT_OFFSET = "sg-next-offset"
REASON = "sg-reason"
ACTOR = "sg-actor"

DEADLINE_S = 45.0
"""For all of it: a transaction of the former owner may have to be ended first."""

SESSION_TIMEOUT_MS = 10_000
"""Of the consumer that reads the offset; it never joins the group."""


class ResumeAt(StrEnum):
    """Where to go on when the log ends below the committed offset."""

    EARLIEST = "earliest"
    LATEST = "latest"


class NothingLostError(Exception):
    """The next undecided request is in the log: there is nothing to skip."""


class AmbiguousError(Exception):
    """The log ends below the committed offset; only a person knows whether what it holds was decided before."""


@dataclass(frozen=True, slots=True)
class Skipped:
    """What was recorded: `skipped_from` up to and including `skipped_through` are not in the log any more."""

    partition: int
    skipped_from: int
    skipped_through: int
    next_offset: int


@dataclass(frozen=True, slots=True)
class SkipRequest:
    """Which partition, and who says so why. `resume_at` only for a log that ends below the committed offset."""

    group_id: str
    partition: int
    reason: str
    actor: str
    resume_at: ResumeAt | None = None


async def skip(clients: Clients, topics: Topics, request: SkipRequest, outputs_end: FindOutputsEnd) -> Skipped:
    """Skip what is lost. NothingLostError, AmbiguousError: refused, nothing changed. KafkaUnreachableError."""
    partition = TopicPartition(topics.requests, request.partition)
    try:
        async with asyncio.timeout(DEADLINE_S):
            await _refuse_if_well(clients, partition, request.group_id)  # 1
            while True:
                try:
                    return await _fence_and_record(clients, topics, request, outputs_end)
                except ProducerFenced:
                    log.info("partition %d was opened by a guard meanwhile: once more", request.partition)
    except (KafkaError, OSError, TimeoutError, LaneError) as error:
        raise KafkaUnreachableError(f"partition {request.partition} could not be skipped: {error!r}") from error


async def _fence_and_record(
    clients: Clients, topics: Topics, request: SkipRequest, outputs_end: FindOutputsEnd
) -> Skipped:
    """Steps 2 to 4. ProducerFenced: a worker opened the partition in between."""
    partition = TopicPartition(topics.requests, request.partition)
    producers: list[AIOKafkaProducer] = []
    try:
        await fence(clients, request.group_id, partition, producers)  # 2
        skipped = await _gap(clients, partition, request, outputs_end)  # 3
        await _record(producers[0], partition, topics.dead, request, skipped)  # 4
        return skipped
    finally:
        await asyncio.gather(*(close(producer) for producer in producers))


async def _refuse_if_well(clients: Clients, partition: TopicPartition, group_id: str) -> None:
    """NothingLostError: the committed offset lies in the log."""
    async with _connected(clients, group_id) as (member, reader):
        offset: int | None = await member.committed(partition)
        begin = (await reader.beginning_offsets([partition]))[partition]
        end = (await reader.end_offsets([partition]))[partition]
    if offset is not None and begin <= offset <= end:
        raise _nothing_lost(partition, offset, begin, end)


def _nothing_lost(partition: TopicPartition, next_offset: int, begin: int, end: int) -> NothingLostError:
    return NothingLostError(
        f"partition {partition.partition}: the next undecided offset is {next_offset} and the log holds {begin} to "
        f"{end}: nothing is lost"
    )


@asynccontextmanager
async def _connected(clients: Clients, group_id: str) -> AsyncIterator[tuple[AIOKafkaConsumer, AIOKafkaConsumer]]:
    """Who reads the group's offsets, outside the group since it subscribes to nothing, and a reader."""
    member, reader = clients.member(group_id, None, SESSION_TIMEOUT_MS), clients.reader()
    try:
        await start(member, reader)
        yield member, reader
    finally:
        await asyncio.gather(close(member), close(reader))


async def _gap(
    clients: Clients, partition: TopicPartition, request: SkipRequest, outputs_end: FindOutputsEnd
) -> Skipped:
    """What the log lacks. NothingLostError, AmbiguousError."""
    async with _connected(clients, request.group_id) as (member, reader):
        group = Group(clients, request.group_id, member.committed)
        next_offset, begin, end = await position(reader, partition, group, outputs_end)
    if begin <= next_offset <= end:
        raise _nothing_lost(partition, next_offset, begin, end)
    if next_offset < begin:
        return Skipped(request.partition, next_offset, begin - 1, begin)
    match request.resume_at:
        case ResumeAt.EARLIEST:
            return Skipped(request.partition, end, next_offset - 1, begin)
        case ResumeAt.LATEST:
            return Skipped(request.partition, end, next_offset - 1, end)
        case None:
            raise AmbiguousError(
                f"partition {request.partition}: offsets up to {next_offset} were decided, but the log holds only "
                f"{begin} to {end}. If it lost its end, what it holds was decided: --resume-at latest. If it was "
                f"re-created, what it holds is undecided: --resume-at earliest; the decision ids then begin again, so "
                f"whoever keeps them as seen must forget them"
            )


async def _record(
    producer: AIOKafkaProducer, partition: TopicPartition, dead: str, request: SkipRequest, skipped: Skipped
) -> None:
    headers = [
        (SKIPPED_FROM, str(skipped.skipped_from).encode()),
        (SKIPPED_THROUGH, str(skipped.skipped_through).encode()),
        (NEXT_OFFSET, str(skipped.next_offset).encode()),
        (REASON, request.reason.encode()),
        (ACTOR, request.actor.encode()),
    ]
    await producer.begin_transaction()
    sent = await producer.send(dead, value=None, key=b"", partition=partition.partition, headers=headers)
    await sent
    await producer.send_offsets_to_transaction(
        {partition: OffsetAndMetadata(skipped.next_offset, BY_HAND)}, request.group_id
    )
    await producer.commit_transaction()
