"""Two owners of one partition: whatever moment one stops at and the other takes over, each request is decided once.

The lanes are driven by hand, so that the one moment that matters comes for certain. The doubles lack what fences: ids
that belong to the partition (K6), and the order "fence, then ask for the offset" (K7). All interleavings of fencing
and turns are walked in tests/streams/test_fence_model.py.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

from aiokafka import AIOKafkaProducer, TopicPartition
from aiokafka.errors import KafkaError

from gateway.guard.guard import Guard
from gateway.streams.clients import Clients, close
from gateway.streams.lane import Lane
from gateway.streams.outputs import Outputs
from gateway.streams.quorum import NotFreshError
from gateway.streams.resuming import CommittedOffset, FindOutputsEnd
from gateway.streams.worker import Batch
from tests.faults.checker import Report
from tests.faults.inside import parts_inside, whole_guard
from tests.faults.stage import REQUESTS, Stage, contacts, judged

READ_S = 30.0
"""For a batch that is known to be there."""


class IdsOfItsOwn(Lane):
    """Transactional ids that belong to the owner, not to the partition: a new owner fences nobody (K6)."""

    owners = 0

    def __init__(self, clients: Clients, group_id: str, partition: TopicPartition) -> None:
        IdsOfItsOwn.owners += 1
        self._name = f"owner-{IdsOfItsOwn.owners}"
        super().__init__(_Renaming(clients, self._name), group_id, partition)


class _Renaming(Clients):
    def __init__(self, clients: Clients, owner: str) -> None:
        self.__dict__ |= clients.__dict__
        self._owner = owner

    def transactional_producer(self, transactional_id: str) -> AIOKafkaProducer:
        return super().transactional_producer(f"{transactional_id}-{self._owner}")


class AsksBeforeFencing(Lane):
    """Asks where the outputs end and for the committed offset first, and fences the former owner then (K7)."""

    async def open(self, committed: CommittedOffset, outputs_end: FindOutputsEnd) -> None:
        ended = await outputs_end(self._partition.partition)
        asked = await committed(self._partition)

        async def remembered(_: TopicPartition) -> int | None:
            return asked

        async def remembered_end(_: int) -> int | None:
            return ended

        await super().open(remembered, remembered_end)


@contextlib.asynccontextmanager
async def two_owners(stage: Stage, kind: type[Lane]) -> AsyncIterator[tuple[Lane, Lane, Guard, CommittedOffset]]:
    """Two lanes of one partition, neither open yet, the guard, and where to read the committed offset."""
    async with parts_inside(stage.settings) as parts:
        partition = TopicPartition(parts.topics.requests, 0)
        group_id = stage.settings.guard.group_id
        offsets = parts.clients.member(group_id, None, 10_000)
        await offsets.start()
        lanes = [kind(parts.clients, group_id, partition) for _ in range(2)]
        try:
            yield lanes[0], lanes[1], whole_guard(parts), offsets.committed
        finally:
            await asyncio.gather(close(offsets), *(lane.close() for lane in lanes))


async def decide(lane: Lane, guard: Guard) -> tuple[Outputs, int]:
    """Steps 4 to 6; asked again while the view is not fresh, as the engine does."""
    async with asyncio.timeout(READ_S):
        while not (records := await lane.read(REQUESTS)):
            pass
        while True:
            outputs = lane.outputs()
            with contextlib.suppress(NotFreshError):
                await guard(Batch(lane._partition, records), outputs)
                return outputs, await lane.position()


async def frozen_with_a_batch_in_hand(stage: Stage, kind: type[Lane]) -> Report:
    """The first owner has decided a batch and stops there; a second takes over; the first wakes and delivers."""
    await asyncio.to_thread(stage.sender().request, *contacts())
    async with two_owners(stage, kind) as (first, second, guard, committed):
        await first.open(committed, guard.outputs_end)
        in_hand = await decide(first, guard)
        await second.open(committed, guard.outputs_end)
        await second.deliver(*await decide(second, guard))
        with contextlib.suppress(KafkaError):
            await first.deliver(*in_hand)
    return await asyncio.to_thread(judged, stage)


async def test_an_owner_that_wakes_with_a_batch_in_hand_cannot_deliver_it_any_more(stage: Stage) -> None:
    assert (await frozen_with_a_batch_in_hand(stage, Lane)).count == 0


async def test_without_transactional_ids_of_the_partition_the_woken_owner_decides_twice(stage: Stage) -> None:
    report = await frozen_with_a_batch_in_hand(stage, IdsOfItsOwn)
    assert any("has 2 decisions" in violation for violation in report.violations), report


async def takes_over_while_the_other_delivers(stage: Stage, kind: type[Lane]) -> Report:
    """The first owner delivers just when the second has learnt the committed offset."""
    await asyncio.to_thread(stage.sender().request, *contacts())
    async with two_owners(stage, kind) as (first, second, guard, committed):
        await first.open(committed, guard.outputs_end)
        await first.deliver(*await decide(first, guard))
        await asyncio.to_thread(stage.sender().request, *contacts(REQUESTS))
        in_hand = await decide(first, guard)

        async def committed_then_delivered(partition: TopicPartition) -> int | None:
            offset = await committed(partition)
            with contextlib.suppress(KafkaError):
                await first.deliver(*in_hand)
            return offset

        await second.open(committed_then_delivered, guard.outputs_end)
        await second.deliver(*await decide(second, guard))
    return await asyncio.to_thread(judged, stage)


async def test_a_new_owner_that_fences_before_it_asks_for_the_offset_decides_nothing_twice(stage: Stage) -> None:
    assert (await takes_over_while_the_other_delivers(stage, Lane)).count == 0


async def test_without_fencing_first_the_new_owner_starts_from_an_old_offset_and_decides_twice(stage: Stage) -> None:
    report = await takes_over_while_the_other_delivers(stage, AsksBeforeFencing)
    assert any("has 2 decisions" in violation for violation in report.violations), report
