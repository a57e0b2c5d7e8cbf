"""A long list, in the memory of some pages."""

from __future__ import annotations

import gc
import tracemalloc
from collections.abc import Iterable, Iterator, Mapping, Sequence

import aiohttp

from consumers.reconcile import pulling
from consumers.reconcile.backwards import compare_backwards
from consumers.reconcile.calling import Caller
from consumers.reconcile.lists import MailgunList
from gateway.dnd.model import Event, Subject
from gateway.dnd.record import EMPTY, Record
from gateway.drift import DriftStore, ListState
from gateway.metrics import Metrics
from gateway.providers.mailgun.lists import OptOutList
from tests.consumers.reconcile.providers import API_KEY, NOW, Mailgun, serving

PAGE, FEW, MANY = 100, 5, 40
"""Entries of a page, and how many pages a short list and a long one have."""

MOST_GROWTH = 2
"""Of the most memory in use, from the short list to the long one; the server's own list grows too. To keep what is read
would take some ten times as much."""


class Forgets:
    """A log that only counts, of which nothing is held yet: what is kept in memory is then the puller's."""

    def __init__(self) -> None:
        self.published = 0

    async def fresh(self) -> None:
        return

    def get(self, subject: Subject) -> Record:
        return EMPTY

    def records(self) -> Iterator[tuple[Subject, Record]]:
        return iter(())

    async def now(self, subjects: Iterable[Subject]) -> int:
        return NOW

    async def publish(self, events: Sequence[Event]) -> Mapping[int, int]:
        self.published += len(events)
        return {}


async def most_bytes(pages: int, store: DriftStore, session: aiohttp.ClientSession) -> int:
    """In use at a time while a list of so many pages is read."""
    mailgun, holds, metrics = Mailgun(), Forgets(), Metrics("test")
    each = MailgunList(f"{pages}.example.com", OptOutList.BOUNCES, ("loc1", "loc2"))
    people = [f"person-{number:06}@example.com" for number in range(pages * PAGE)]
    mailgun.on("bounces", *people, domain=each.account)
    state = ListState(each.provider, each.account, each.listed)
    async with serving(mailgun):
        caller = Caller(session, mailgun.url, "api", API_KEY, 1_000, metrics)
        puller = pulling.Puller(store, holds, holds, metrics, lambda: NOW)
        gc.collect()
        tracemalloc.start()
        try:
            assert await puller.pull(each, state, caller, PAGE)
            await compare_backwards([each], {each.key: state}, holds, store, NOW)
            _, most = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
    assert holds.published == 2 * len(people)
    assert len(mailgun.asked) == pages + 1
    return most


async def test_a_long_list_takes_no_more_memory_than_a_short_one(
    store: DriftStore, session: aiohttp.ClientSession
) -> None:
    await most_bytes(1, store, session)  # what is made once: tables, statements, connections
    few, many = await most_bytes(FEW, store, session), await most_bytes(MANY, store, session)
    assert many < MOST_GROWTH * few
