"""The other way round: holds that rest on Mailgun's word, and that no list of the location's domains has any more.

Somebody took the address off at Mailgun. The hold stays: to lift it is for those who may (R11, R12); here it is
counted. A bounce for `generic` says nothing of the list (a delayed bounce does not enter it), and a hold that is
younger than the reading of the list is for the next round.

The view is gone through as it was at one moment, in slices, so that nobody in the process waits long.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from consumers.reconcile.lists import ProviderList
from gateway.dnd.model import Cause, Scope, Subject, SubjectKind
from gateway.dnd.record import Mark, Record
from gateway.drift import DriftStore, ListState, MissingThere
from gateway.drift.model import EXAMPLES_LIMIT
from gateway.providers.mailgun.lists import OptOutList
from gateway.providers.mailgun.webhooks import PROVIDER

SLICE = 500
"""Records looked at without a break: some 10 ms."""

LISTS: Mapping[Cause, OptOutList] = {
    Cause.BOUNCE: OptOutList.BOUNCES,
    Cause.UNSUBSCRIBE: OptOutList.UNSUBSCRIBES,
    Cause.SUPPRESSED_COMPLAINT: OptOutList.COMPLAINTS,
    Cause.COMPLAINT: OptOutList.COMPLAINTS,
}
"""Where a hold of the cause is to be found at Mailgun."""

UNLISTED_REASON = "generic"

_Key = tuple[str, OptOutList]
"""A location and a kind of list."""


@dataclass(slots=True)
class _Asked:
    """The lists of a location's domains, since when (ms) the first of them was read, and what is not on them."""

    keys: list[str]
    read_since: int
    missing: MissingThere


class Records(Protocol):
    """The view: every record, as of the first one asked for."""

    async def fresh(self) -> None: ...
    def records(self) -> Iterator[tuple[Subject, Record]]: ...


async def compare_backwards(
    lists: Sequence[ProviderList], states: Mapping[str, ListState], held: Records, store: DriftStore, now: int
) -> list[MissingThere]:
    """For every location and kind of list of which all lists have been read through; kept, and returned."""
    asked = _asked(lists, states, now)
    if not asked:
        return []
    await held.fresh()
    pending: dict[_Key, list[str]] = {}
    size = 0
    for number, (subject, record) in enumerate(held.records()):
        for key in _resting_on_lists(subject, record, asked):
            pending.setdefault(key, []).append(subject.id)
            size += 1
        if size >= SLICE:
            await _count(pending, asked, store)
            pending, size = {}, 0
        if number % SLICE == 0:
            await asyncio.sleep(0)
    await _count(pending, asked, store)
    found = [each.missing for each in asked.values()]
    await store.keep_missing(found)
    return found


def _asked(lists: Sequence[ProviderList], states: Mapping[str, ListState], now: int) -> dict[_Key, _Asked]:
    asked: dict[_Key, _Asked] = {}
    unread: set[_Key] = set()
    for each in lists:
        if each.provider != PROVIDER:
            continue
        state = states.get(each.key)
        for location in each.locations:
            key = (location, OptOutList(each.listed))
            if state is None or state.finished_at is None or state.under_way:
                unread.add(key)
                continue
            missing = MissingThere(location, PROVIDER, each.listed, 0, [], now)
            mine = asked.setdefault(key, _Asked([], now, missing))
            mine.keys.append(each.key)
            mine.read_since = min(mine.read_since, state.started_at or 0)
    return {key: mine for key, mine in asked.items() if key not in unread}


def _resting_on_lists(subject: Subject, record: Record, asked: Mapping[_Key, _Asked]) -> set[_Key]:
    if subject.kind is not SubjectKind.EMAIL:
        return set()
    found: set[_Key] = set()
    for (scope, cause), register in record.holds():
        if scope is not Scope.EMAIL or cause not in LISTS or not _said_by_list(register.placed):
            continue
        key = (subject.location_id, LISTS[cause])
        if key in asked and register.placed.at < asked[key].read_since:
            found.add(key)
    return found


def _said_by_list(placed: Mark) -> bool:
    return placed.evidence.get("provider") == PROVIDER and placed.evidence.get("reason") != UNLISTED_REASON


async def _count(pending: Mapping[_Key, Sequence[str]], asked: Mapping[_Key, _Asked], store: DriftStore) -> None:
    for key, addresses in pending.items():
        listed = await store.entries_of(asked[key].keys, addresses)
        missing = asked[key].missing
        for address in addresses:
            if address not in listed:
                missing.count += 1
                if len(missing.examples) < EXAMPLES_LIMIT:
                    missing.examples.append(address)
