"""Contacts that are merged, deleted, created again and imported: holds stay, and go along."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from gateway.contract.contacts import Imported, Snapshot
from gateway.dnd.model import Actor, ActorKind, Cause, Lift, LiftTerm, Scope
from gateway.dnd.record import SEEN_FOR_MS, RegisterKey
from tests.directory.world import (
    BOUNCED,
    MANUAL,
    STOPPED,
    UNREACHABLE,
    USER,
    Scene,
    contact,
    email,
    phone,
    scene_in,
)

C1, C2, C3 = contact("c1"), contact("c2"), contact("c3")


@pytest.fixture
async def scene(tmp_path: Path) -> AsyncIterator[Scene]:
    async with scene_in(tmp_path) as found:
        yield found


# Merges


async def test_r21_a_merge_is_the_union_of_holds_whatever_the_master_was_freed_of_before(scene: Scene) -> None:
    await scene.have("c1", phone(1))
    await scene.have("c2", email("b"))
    scene.place(phone(1), STOPPED)
    scene.place(C2, MANUAL, USER)
    scene.place(C2, STOPPED)
    scene.start(C2)  # newer than the STOP of c1
    await scene.settle()
    await scene.have("c1", merged_into="c2", deleted=True)
    assert scene.keys(C2) == {STOPPED, MANUAL}


async def test_a_merge_is_done_once_and_does_not_undo_a_later_lift(scene: Scene) -> None:
    """Also when the log does not remember the ids of its events any more."""
    merge = await _merged_and_lifted(scene)
    await scene.snapshots(merge)
    await scene.have("c1", phone(1), merged_into="c2")
    assert (scene.keys(C1), scene.keys(C2)) == ({STOPPED}, {MANUAL})


async def test_a_merge_is_known_from_the_log_when_the_store_was_lost(scene: Scene, tmp_path: Path) -> None:
    merge = await _merged_and_lifted(scene)
    async with scene_in(tmp_path / "new") as again:
        again.log, again.records = scene.log, scene.records
        again.set_clock(scene.now())
        await again.snapshots(merge)
        assert (again.keys(C1), again.keys(C2)) == ({STOPPED}, {MANUAL})


async def _merged_and_lifted(scene: Scene) -> Snapshot:
    """Longer ago than ids are remembered: what is placed then takes their place."""
    await scene.have("c1", phone(1))
    scene.place(phone(1), STOPPED)
    merge = await scene.have("c1", phone(1), merged_into="c2")
    assert scene.keys(C2) == {STOPPED}
    scene.lift(C2, STOPPED, actor=Actor(ActorKind.SUPPORT, "s"))
    await scene.settle()
    scene.set_clock(scene.now() + SEEN_FOR_MS)
    scene.place(C2, MANUAL, USER)
    await scene.settle()
    return merge


async def test_r21_a_merged_contacts_own_hold_outlives_a_lift_on_its_address(scene: Scene) -> None:
    """The address's copy lies on top of it, so as to go on to the contact that is left."""
    scene.place(C1, BOUNCED)
    await scene.have("c1", email("a"), merged_into="c2")
    scene.place(email("a"), BOUNCED)
    await scene.settle()
    scene.lift(email("a"), BOUNCED)
    await scene.settle()
    assert scene.keys(C1) == {BOUNCED}


async def test_later_holds_on_a_merged_contact_go_on_to_the_one_that_is_left_over_any_number_of_merges(
    scene: Scene,
) -> None:
    await scene.have("c1", phone(1), merged_into="c2")
    await scene.have("c2", merged_into="c3")
    scene.place(phone(1), STOPPED)
    await scene.settle()
    assert (scene.keys(C1), scene.keys(C2), scene.keys(C3)) == ({STOPPED}, {STOPPED}, {STOPPED})


async def test_r18_start_from_the_number_frees_the_contact_that_holds_it_by_a_merge(scene: Scene) -> None:
    await scene.have("c1", phone(1))
    scene.place(phone(1), STOPPED)
    await scene.have("c1", merged_into="c2")
    await scene.have("c2", email("b"), merged_into="c3")
    assert scene.keys(C3) == {STOPPED}
    scene.start(phone(1))
    await scene.settle()
    assert (scene.keys(C1), scene.keys(C2), scene.keys(C3)) == (set(), set(), set())


async def test_r18_start_frees_a_contact_that_holds_by_a_merge_that_has_ended_since(scene: Scene) -> None:
    await scene.have("c1", phone(1), merged_into="c2")
    scene.place(phone(1), STOPPED)
    await scene.settle()
    await scene.have("c1", phone(2))
    scene.start(phone(1))
    await scene.settle()
    assert scene.keys(C2) == set()


async def test_later_holds_go_on_also_where_the_merged_contact_was_held_by_itself_before(scene: Scene) -> None:
    await scene.have("c1", phone(1), merged_into="c2")
    scene.place(C1, UNREACHABLE)
    await scene.settle()
    scene.lift(C2, UNREACHABLE)
    scene.place(phone(1), UNREACHABLE)
    await scene.settle()
    assert scene.keys(C2) == {UNREACHABLE}


async def test_r18_start_frees_the_merged_contact_also_when_the_merge_was_dated_behind_it(scene: Scene) -> None:
    """START is dated when it is received; a merge, by the clock of another process, when it is seen to."""
    await scene.have("c1", phone(1))
    stop = scene.place(phone(1), STOPPED)
    await scene.have("c1", merged_into="c2")
    start = Lift("start", phone(1), (_term(STOPPED, stop.at + 1),), Actor(ActorKind.CONTACT, phone(1).id))
    assert scene.get(C2).registers[STOPPED].placed.at > stop.at + 1
    scene.write(start)
    await scene.settle()
    assert scene.keys(C2) == set()


async def test_a_hold_that_a_batch_ends_is_not_carried_on_by_the_same_batch(scene: Scene) -> None:
    await scene.have("c1", phone(1), merged_into="c2")
    scene.place(phone(1), STOPPED)
    await scene.take_in(1)  # the hold on c1 is in the log, and waits to be carried on
    scene.start(phone(1))
    await scene.settle()
    assert (scene.keys(C1), scene.keys(C2)) == (set(), set())


async def test_merges_in_a_circle_end(scene: Scene) -> None:
    await scene.have("c1", merged_into="c2")
    await scene.have("c2", merged_into="c3")
    await scene.have("c3", merged_into="c1")
    scene.place(C1, MANUAL, USER)
    await scene.settle()
    assert (scene.keys(C1), scene.keys(C2), scene.keys(C3)) == ({MANUAL}, {MANUAL}, {MANUAL})
    assert len(scene.log) == 3


async def test_r21_a_merge_back_brings_what_is_still_held_there(scene: Scene) -> None:
    """It began on c1, went to c2 with the first merge, and was lifted on c1 alone."""
    await scene.have("c1")
    scene.place(C1, MANUAL, USER)
    await scene.have("c1", merged_into="c2")
    await scene.have("c1")
    scene.lift(C1, MANUAL)
    await scene.settle()
    await scene.have("c2", merged_into="c1")
    assert scene.keys(C1) == {MANUAL}


async def test_a_contact_merged_into_itself_is_left_alone(scene: Scene) -> None:
    scene.place(C1, MANUAL, USER)
    await scene.have("c1", merged_into="c1")
    assert len(scene.log) == 1


async def test_a_merge_that_arrives_behind_the_deletion_still_counts(scene: Scene) -> None:
    scene.place(C1, MANUAL, USER)
    merge = Snapshot("loc1", "c1", merged_into="c2", updated_at=scene.now())
    await scene.have("c1", deleted=True)
    await scene.snapshots(merge)
    assert scene.keys(C2) == {MANUAL}
    scene.place(C1, STOPPED)
    await scene.settle()
    assert scene.keys(C2) == {MANUAL, STOPPED}


# Deleted, created again, imported


async def test_r21_a_contact_that_is_deleted_and_created_again_is_held_as_before(scene: Scene) -> None:
    await scene.have("c1", phone(1))
    scene.place(phone(1), STOPPED)
    await scene.settle()
    await scene.snapshots(Snapshot("loc1", "c1", deleted=True))
    assert await scene.directory.addresses("loc1", "c1") == ()
    await scene.have("c1", phone(2))
    assert scene.keys(C1) == {STOPPED}
    assert await scene.directory.addresses("loc1", "c1") == (phone(2),)


async def test_r5_an_old_flag_holds_all_and_a_replayed_snapshot_undoes_no_later_lift(scene: Scene) -> None:
    legacy = (Scope.ALL, Cause.LEGACY)
    snapshot = await scene.have("c1", imported=(Imported(*legacy),))
    assert scene.keys(C1) == {legacy}
    assert scene.get(C1).registers[legacy].placed.at == snapshot.updated_at
    scene.lift(C1, legacy)
    await scene.snapshots(snapshot)
    assert scene.keys(C1) == set()


async def test_r21_an_imported_opt_out_belongs_to_the_number_and_start_ends_it(scene: Scene) -> None:
    await scene.have("c2", phone(1))
    await scene.have("c1", phone(1), email("a"), imported=(Imported(*STOPPED), Imported(Scope.CALL, Cause.MANUAL)))
    assert (scene.keys(phone(1)), scene.keys(email("a")), scene.keys(C2)) == ({STOPPED}, set(), {STOPPED})
    scene.start(phone(1))
    await scene.settle()
    assert (scene.keys(C1), scene.keys(C2)) == ({(Scope.CALL, Cause.MANUAL)}, set())


async def test_an_older_snapshot_changes_no_address_but_its_holds_count(scene: Scene) -> None:
    older = Snapshot("loc1", "c1", (phone(1),), (Imported(Scope.ALL, Cause.LEGACY),), updated_at=scene.now())
    await scene.have("c1", phone(2))
    await scene.snapshots(older)
    assert await scene.directory.addresses("loc1", "c1") == (phone(2),)
    assert scene.keys(C1) == {(Scope.ALL, Cause.LEGACY)}


async def test_nothing_goes_from_one_location_to_another(scene: Scene) -> None:
    """R21: never across locations."""
    await scene.snapshots(Snapshot("loc2", "c1", (phone(1)._replace(location_id="loc2"),), updated_at=scene.now()))
    scene.place(phone(1), STOPPED)
    await scene.settle()
    assert len(scene.log) == 1


def _term(key: RegisterKey, through: int) -> LiftTerm:
    return LiftTerm(*key, through)
