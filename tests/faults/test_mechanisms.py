"""Each mechanism of the engine against a double that lacks it: the same fault, the same checker, another verdict.

The fault is laid on by hand at its worst moment, so that no test waits for luck. With the mechanism the history is
right; without it the checker finds the violation the mechanism is there for. (Two owners: see test_owners. The
barrier: see test_freshness and test_stale_leader.)
"""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import ClassVar

import msgspec
import pytest
from rocksdict import WriteBatch

from gateway.contract.events import event_key
from gateway.contract.log import LogRecord
from gateway.guard.guard import Guard
from gateway.streams.lane import PRODUCERS, Lane, LaneError
from gateway.streams.outputs import Outputs
from gateway.view.folding import Applied
from gateway.view.meta import Fingerprint, Progress, partition_key
from gateway.view.table import View
from tests.faults.checker import Report, check
from tests.faults.history import Expected
from tests.faults.inside import Parts, guard_inside, ignore, no_region, whole_guard
from tests.faults.stage import REQUESTS, Stage, contacts, judged
from tests.view.logs import CLUSTER_ID, TOPIC, line, open_view, phone, place

SMALL_BYTES = 20_000
"""`max.message.bytes` of an output topic, and less than a big request."""


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


class Forgetful(Guard):
    """Believes the group's offset, and begins at the beginning when there is none."""

    async def outputs_end(self, partition: int) -> int | None:
        return None


def forgetful_guard(parts: Parts) -> Guard:
    fresh = parts.fresh
    return Forgetful(parts.clients, parts.topics, fresh.view, fresh.barrier, no_region, ignore)


async def after_a_death(stage: Stage, lane: type[Lane], make: Callable[[Parts], Guard] = whole_guard) -> Report:
    """Three batches: the second is the owner's last, the third shows that the next owner is past the second."""
    sender = stage.sender()
    async with guard_inside(stage.settings, make, new_lane=lane):
        for batch in range(3):
            await asyncio.to_thread(sender.request, *contacts(batch * REQUESTS))
            await asyncio.to_thread(stage.wait_all_decided)
    return await asyncio.to_thread(judged, stage)


async def test_an_owner_that_dies_between_outputs_and_offset_leaves_no_second_decision(stage: Stage) -> None:
    assert (await after_a_death(stage, DiesOnce)).count == 0


async def test_without_one_transaction_for_both_the_same_death_leaves_second_decisions(stage: Stage) -> None:
    """Unless the next owner looks where the outputs end."""
    report = await after_a_death(stage, OffsetApart, forgetful_guard)
    assert any("has 2 decisions" in violation for violation in report.violations), report


async def test_the_end_of_the_outputs_alone_already_keeps_the_next_owner_from_deciding_twice(stage: Stage) -> None:
    assert (await after_a_death(stage, OffsetApart)).count == 0


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


# A group without offsets goes on behind the last decision.


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


# An offset that does not say what the outputs say is not followed.


async def with_offsets_set(stage: Stage, make: Callable[[Parts], Guard], *, ahead: bool) -> Report:
    """Nobody is there while the group's offsets are set back to the beginning, or ahead of undecided requests."""
    sender, group_id = stage.sender(), stage.settings.guard.group_id
    async with guard_inside(stage.settings, make):
        await asyncio.to_thread(sender.request, *contacts())
        await asyncio.to_thread(stage.wait_all_decided)
    await asyncio.to_thread(sender.request, *contacts(REQUESTS))
    ends = await asyncio.to_thread(stage.request_ends)
    offsets = ends if ahead else dict.fromkeys(ends, 0)
    await asyncio.to_thread(stage.admin.set_offsets, group_id, stage.topic("outbound.requests"), offsets)
    async with guard_inside(stage.settings, make):
        await asyncio.to_thread(sender.request, *contacts(2 * REQUESTS))
        await asyncio.to_thread(stage.wait_all_decided)
    return await asyncio.to_thread(judged, stage)


@pytest.mark.parametrize("ahead", [True, False], ids=["ahead", "back"])
async def test_offsets_that_were_reset_skip_no_request_and_decide_none_twice(stage: Stage, ahead: bool) -> None:
    assert (await with_offsets_set(stage, whole_guard, ahead=ahead)).count == 0


async def test_followed_blindly_an_offset_that_was_set_back_decides_twice(stage: Stage) -> None:
    report = await with_offsets_set(stage, forgetful_guard, ahead=False)
    assert any("has 2 decisions" in violation for violation in report.violations), report


async def test_followed_blindly_an_offset_that_was_set_ahead_leaves_requests_undecided(stage: Stage) -> None:
    report = await with_offsets_set(stage, forgetful_guard, ahead=True)
    assert any("has 0 decisions" in violation for violation in report.violations), report


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


# Records and positions of the view are written in one batch.


class Died(Exception):  # noqa: N818 - not an error: what happens to the process
    """The process ends here."""


class PositionFirst(View):
    """Writes how far it has come before what it has learnt on the way, and dies in between."""

    def apply(self, partition: int, records: Sequence[LogRecord], position: int) -> Applied:
        progress = Progress(position, Fingerprint.of(records[-1]))
        batch = WriteBatch(raw_mode=True)
        batch.put(partition_key(partition), msgspec.msgpack.encode(progress))
        self._write(batch)
        raise Died


class DiesBeforeWriting(View):
    def _write(self, batch: WriteBatch) -> None:
        raise Died


@pytest.mark.parametrize(("kind", "held"), [(DiesBeforeWriting, True), (PositionFirst, False)])
def test_a_view_that_dies_while_it_applies_knows_the_hold_after_all_unless_positions_are_written_apart(
    tmp_path: Path, kind: type[View], held: bool
) -> None:
    """The next start reads on from the position the table names."""
    hold = line(0, place("e1", phone(1)))
    open_view(tmp_path / "view").close()
    dying = kind.open(tmp_path / "view", topic=TOPIC, partitions=1, cluster_id=CLUSTER_ID)
    with pytest.raises(Died):
        dying.apply(0, [hold], 1)
    dying.close()
    view = open_view(tmp_path / "view")
    view.apply(0, [each for each in [hold] if each.offset >= view.positions()[0]], 1)
    assert (view.lookup([event_key(phone(1))]) != [None]) is held
    view.close()
