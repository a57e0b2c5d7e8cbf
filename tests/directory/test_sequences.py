"""Random sequences of snapshots and signals: what is held afterwards, and after everything came once more."""

from __future__ import annotations

import asyncio

from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.contract.contacts import Snapshot
from gateway.dnd.model import Event, Subject
from gateway.dnd.record import RegisterKey
from tests.directory.model import Run
from tests.directory.steps import ADDRESSES, CONTACTS, STEPS, Step
from tests.directory.world import World, contact, in_memory


@given(STEPS)
@settings(max_examples=400)
def test_r21_whatever_happens_to_contacts_a_hold_ends_only_by_a_lift_that_the_table_allows(steps: list[Step]) -> None:
    async def run() -> None:
        running = Run()
        for step in steps:
            await running.step(step)
        await running.finish()

    asyncio.run(run())


@given(STEPS, st.integers(1, 12))
@settings(max_examples=200)
def test_r21_the_end_is_the_same_however_often_everything_comes(steps: list[Step], last: int) -> None:
    """The last so many are replayed in order. A contact deleted by a null value, which has no time, or with two
    snapshots of one time, is for a moment what it was before, and may then be held by an address; and a merge that has
    ended brings what its contact was given since by an address that was held before. Nobody is freed.
    """

    async def run() -> None:
        running = Run()
        for step in steps:
            await running.step(step)
        await running.finish()
        before = _held(running.world)
        await _replay(running.world, running.done[-last:])
        after = _held(running.world)
        snapshots = [each for each in running.done if isinstance(each, Snapshot)]
        times = [each.updated_at for each in snapshots]
        said = {(each.contact_id, each.merged_into) for each in snapshots}
        said_once = len({contact_id for contact_id, _ in said}) == len(said)
        if None not in times and len(set(times)) == len(times) and said_once:
            assert after == before
        assert all(before[subject] <= after[subject] for subject in before)

    asyncio.run(run())


@given(STEPS)
@settings(max_examples=200)
def test_r21_nobody_is_freed_when_the_store_is_lost_and_all_is_read_again(steps: list[Step]) -> None:
    """Old snapshots meet holds that are younger than they are, so that some may hold more than before."""

    async def run() -> None:
        running = Run()
        for step in steps:
            await running.step(step)
        await running.finish()
        again = in_memory()
        again.log, again.records = running.world.log, running.world.records
        again.set_clock(running.world.now())
        before = _held(again)
        await _replay(again, running.done)
        for subject, keys in _held(again).items():
            assert before[subject] <= keys

    asyncio.run(run())


def _held(world: World) -> dict[Subject, set[RegisterKey]]:
    return {subject: world.keys(subject) for subject in (*ADDRESSES, *map(contact, CONTACTS))}


async def _replay(world: World, done: list[Snapshot | Event]) -> None:
    for each in done:
        if isinstance(each, Snapshot):
            await world.snapshots(each)
        else:
            world.write(each)
    await world.settle()
