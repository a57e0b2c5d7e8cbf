"""Each mechanism of the engine against a double that lacks it: the same fault, the same checker, another verdict.

The fault is laid on by hand at its worst moment, so that no test waits for luck. With the mechanism the history is
right; without it the checker finds the violation the mechanism is there for. (The barrier: see test_freshness. All
interleavings of fencing and turns: tests/streams/test_fence_model.py. The view's batch: tests/view.)
"""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import ClassVar

import pytest
from aiokafka import AIOKafkaProducer, TopicPartition
from aiokafka.errors import KafkaError

from gateway.guard.guard import Guard
from gateway.localkafka import LocalKafka
from gateway.streams.clients import Clients, close
from gateway.streams.lane import PRODUCERS, CommittedOffset, Lane, LaneError, ResumeOffset
from gateway.streams.outputs import Outputs
from gateway.streams.worker import Batch
from gateway.view.table import View
from tests.faults.checker import Report, check
from tests.faults.history import Expected
from tests.faults.inside import Parts, guard_inside, ignore, no_region, parts_inside, whole_guard
from tests.faults.stage import Stage

REQUESTS = 40

READ_S = 30.0
"""For a batch that is known to be there."""

SMALL_BYTES = 20_000
"""`max.message.bytes` of an output topic, and less than a big request."""


@pytest.fixture
def stage(kafka: LocalKafka, fresh_name: str, tmp_path: Path) -> Iterator[Stage]:
    staged = Stage(kafka, fresh_name, tmp_path)
    staged.open()
    try:
        yield staged
    finally:
        staged.close()


def contacts(start: int = 0) -> list[str]:
    return [f"c{number}" for number in range(start, start + REQUESTS)]


def judged(stage: Stage) -> Report:
    report = check(stage.history())
    print(report)
    return report


# Outputs and offset commit together, or not at all.


class DiesOnce(Lane):
    """The owner dies between writing the outputs and committing the offset, at its second batch."""

    batches: ClassVar[Counter[str]] = Counter()

    async def deliver(self, outputs: Outputs, next_offset: int) -> None:
        self.batches[self._group_id] += 1
        if self.batches[self._group_id] == 2:
            for producer in self._producers:
                producer.send_offsets_to_transaction = self._die  # type: ignore[method-assign]
        await super().deliver(outputs, next_offset)

    async def _die(self, *_: object) -> None:
        raise LaneError("died between outputs and offset")


class OffsetApart(DiesOnce):
    """One transaction for the outputs, another for the offset."""

    async def deliver(self, outputs: Outputs, next_offset: int) -> None:
        producer = self._producers[self._transactions % PRODUCERS]
        self._transactions += 1
        await producer.begin_transaction()
        for topic, batch in outputs.batches():
            await (await producer.send_batch(batch, topic, partition=outputs.partition))
        await producer.commit_transaction()
        await super().deliver(self.outputs(), next_offset)


async def after_a_death(stage: Stage, lane: type[Lane]) -> Report:
    await asyncio.to_thread(stage.sender().request, *contacts())
    async with guard_inside(stage.settings, new_lane=lane):
        await asyncio.to_thread(stage.wait_all_decided)
        await asyncio.to_thread(stage.sender().request, *contacts(REQUESTS))
        await asyncio.to_thread(stage.wait_all_decided)
    return await asyncio.to_thread(judged, stage)


async def test_an_owner_that_dies_between_outputs_and_offset_leaves_no_second_decision(stage: Stage) -> None:
    assert (await after_a_death(stage, DiesOnce)).count == 0


async def test_without_one_transaction_for_both_the_same_death_leaves_second_decisions(stage: Stage) -> None:
    report = await after_a_death(stage, OffsetApart)
    assert any("has 2 decisions" in violation for violation in report.violations), report


# Every batch's delivery is awaited before the offset goes in (K5).


class DoesNotAwait(Lane):
    """Trusts the commit to notice a batch that failed."""

    async def deliver(self, outputs: Outputs, next_offset: int) -> None:
        producer = self._producers[self._transactions % PRODUCERS]
        self._transactions += 1
        await producer.begin_transaction()
        for topic, batch in outputs.batches():
            sent = await producer.send_batch(batch, topic, partition=outputs.partition)
            sent.add_done_callback(lambda done: done.exception())
        await producer.send_offsets_to_transaction({self._partition: next_offset}, self._group_id)
        await producer.commit_transaction()


async def with_one_too_large(stage: Stage, lane: type[Lane]) -> Report:
    await asyncio.to_thread(stage.admin.set_config, stage.topic("outbound.sms"), "max.message.bytes", str(SMALL_BYTES))
    sender = stage.sender()
    await asyncio.to_thread(sender.request, "before")
    await asyncio.to_thread(
        sender.request, "big", body=random.Random(1).randbytes(SMALL_BYTES).hex(), expected=Expected.UNWRITABLE
    )
    await asyncio.to_thread(sender.request, *contacts())
    async with guard_inside(stage.settings, new_lane=lane):
        await asyncio.to_thread(stage.wait_all_decided)
    return await asyncio.to_thread(judged, stage)


async def test_a_batch_that_the_broker_refuses_is_noticed_before_its_offset_is_committed(stage: Stage) -> None:
    assert (await with_one_too_large(stage, Lane)).count == 0


async def test_without_awaiting_each_batch_decisions_say_forwarded_and_nothing_was(stage: Stage) -> None:
    report = await with_one_too_large(stage, DoesNotAwait)
    assert any("is to be forwarded and was 0 times" in violation for violation in report.violations), report


# Only one of two owners can deliver: fenced by the partition's own ids, before the committed offset is read.


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
    """Reads the committed offset first, and fences the former owner then (K7)."""

    async def open(self, committed: CommittedOffset, resume: ResumeOffset) -> None:
        asked = await committed(self._partition)

        async def remembered(_: TopicPartition) -> int | None:
            return asked

        await super().open(remembered, resume)


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
    """Steps 4 to 6."""
    async with asyncio.timeout(READ_S):
        while not (records := await lane.read(REQUESTS)):
            pass
        outputs = lane.outputs()
        await guard(Batch(lane._partition, records), outputs)
        return outputs, await lane.position()


async def frozen_with_a_batch_in_hand(stage: Stage, kind: type[Lane]) -> Report:
    """The first owner has decided a batch and stops there; a second takes over; the first wakes and delivers."""
    await asyncio.to_thread(stage.sender().request, *contacts())
    async with two_owners(stage, kind) as (first, second, guard, committed):
        await first.open(committed, guard.resume)
        in_hand = await decide(first, guard)
        await second.open(committed, guard.resume)
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
        await first.open(committed, guard.resume)
        await first.deliver(*await decide(first, guard))
        await asyncio.to_thread(stage.sender().request, *contacts(REQUESTS))
        in_hand = await decide(first, guard)

        async def committed_then_delivered(partition: TopicPartition) -> int | None:
            offset = await committed(partition)
            with contextlib.suppress(KafkaError):
                await first.deliver(*in_hand)
            return offset

        await second.open(committed_then_delivered, guard.resume)
        await second.deliver(*await decide(second, guard))
    return await asyncio.to_thread(judged, stage)


async def test_a_new_owner_that_fences_before_it_asks_for_the_offset_decides_nothing_twice(stage: Stage) -> None:
    assert (await takes_over_while_the_other_delivers(stage, Lane)).count == 0


async def test_without_fencing_first_the_new_owner_starts_from_an_old_offset_and_decides_twice(stage: Stage) -> None:
    report = await takes_over_while_the_other_delivers(stage, AsksBeforeFencing)
    assert any("has 2 decisions" in violation for violation in report.violations), report


# A group without offsets goes on behind the last decision.


class Forgetful(Guard):
    """Begins at the beginning when the group has no offset."""

    async def resume(self, partition: int) -> int | None:
        return None


def forgetful_guard(parts: Parts) -> Guard:
    fresh = parts.fresh
    return Forgetful(parts.clients, parts.topics, fresh.view, fresh.barrier, no_region, ignore)


async def without_offsets(stage: Stage, make: Callable[[Parts], Guard]) -> Report:
    for start in (0, REQUESTS):
        async with guard_inside(stage.settings, make):
            await asyncio.to_thread(stage.sender().request, *contacts(start))
            await asyncio.to_thread(stage.wait_all_decided)
        await asyncio.to_thread(stage.admin.delete_group, stage.settings.guard.group_id)
    return await asyncio.to_thread(judged, stage)


async def test_a_group_without_offsets_goes_on_behind_the_last_decision(stage: Stage) -> None:
    assert (await without_offsets(stage, whole_guard)).count == 0


async def test_without_looking_at_the_last_decision_a_group_without_offsets_decides_twice(stage: Stage) -> None:
    report = await without_offsets(stage, forgetful_guard)
    assert any("has 2 decisions" in violation for violation in report.violations), report


# A topic that was created anew is not taken for the one the view was built from.


async def test_without_the_topics_id_and_fingerprints_a_new_log_hides_holds_behind_old_offsets(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The mechanism switched off; with it nothing is decided, see test_topic_faults."""
    monkeypatch.setattr(View, "bind", lambda view, topic_id: True)
    monkeypatch.setattr(View, "matches", lambda view, partition, record: True)
    sender = stage.sender()
    async with guard_inside(stage.settings):
        await asyncio.to_thread(sender.hold, *contacts())
        await asyncio.to_thread(sender.request, *contacts())
        await asyncio.to_thread(stage.wait_all_decided)
        lost = await asyncio.to_thread(stage.read, "dnd.events")
        await asyncio.to_thread(stage.create_anew, "dnd.events")
        hidden = stage.sender()
        await asyncio.to_thread(hidden.hold, *contacts(REQUESTS), "one more")
        await asyncio.to_thread(hidden.request, *contacts(REQUESTS))
        await asyncio.to_thread(stage.wait_all_decided)
    report = check(await asyncio.to_thread(stage.history, lost=lost), states=False)
    assert any("was forwarded although hold" in violation for violation in report.violations), report
