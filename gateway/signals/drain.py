"""From the spool to `dnd.events`, when Kafka is back.

1. Read the oldest signals, in order. 2. Make their events, dated by the brokers' clock when they came. 3. Publish them,
in order, and wait until Kafka has acknowledged every one. 4. Only then remove their rows.

A crash between 3 and 4 publishes them again: an event id counts once. A batch that failed is tried again from its
first row, with a growing pause, so no event overtakes another of its subject. A signal that can never be written is set
aside. While the spool cannot be opened, it is tried again too.

How far the brokers' clock was from ours is in the row, if anything had been acknowledged before it; otherwise it is
what it is now, unless our clock was set since, or this is another machine. Then nobody can tell when the signal came.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

from gateway.clock import now_ms
from gateway.dnd.model import Event
from gateway.providers.signals import OptIn
from gateway.signals.hooks import Contacts, StartCheck, followed, window_ms
from gateway.signals.publish import NotAcknowledgedError, Publisher, RefusedError, records_of
from gateway.signals.resolve import cautious, dated, resolve_spooled
from gateway.signals.spool import Spool, Spooled, SpoolUnavailable
from gateway.streams.writing import Unwritten

log = logging.getLogger(__name__)

BATCH_SIGNALS = 200
"""Published and removed in one go."""

FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.2, 5.0
"""After a failure, doubling: the first is below what a leader election takes, the last is what the end of an outage may
go unnoticed."""


class Drainer:
    """Owns the spool's opening and its emptying; `run` until cancelled."""

    def __init__(
        self,
        spool: Spool,
        publisher: Publisher,
        contacts: Contacts | None = None,
        drained: Callable[[int], None] = lambda _: None,
        start_check: StartCheck | None = None,
    ) -> None:
        """`publisher`: one with DRAIN_DEADLINE_S. `drained` is told how many events were just published."""
        self._spool = spool
        self._publisher = publisher
        self._contacts = contacts
        self._drained = drained
        self._start_check = start_check
        self.problem: str | None = None
        """Why the spool does not get empty at present; None when it does."""

    async def run(self) -> None:
        pause = FIRST_PAUSE_S
        while True:
            try:
                await self._spool.open()
                await self._spool.arrived.wait()
                self._spool.arrived.clear()  # before the look, so that what comes in between is seen
                await self._until_empty()
            except (NotAcknowledgedError, SpoolUnavailable) as error:
                self._spool.arrived.set()
                if self.problem is None:
                    log.warning("spooled signals wait: %s", error)
                self.problem = str(error)
                await asyncio.sleep(pause)
                pause = min(pause * 2, LONGEST_PAUSE_S)
            else:
                if self.problem is not None:
                    log.info("spooled signals have been published")
                self.problem, pause = None, FIRST_PAUSE_S

    async def _until_empty(self) -> None:
        while self._spool.count:
            batch = await self._spool.first(BATCH_SIGNALS)  # 1
            sound: list[Spooled] = []
            records: list[Unwritten] = []
            for spooled in batch:  # 2
                try:
                    records += records_of(await self._events(spooled), now_ms())
                    sound.append(spooled)
                except RefusedError as error:
                    await self._spool.set_aside(spooled.row, str(error))
            try:
                await self._publisher.write(records)  # 3
            except RefusedError:
                await self._one_by_one(sound)
                continue
            await self._spool.remove(sound)  # 4
            self._drained(len(records))

    async def _one_by_one(self, batch: list[Spooled]) -> None:
        """Find out which of them the topic does not take, and let the others pass."""
        for spooled in batch:
            try:
                events = await self._events(spooled)
                await self._publisher.publish(events)
            except RefusedError as error:
                await self._spool.set_aside(spooled.row, str(error))
            else:
                await self._spool.remove([spooled])
                self._drained(len(events))

    async def _events(self, spooled: Spooled) -> list[Event]:
        row, received_at = spooled.row, await self._received_at(spooled)
        signal = cautious(spooled.signal, received_at, window_ms(self._start_check, spooled.signal))
        return await followed(self._contacts, resolve_spooled(signal, received_at, row.not_before))

    async def _received_at(self, spooled: Spooled) -> int:
        """As `resolve_spooled` wants it. NotAcknowledgedError: the brokers' time is needed and cannot be had now."""
        row, signal, brokers = spooled.row, spooled.signal, self._publisher.brokers
        if signal.at is not None:
            return row.received_at  # nobody asks
        if row.offset is not None:
            return dated(signal, row.received_at, row.offset)
        offset = await self._publisher.offset(signal.subject)
        if brokers.goes_as_when(row.booted_at):
            return dated(signal, row.received_at, offset)
        return 0 if isinstance(signal, OptIn) else dated(signal, brokers.ours(), offset)
