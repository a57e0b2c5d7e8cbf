"""Holds on Mailgun's word that Mailgun does not have any more."""

from __future__ import annotations

import pytest

from consumers.reconcile.backwards import SLICE, compare_backwards
from consumers.reconcile.lists import MailgunList
from gateway.dnd.model import Cause
from gateway.drift import DriftStore, ListState, MissingThere
from gateway.providers.mailgun.lists import OptOutList
from tests.consumers.reconcile.providers import NOW
from tests.consumers.reconcile.scene import Holds, email

HOUR_MS = 3_600_000
DOMAINS = ("mg.example.com", "mail.example.com")
LISTS = [MailgunList(domain, listing, ("loc1",)) for domain in DOMAINS for listing in OptOutList]


def read_through(*lists: MailgunList, under_way: bool = False) -> dict[str, ListState]:
    states = [
        ListState(
            each.provider, each.account, each.listed, 1, under_way=under_way, started_at=NOW - HOUR_MS, finished_at=NOW
        )
        for each in lists
    ]
    return {state.key: state for state in states}


async def missing(holds: Holds, store: DriftStore, states: dict[str, ListState]) -> dict[str, MissingThere]:
    found = await compare_backwards(LISTS, states, holds, store, NOW)
    assert sorted(await store.missing(), key=lambda each: each.listed) == sorted(found, key=lambda each: each.listed)
    return {each.listed: each for each in found}


@pytest.mark.parametrize(
    ("cause", "listed"),
    [
        (Cause.BOUNCE, "bounces"),
        (Cause.UNSUBSCRIBE, "unsubscribes"),
        (Cause.COMPLAINT, "complaints"),
        (Cause.SUPPRESSED_COMPLAINT, "complaints"),
    ],
)
async def test_r11_who_is_held_and_on_no_list_any_more_is_counted_and_stays_held(
    store: DriftStore, cause: Cause, listed: str
) -> None:
    holds, states = Holds(), read_through(*LISTS)
    for person in ("gone@example.com", "here@example.com"):
        await holds.placed(email(person), cause, NOW - 2 * HOUR_MS)
    await store.keep(states[f"mailgun {DOMAINS[1]} {listed}"], {"here@example.com": NOW - 2 * HOUR_MS})
    found = await missing(holds, store, states)
    assert {name: each.count for name, each in found.items()} == {
        "bounces": 0,
        "unsubscribes": 0,
        "complaints": 0,
    } | {listed: 1}
    assert found[listed].examples == ["gone@example.com"]
    assert len(holds.held()) == 2


async def test_what_says_nothing_of_the_list_is_not_counted(store: DriftStore) -> None:
    holds = Holds()
    old = NOW - 2 * HOUR_MS
    await holds.placed(email("generic@example.com"), Cause.BOUNCE, old, reason="generic")
    await holds.placed(email("user@example.com"), Cause.BOUNCE, old, provider="nobody")
    await holds.placed(email("young@example.com"), Cause.BOUNCE, NOW)
    await holds.placed(email("else@example.com", "loc2"), Cause.BOUNCE, old)
    await holds.placed(email("lifted@example.com"), Cause.BOUNCE, old)
    await holds.lifted(email("lifted@example.com"), Cause.BOUNCE, NOW)
    found = await missing(holds, store, read_through(*LISTS))
    assert [each.count for each in found.values()] == [0, 0, 0]


async def test_without_all_lists_of_a_kind_read_through_nobody_knows(store: DriftStore) -> None:
    holds = Holds()
    await holds.placed(email("gone@example.com"), Cause.BOUNCE, NOW - 2 * HOUR_MS)
    assert await missing(holds, store, {}) == {}
    assert holds.barriers == 0
    states = read_through(*LISTS) | read_through(LISTS[0], under_way=True)
    assert sorted(await missing(holds, store, states)) == ["complaints", "unsubscribes"]


async def test_many_are_compared_in_slices(store: DriftStore) -> None:
    holds, states, count = Holds(), read_through(*LISTS), 2 * SLICE + 7
    people = [f"p{number}@example.com" for number in range(count)]
    for person in people:
        await holds.placed(email(person), Cause.BOUNCE, NOW - 2 * HOUR_MS)
    await store.keep(states[LISTS[0].key], dict.fromkeys(people[::2], NOW))
    found = await missing(holds, store, states)
    assert found["bounces"].count == count // 2
    assert found["bounces"].examples == people[1:21:2]
