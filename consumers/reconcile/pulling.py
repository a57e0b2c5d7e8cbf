"""A list, page by page: what the provider says is compared with our holds, and what is missing is placed.

Theory of operation. For each page, in this order:

1. Read it from the provider.
2. Pass a barrier, and compare what the page says with the view (`comparing`).
3. For each location, publish what is missing, and wait until Kafka has acknowledged it.
4. Keep the position behind the page, what was counted, and the entries, in one transaction.

Killed between two of these, the page is read again. An event's id says which entry or message it is, and a message has
the one that our webhook gives it: what is published again, or was told long ago, counts once. Everything is dated as
the provider dates it, so that what was lifted since stays lifted; what it does not date is dated by the brokers' clock.
Our own says only when a list is read. Nothing here lifts: a START that never reached us is
counted, and so is what was lifted here and not there.

A round is a pass through the whole list. It is over with the last page; then the entries of former rounds are dropped.
"""

from __future__ import annotations

import asyncio
import copy
import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Protocol

from consumers.reconcile.calling import Caller, GaveUp, Refused
from consumers.reconcile.comparing import compare
from consumers.reconcile.lists import ProviderList, Pulled, entries_of
from gateway.dnd.model import Event, Subject
from gateway.dnd.record import Record
from gateway.drift import Counts, DriftStore, ListState
from gateway.metrics import RECONCILE_PLACED, RECONCILE_READ, Metrics
from gateway.providers.signals import OptOut, Unparsable
from gateway.signals.publish import NotAcknowledgedError, RefusedError

log = logging.getLogger(__name__)

PUBLISH_TRIES = 5
PUBLISH_PAUSE_S = 1.0
"""Each try has the publisher's own deadline; after the last the page is read again in a later turn."""

AGAIN_MS = 60_000
"""After something went wrong with a list; longer if the provider asks for it."""

PAGES_LIMIT = 100_000
"""Of one round: a hundred million entries. A provider that never comes to an end is not followed for ever."""


class Held(Protocol):
    """Our holds, with everything that was acknowledged before `fresh` was called."""

    async def fresh(self) -> None: ...
    def get(self, subject: Subject) -> Record: ...


class Publishes(Protocol):
    async def now(self, subjects: Iterable[Subject]) -> int: ...
    async def publish(self, events: Sequence[Event]) -> Mapping[int, int]: ...


class Puller:
    """Of one process; pulls several lists at a time, each once."""

    def __init__(
        self, store: DriftStore, held: Held, publisher: Publishes, metrics: Metrics, clock: Callable[[], int]
    ) -> None:
        """`clock`: ms since the epoch."""
        self._store = store
        self._held = held
        self._publisher = publisher
        self._metrics = metrics
        self._clock = clock

    async def pull(self, each: ProviderList, state: ListState, caller: Caller, page_size: int) -> bool:
        """Whether its round is through. Goes on where the round under way stands, else begins one.

        What goes wrong is kept in the state. SQLAlchemyError, OSError: it cannot be kept.
        """
        try:
            await self._pull(each, state, caller, page_size)
        except (GaveUp, Refused, Unparsable, NotAcknowledgedError) as error:
            now, why = self._clock(), str(error)
            if isinstance(error, Refused):
                state.next_path = None  # a position may be too old for the provider; the list is begun again
            if state.error != why:
                log.warning("%s is not read to its end: %s", each.key, why)
            wait_s = error.wait_s if isinstance(error, GaveUp) else 0.0
            state.error, state.error_at, state.again_at = why, now, now + max(AGAIN_MS, int(wait_s * 1000))
            await self._store.keep(state)
            return False
        return True

    async def _pull(self, each: ProviderList, state: ListState, caller: Caller, page_size: int) -> None:
        now = self._clock()
        if not state.under_way or state.next_path is None:
            state.round += 1
            state.under_way, state.started_at, state.running, state.newest_at = True, now, {}, None
            state.next_path = each.first_path(state.through_at, now, page_size)
        for _ in range(PAGES_LIMIT):
            page = each.read(await caller.get(state.next_path, each.provider))  # 1
            if page.next_path == state.next_path:
                raise Unparsable("the next page is the page itself")
            counted = copy.deepcopy(state.running)
            try:
                await self._compared(each, state, page)  # 2, 3
            except NotAcknowledgedError:
                state.running = counted  # the page is read again
                raise
            self._metrics.count(RECONCILE_READ, page.entries, (each.provider, each.listed))
            state.newest_at = max(state.newest_at or 0, page.newest_at or 0) or None
            state.next_path, state.error, state.error_at, state.again_at = page.next_path, None, None, None
            if state.next_path is None:
                _finish(state, self._clock())
                await self._store.finish(state, page.listed)  # 4
                return
            await self._store.keep(state, page.listed)  # 4
        raise GaveUp(f"it has no end after {PAGES_LIMIT} pages")

    async def _compared(self, each: ProviderList, state: ListState, page: Pulled) -> None:
        """Steps 2 and 3."""
        answered = {} if each.tells_state else await self._answered(each, page)
        await self._held.fresh()
        for location, unusable in page.unusable.items():
            state.counted(location).unusable += unusable
        for location, told in page.told:
            now = await self._publisher.now(signal.subject for signal in told)
            found = compare(told, self._held.get, answered, now, tells_state=each.tells_state)
            counts = state.counted(location)
            counts.entries += len(told)
            found.add_to(counts)
            await self._publish(each, counts, found.missing)

    async def _answered(self, each: ProviderList, page: Pulled) -> dict[str, int]:
        """When people opted in last, as far as the log has been read."""
        wanted = [
            entry for _, told in page.told for one in told if isinstance(one, OptOut) for entry in entries_of(one)
        ]
        found = await self._store.entries_of([each.key], wanted)
        for entry, at in page.listed.items():
            found[entry] = max(at, found.get(entry, at))
        return found

    async def _publish(self, each: ProviderList, counts: Counts, missing: Sequence[Event]) -> None:
        refused = 0
        try:
            await self._acknowledged(missing)
        except RefusedError:
            for event in missing:  # one can never be written: all others can
                try:
                    await self._acknowledged([event])
                except RefusedError as error:
                    log.error("%s has an entry that can be no event: %s", each.key, error)  # noqa: TRY400 - no trace
                    refused += 1
        counts.unusable += refused
        if placed := len(missing) - refused:
            self._metrics.count(RECONCILE_PLACED, placed, (each.provider, each.listed))

    async def _acknowledged(self, events: Sequence[Event]) -> None:
        """NotAcknowledgedError, after all tries; RefusedError."""
        for tried in range(PUBLISH_TRIES if events else 0):
            try:
                await self._publisher.publish(events)
            except NotAcknowledgedError:
                if tried == PUBLISH_TRIES - 1:
                    raise
                await asyncio.sleep(PUBLISH_PAUSE_S)
            else:
                return


def _finish(state: ListState, now: int) -> None:
    state.under_way, state.counts, state.running = False, state.running, {}
    # What came into the log while it was read is for the next round, whatever dates stand in it.
    newest_at = min(state.newest_at or 0, state.started_at or 0)
    state.through_at = max(state.through_at or 0, newest_at) or None
    state.finished_at = now
