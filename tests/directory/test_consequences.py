"""What reaches contacts from their addresses, what frees them, and what the door writes itself: scene by scene."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from gateway.clock import now_ms
from gateway.database import database_url
from gateway.directory.directory import Answer, Directory
from gateway.directory.following import ContactsOfAddresses
from gateway.directory.lookups import Lookups
from gateway.directory.mirroring import MIRRORED_FROM, with_origin
from gateway.dnd.model import Actor, ActorKind, Cause, Event, Lift, LiftTerm, Place, Scope
from gateway.dnd.record import RegisterKey
from gateway.settings import Secret
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


# From addresses


async def test_r21_a_hold_of_an_address_reaches_every_contact_that_has_it_with_its_time(scene: Scene) -> None:
    await scene.have("c1", phone(1))
    await scene.have("c2", phone(2), phone(1))
    await scene.have("c3", phone(3))
    stop = scene.place(phone(1), STOPPED)
    await scene.settle()
    assert (scene.keys(C1), scene.keys(C2), scene.keys(C3)) == ({STOPPED}, {STOPPED}, set())
    mark = scene.get(C1).registers[STOPPED].placed
    assert (mark.at, mark.actor, mark.evidence[MIRRORED_FROM]) == (stop.at, stop.actor, ["phone", phone(1).id])


async def test_r21_a_contact_that_gets_a_held_address_is_held_and_stays_so_when_it_loses_it(scene: Scene) -> None:
    """Editing the phone, or a new contact for an old number, does not evade an opt-out."""
    scene.place(phone(1), STOPPED)
    await scene.have("c1", phone(1))
    assert scene.keys(C1) == {STOPPED}
    await scene.have("c1", phone(2))
    assert scene.keys(C1) == {STOPPED}


async def test_r21_a_late_bounce_for_an_address_the_contact_no_longer_has_holds_the_address_only(scene: Scene) -> None:
    await scene.have("c1", email("old"))
    await scene.have("c1", email("new"))
    scene.place(email("old"), BOUNCED)
    await scene.settle()
    assert (scene.keys(C1), scene.keys(email("old"))) == (set(), {BOUNCED})


async def test_a_hold_from_before_the_edit_reaches_the_contact_however_late_it_is_seen_to(scene: Scene) -> None:
    """The directory was down when somebody wrote STOP, and somebody else changed the number: the order counts."""
    await scene.have("c1", phone(1))
    scene.place(phone(1), STOPPED)
    await scene.have("c1", phone(2))
    assert scene.keys(C1) == {STOPPED}


async def test_all_on_an_address_is_every_channel_that_sends_to_it_and_no_other(scene: Scene) -> None:
    await scene.have("c1", email("a"), phone(1))
    scene.place(email("a"), (Scope.ALL, Cause.MANUAL), USER)
    await scene.settle()
    assert scene.keys(C1) == {(Scope.EMAIL, Cause.MANUAL)}
    scene.lift(email("a"), (Scope.ALL, Cause.MANUAL))
    await scene.settle()
    assert scene.keys(C1) == set()


async def test_evidence_that_is_too_large_to_copy_still_names_the_address(scene: Scene) -> None:
    await scene.have("c1", phone(1))
    scene.write(
        Place("big", phone(1), (Scope.SMS,), (Cause.KEYWORD_OPT_OUT,), scene.now(), USER, {"text": "x" * 8_180})
    )
    await scene.settle()
    assert scene.get(C1).registers[STOPPED].placed.evidence[MIRRORED_FROM] == ["phone", phone(1).id]
    assert with_origin({"a": 1}, {"b": 2}) == {"a": 1, "b": 2}


# Lifts


async def test_r18_start_frees_the_address_and_every_contact_that_has_it_but_no_hold_of_a_user(scene: Scene) -> None:
    await scene.have("c1", phone(1))
    await scene.have("c2", phone(1), phone(2))
    scene.place(phone(1), STOPPED)
    scene.place(phone(1), UNREACHABLE)
    scene.place(C1, MANUAL, USER)
    await scene.settle()
    scene.start(phone(1))
    await scene.settle()
    assert (scene.keys(phone(1)), scene.keys(C1), scene.keys(C2)) == (set(), {MANUAL}, set())


async def test_r18_start_frees_contacts_that_had_the_number_of_the_holds_that_name_it_alone(scene: Scene) -> None:
    await scene.have("c1", phone(1))
    scene.place(phone(1), STOPPED)
    await scene.have("c1", phone(2))
    scene.place(phone(2), UNREACHABLE)
    await scene.settle()
    scene.start(phone(1))
    await scene.settle()
    assert scene.keys(C1) == {UNREACHABLE}


async def test_a_lift_does_not_free_a_contact_that_got_the_address_after_it(scene: Scene) -> None:
    """The directory is late: the snapshot is older than its look at the log, and yet younger than the lift."""
    await scene.have("c2", phone(2))
    scene.place(phone(2), STOPPED)
    await scene.settle()
    scene.place(phone(1), STOPPED)
    scene.start(phone(1))
    await scene.have("c2", phone(2), phone(1))
    assert scene.keys(C2) == {STOPPED}


async def test_a_start_delivered_again_frees_nobody(scene: Scene) -> None:
    """The address does not count it twice, so contacts must not either; also one that got the number in between."""
    await scene.have("c1", phone(1))
    scene.place(phone(1), STOPPED)
    start = scene.start(phone(1))
    scene.place(phone(1), STOPPED)
    await scene.have("c2", phone(1))
    again = tuple(LiftTerm(term.scope, term.cause, scene.now()) for term in start.terms)
    scene.write(Lift(start.event_id, start.subject, again, start.actor))
    await scene.settle()
    assert (scene.keys(C1), scene.keys(C2)) == ({STOPPED}, {STOPPED})


async def test_a_start_that_is_in_the_log_twice_frees_nobody_who_got_the_number_in_between(scene: Scene) -> None:
    """Kafka had it, did not say so in time, and got it again from the spool."""
    scene.place(phone(1), STOPPED)
    scene.place(C2, STOPPED)
    start = scene.start(phone(1))
    await scene.have("c2", phone(1))
    scene.write(start)
    await scene.settle()
    assert scene.keys(C2) == {STOPPED}


async def test_a_lift_the_table_refuses_reaches_nobody(scene: Scene) -> None:
    await scene.have("c1", phone(1))
    scene.place(phone(1), STOPPED)
    scene.lift(phone(1), STOPPED, actor=USER)
    await scene.settle()
    assert (scene.keys(phone(1)), scene.keys(C1)) == ({STOPPED}, {STOPPED})


async def test_a_users_lift_on_an_address_frees_a_contact_when_none_of_its_addresses_is_held_any_more(
    scene: Scene,
) -> None:
    await scene.have("c1", email("a"), email("b"))
    scene.place(email("a"), BOUNCED)
    scene.place(email("b"), BOUNCED)
    await scene.settle()
    scene.lift(email("b"), BOUNCED)
    await scene.settle()
    assert scene.keys(C1) == {BOUNCED}
    scene.lift(email("a"), BOUNCED)
    await scene.settle()
    assert scene.keys(C1) == set()


@pytest.mark.parametrize("first", ["contact", "address"])
async def test_a_users_lift_on_an_address_leaves_the_contacts_own_hold(scene: Scene, first: str) -> None:
    """Whichever of the two was placed first: a hold of one writer never ends with another's."""
    await scene.have("c1", phone(1))
    for subject in (C1, phone(1)) if first == "contact" else (phone(1), C1):
        scene.place(subject, MANUAL, USER)
        await scene.settle()
    scene.lift(phone(1), MANUAL)
    await scene.settle()
    assert (scene.keys(phone(1)), scene.keys(C1)) == (set(), {MANUAL})
    scene.lift(C1, MANUAL)
    await scene.settle()
    assert scene.keys(C1) == set()


async def test_a_lift_on_a_contact_that_did_not_know_of_the_addresses_hold_leaves_it_held(scene: Scene) -> None:
    await scene.have("c1", phone(1))
    scene.place(C1, UNREACHABLE, USER)
    await scene.settle()
    seen = scene.get(C1).registers[UNREACHABLE].placed.at
    scene.place(phone(1), UNREACHABLE)
    await scene.settle()
    scene.write(Lift("late", C1, (_term(UNREACHABLE, seen),), USER))
    await scene.settle()
    assert scene.keys(C1) == {UNREACHABLE}


# At the door


async def test_what_the_door_writes_with_an_event_is_what_the_directory_would_write(scene: Scene) -> None:
    await scene.have("c1", phone(1))
    await scene.have("c1", phone(2))
    await scene.have("c2", phone(1))
    hook = ContactsOfAddresses(scene.directory, scene.get)
    events: list[Event] = [_stop("s1", scene), _start("s2", scene)]
    for number, event in enumerate(events):
        followed = await hook.follow(event)
        scene.write(event, *followed)
        written = len(scene.log)
        await scene.settle()
        assert {each.subject for each in followed} == {C2}
        assert len(scene.log) == written  # the directory finds nothing left to do
        assert scene.keys(C2) == ({STOPPED} if number == 0 else set())


async def test_what_the_door_writes_has_the_time_of_its_event_however_far_from_our_clock_that_is(scene: Scene) -> None:
    """The event is dated by the brokers' clock, and ours may be hours slow."""
    await scene.have("c1", phone(1))
    hook, at = ContactsOfAddresses(scene.directory, scene.get), now_ms() + 3 * 3_600_000
    (copy,) = await hook.follow(replace(_stop("s1", scene), at=at))
    (freed,) = await hook.follow(replace(_start("s2", scene), terms=(_term(STOPPED, at),)))
    assert isinstance(copy, Place)
    assert isinstance(freed, Lift)
    assert (copy.at, freed.terms) == (at, (_term(STOPPED, at),))


async def test_the_door_frees_nobody_by_a_start_it_cannot_judge(scene: Scene) -> None:
    """The view is not open, or has the event already."""
    await scene.have("c1", phone(1))
    start = _start("s1", scene)
    assert await ContactsOfAddresses(scene.directory, lambda _: None).follow(start) == ()
    scene.write(start)
    assert await ContactsOfAddresses(scene.directory, scene.get).follow(start) == ()


class Counted(Directory):
    """How often it is asked."""

    times = 0

    async def ask(self, question: Callable[[Lookups], Coroutine[Any, Any, Answer]]) -> Answer:
        self.times += 1
        return await super().ask(question)


async def test_events_that_come_while_a_look_up_is_under_way_share_the_next(tmp_path: Path) -> None:
    async with scene_in(tmp_path) as scene:
        await scene.have("c1", phone(1))
        directory = Counted(database_url(None, tmp_path))
        hook = ContactsOfAddresses(directory, scene.get)
        followed = await asyncio.gather(*(hook.follow(_stop(f"s{number}", scene)) for number in range(50)))
        assert [len(each) for each in followed] == [1] * 50
        assert directory.times <= 2
        await directory.close()


async def test_the_door_goes_on_without_a_directory(scene: Scene, tmp_path: Path) -> None:
    away = Directory(database_url(Secret("postgresql://nobody@127.0.0.1:1/none"), tmp_path))
    assert await ContactsOfAddresses(away, scene.get).follow(_stop("s1", scene)) == ()
    await away.close()


def _term(key: RegisterKey, through: int) -> LiftTerm:
    return LiftTerm(*key, through)


def _stop(event_id: str, scene: Scene) -> Place:
    actor = Actor(ActorKind.CONTACT, phone(1).id)
    return Place(event_id, phone(1), (Scope.SMS,), (Cause.KEYWORD_OPT_OUT,), scene.now(), actor)


def _start(event_id: str, scene: Scene) -> Lift:
    actor = Actor(ActorKind.CONTACT, phone(1).id)
    return Lift(event_id, phone(1), (_term(STOPPED, scene.now()),), actor)
