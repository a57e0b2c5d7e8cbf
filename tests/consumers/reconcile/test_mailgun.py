"""Mailgun's suppression lists: what is missing is placed, and what differs is counted."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator

import aiohttp
import pytest
from aiohttp import web

from consumers.reconcile import calling, pulling
from gateway.dnd.model import ActorKind, Cause, Place, Scope
from gateway.drift import DriftStore
from gateway.providers.mailgun.lists import OptOutList
from tests.consumers.reconcile.providers import DOMAIN, NOW, Mailgun, at_call, busy, serving
from tests.consumers.reconcile.scene import Scene, email, mailgun_list

HOUR_MS = 3_600_000
PEOPLE = [f"p{number}@example.com" for number in range(5)]


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pauses are proven by their order, not by their length."""
    monkeypatch.setattr(calling, "FIRST_PAUSE_S", 0.001)
    monkeypatch.setattr(pulling, "PUBLISH_PAUSE_S", 0.001)


@pytest.fixture
async def mailgun() -> AsyncIterator[Mailgun]:
    provider = Mailgun()
    async with serving(provider):
        yield provider


@pytest.fixture
def scene(store: DriftStore, session: aiohttp.ClientSession, mailgun: Mailgun) -> Scene:
    return Scene(mailgun_list(), store, session, mailgun)


@pytest.mark.parametrize(
    ("listing", "cause", "actor"),
    [
        (OptOutList.BOUNCES, Cause.BOUNCE, ActorKind.PROVIDER),
        (OptOutList.UNSUBSCRIBES, Cause.UNSUBSCRIBE, ActorKind.CONTACT),
        (OptOutList.COMPLAINTS, Cause.COMPLAINT, ActorKind.CONTACT),
    ],
)
async def test_r9_r10_who_is_on_a_list_and_not_held_here_is_held_since_then(
    store: DriftStore,
    session: aiohttp.ClientSession,
    mailgun: Mailgun,
    listing: OptOutList,
    cause: Cause,
    actor: ActorKind,
) -> None:
    mailgun.on(listing.value, *PEOPLE, at=NOW - HOUR_MS)
    scene = Scene(mailgun_list(listing), store, session, mailgun)
    assert await scene.pull()
    assert scene.holds.held() == {("loc1", person, cause) for person in PEOPLE}
    record = scene.holds.get(email(PEOPLE[0]))
    (register,) = record.registers.values()
    assert (register.placed.at, register.placed.actor.kind) == (NOW - HOUR_MS, actor)
    assert (register.placed.evidence["provider"], register.placed.evidence["list"]) == ("mailgun", listing.value)
    assert (scene.found().entries, scene.found().missing_here) == (5, 5)
    assert [path.partition("?")[0] for path in mailgun.asked] == [f"/v3/{DOMAIN}/{listing}"] * 4


async def test_what_is_held_already_is_not_placed_again_whatever_told_it(scene: Scene, mailgun: Mailgun) -> None:
    mailgun.on("bounces", *PEOPLE)
    await scene.holds.placed(email(PEOPLE[0]), Cause.BOUNCE, NOW - 2 * HOUR_MS, "mailgun:webhook")
    assert await scene.pull()
    assert await scene.pull()
    assert len(scene.holds.log) == 5
    assert scene.found().missing_here == 0


async def test_r12_what_was_lifted_here_since_stays_lifted_and_is_counted(scene: Scene, mailgun: Mailgun) -> None:
    mailgun.on("bounces", *PEOPLE[:2], at=NOW - HOUR_MS)
    await scene.holds.placed(email(PEOPLE[0]), Cause.BOUNCE, NOW - HOUR_MS)
    await scene.holds.lifted(email(PEOPLE[0]), Cause.BOUNCE, NOW - HOUR_MS // 2)
    assert await scene.pull()
    assert scene.holds.held() == {("loc1", PEOPLE[1], Cause.BOUNCE)}
    assert (scene.found().lifted_here, scene.found().missing_here) == (1, 1)
    assert scene.found().examples == {"lifted_here": [PEOPLE[0]], "missing_here": [PEOPLE[1]]}


async def test_who_came_on_the_list_again_after_a_lift_is_held_again(scene: Scene, mailgun: Mailgun) -> None:
    await scene.holds.placed(email(PEOPLE[0]), Cause.BOUNCE, NOW - 3 * HOUR_MS)
    await scene.holds.lifted(email(PEOPLE[0]), Cause.BOUNCE, NOW - 2 * HOUR_MS)
    mailgun.on("bounces", PEOPLE[0], at=NOW - HOUR_MS)
    assert await scene.pull()
    assert scene.holds.held() == {("loc1", PEOPLE[0], Cause.BOUNCE)}


async def test_r21_a_domain_of_two_locations_holds_in_both_and_nowhere_else(
    store: DriftStore, session: aiohttp.ClientSession, mailgun: Mailgun
) -> None:
    mailgun.on("bounces", PEOPLE[0])
    scene = Scene(mailgun_list(OptOutList.BOUNCES, "loc1", "loc2"), store, session, mailgun)
    assert await scene.pull()
    assert scene.holds.held() == {(location, PEOPLE[0], Cause.BOUNCE) for location in ("loc1", "loc2")}


async def test_an_entry_that_cannot_be_read_is_counted_and_the_others_count(scene: Scene, mailgun: Mailgun) -> None:
    mailgun.on("bounces", *PEOPLE)
    mailgun.odd = [None, {}, {"address": ""}, {"address": 5}, {"address": "nobody"}, {"address": "x" * 2_000 + "@y.z"}]
    assert await scene.pull()
    assert len(scene.holds.held()) == 5
    assert scene.found().unusable == 3 * 6


async def test_an_undated_entry_holds_from_now_and_never_against_a_lift(scene: Scene, mailgun: Mailgun) -> None:
    mailgun.on("bounces", PEOPLE[0])
    mailgun.odd = [{"address": PEOPLE[1]}, {"address": PEOPLE[2], "created_at": "lately"}]
    await scene.holds.placed(email(PEOPLE[2]), Cause.BOUNCE, NOW - 3 * HOUR_MS)
    await scene.holds.lifted(email(PEOPLE[2]), Cause.BOUNCE, NOW - 2 * HOUR_MS)
    assert await scene.pull()
    assert scene.holds.held() == {("loc1", person, Cause.BOUNCE) for person in PEOPLE[:2]}
    assert scene.found().unusable == 1


@pytest.mark.parametrize("days", [3, -3], ids=["fast", "slow"])
async def test_r9_entries_hold_from_the_same_moment_whatever_our_clock(
    scene: Scene, mailgun: Mailgun, days: int
) -> None:
    """An undated one from now, by the brokers; and a date is none of the future because our clock is slow."""
    scene.now += days * 24 * HOUR_MS
    mailgun.on("bounces", PEOPLE[0], at=NOW - HOUR_MS)
    mailgun.odd = [{"address": PEOPLE[1]}]
    await scene.holds.placed(email(PEOPLE[0]), Cause.BOUNCE, NOW - 3 * HOUR_MS)
    await scene.holds.lifted(email(PEOPLE[0]), Cause.BOUNCE, NOW - 2 * HOUR_MS)
    assert await scene.pull()
    placed = [scene.holds.get(email(person)).registers[Scope.EMAIL, Cause.BOUNCE].placed.at for person in PEOPLE[:2]]
    assert placed == [NOW - HOUR_MS, NOW]
    assert len(scene.holds.held()) == 2


@pytest.mark.parametrize("status", [429, 500, 502, 503])
async def test_a_provider_that_is_busy_is_asked_again_for_the_same_page(
    scene: Scene, mailgun: Mailgun, status: int
) -> None:
    mailgun.on("bounces", *PEOPLE)
    mailgun.instead = at_call(1, busy(status), busy(status))
    assert await scene.pull()
    assert len(scene.holds.held()) == 5
    assert mailgun.asked[1] == mailgun.asked[2] == mailgun.asked[3]
    assert len(set(mailgun.asked)) == 4


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html>",
        b"[]",
        b"{}",
        b'{"items":{}}',
        b'{"items":[{}],"paging":{}}',
        b'{"items":[{}],"paging":{"next":"https://api.mailgun.net/v3/other.example.com/bounces?page=next"}}',
        b'{"items":[{}],"paging":{"next":7}}',
    ],
)
async def test_a_page_that_cannot_be_read_ends_the_turn_and_the_next_goes_on_there(
    scene: Scene, mailgun: Mailgun, body: bytes
) -> None:
    mailgun.on("bounces", *PEOPLE)
    mailgun.instead = at_call(2, web.Response(body=body))
    assert not await scene.pull()
    assert (await scene.kept()).error is not None
    assert len(scene.holds.held()) == 4
    assert await scene.again()
    assert (await scene.kept()).error is None
    assert mailgun.asked[3] == mailgun.asked[2]
    assert scene.found().missing_here == 5


async def test_a_next_page_that_is_the_page_itself_is_not_followed_for_ever(scene: Scene, mailgun: Mailgun) -> None:
    itself = f"https://api.mailgun.net/v3/{DOMAIN}/bounces?limit=2"
    body = json.dumps({"items": [{"address": PEOPLE[0]}], "paging": {"next": itself}}).encode()
    mailgun.instead = lambda _: web.Response(body=body)
    assert not await scene.pull()
    assert len(mailgun.asked) == 1


async def test_a_key_that_is_refused_is_said_and_not_tried_again_at_once(scene: Scene, mailgun: Mailgun) -> None:
    mailgun.credentials = "api:another"
    assert not await scene.pull()
    assert scene.state.error == "answered 401: Invalid private key"
    assert len(mailgun.asked) == 1


async def test_a_position_that_the_provider_forgot_begins_the_list_again(scene: Scene, mailgun: Mailgun) -> None:
    mailgun.on("bounces", *PEOPLE)
    mailgun.instead = at_call(2, web.Response(status=400, body=b'{"message":"invalid page token"}'))
    assert not await scene.pull()
    assert await scene.again()
    assert mailgun.asked[3] == mailgun.asked[0]
    assert len(scene.holds.log) == 5
    assert scene.found().entries == 5


async def test_what_kafka_does_not_acknowledge_is_placed_in_a_later_turn_and_counted_once(
    scene: Scene, mailgun: Mailgun
) -> None:
    mailgun.on("bounces", *PEOPLE)
    scene.holds.broken = pulling.PUBLISH_TRIES
    assert not await scene.pull()
    assert scene.holds.log == []
    assert await scene.again()
    assert len(scene.holds.held()) == 5
    assert scene.found().missing_here == 5


async def test_the_holds_are_read_behind_a_barrier_for_every_page(scene: Scene, mailgun: Mailgun) -> None:
    mailgun.on("bounces", *PEOPLE)
    assert await scene.pull()
    assert scene.holds.barriers == len(mailgun.asked) == 4


async def test_entries_that_left_the_list_are_not_remembered_after_the_next_round(
    scene: Scene, mailgun: Mailgun
) -> None:
    mailgun.on("bounces", *PEOPLE)
    assert await scene.pull()
    assert len(await scene.store.entries_of([scene.each.key], PEOPLE)) == 5
    mailgun.off("bounces", PEOPLE[0])
    assert await scene.pull()
    assert sorted(await scene.store.entries_of([scene.each.key], PEOPLE)) == PEOPLE[1:]


async def test_who_stands_on_a_list_twice_is_placed_and_counted_once_by_the_newer_date(
    scene: Scene, mailgun: Mailgun
) -> None:
    scene.page_size = 10
    mailgun.on("bounces", "Pat@example.com", at=NOW - 3 * HOUR_MS)
    mailgun.on("bounces", "pat@example.com", at=NOW - HOUR_MS)
    mailgun.on("bounces", "PAT@example.com", at=NOW - 2 * HOUR_MS)
    assert await scene.pull()
    (event,) = scene.holds.log
    assert isinstance(event, Place)
    assert (event.subject, event.at) == (email("pat@example.com"), NOW - HOUR_MS)
    assert scene.found().missing_here == 1


async def test_a_list_that_changes_while_it_is_read_is_read_to_its_end(scene: Scene, mailgun: Mailgun) -> None:
    """The position is an address: one that goes takes no other with it, one that comes before it is for the next."""
    mailgun.on("bounces", *PEOPLE)
    calls = iter(range(100))

    def before_the_second_page(_: web.Request) -> None:
        if next(calls) == 1:
            mailgun.off("bounces", PEOPLE[1])
            mailgun.on("bounces", "a@example.com", "z@example.com")

    mailgun.instead = before_the_second_page
    assert await scene.pull()
    held = {address for _, address, _ in scene.holds.held()}
    assert held == {*PEOPLE, "z@example.com"}
    assert await scene.pull()
    assert "a@example.com" in {address for _, address, _ in scene.holds.held()}


async def test_a_date_in_a_far_future_is_none(scene: Scene, mailgun: Mailgun) -> None:
    mailgun.on("bounces", *PEOPLE[:2], at=NOW + 365 * 24 * HOUR_MS)
    await scene.holds.placed(email(PEOPLE[1]), Cause.BOUNCE, NOW - 3 * HOUR_MS)
    await scene.holds.lifted(email(PEOPLE[1]), Cause.BOUNCE, NOW - 2 * HOUR_MS)
    assert await scene.pull()
    assert scene.holds.held() == {("loc1", PEOPLE[0], Cause.BOUNCE)}
    assert scene.holds.get(email(PEOPLE[0])).registers[Scope.EMAIL, Cause.BOUNCE].placed.at == NOW


@pytest.mark.parametrize(
    ("told_at", "lifted_at", "held", "lifted_here"),
    [
        (NOW - HOUR_MS // 2, None, False, 0),
        (NOW - HOUR_MS // 2, NOW, False, 1),
        (NOW - 3 * HOUR_MS, None, True, 0),
        (NOW - 3 * HOUR_MS, NOW - 2 * HOUR_MS, True, 0),
        (NOW - 3 * HOUR_MS, NOW, False, 1),
    ],
    ids=["told", "told and cleared", "complained after that", "complained after it was cleared", "cleared since"],
)
async def test_r11_a_complaint_that_mailgun_has_repeated_with_a_message_may_still_be_cleared(
    store: DriftStore,
    session: aiohttp.ClientSession,
    mailgun: Mailgun,
    told_at: int,
    lifted_at: int | None,
    held: bool,
    lifted_here: int,
) -> None:
    """`suppress-complaint` is of who is on this list, and clearable; a complaint that came after it is spam."""
    scene = Scene(mailgun_list(OptOutList.COMPLAINTS), store, session, mailgun)
    mailgun.on("complaints", PEOPLE[0], at=NOW - HOUR_MS)
    await scene.holds.placed(email(PEOPLE[0]), Cause.SUPPRESSED_COMPLAINT, told_at)
    if lifted_at is not None:
        await scene.holds.lifted(email(PEOPLE[0]), Cause.SUPPRESSED_COMPLAINT, lifted_at)
    assert await scene.pull()
    assert (("loc1", PEOPLE[0], Cause.COMPLAINT) in scene.holds.held()) == held
    assert (scene.found().lifted_here, scene.found().missing_here) == (lifted_here, int(held))


async def test_a_provider_that_asks_for_a_longer_wait_is_left_alone_for_that_long(
    scene: Scene, mailgun: Mailgun
) -> None:
    mailgun.instead = at_call(0, busy(429, Retry_After="3600"))
    assert not await scene.pull()
    assert (await scene.kept()).again_at == NOW + HOUR_MS
    assert await scene.again()
    assert (await scene.kept()).again_at is None
