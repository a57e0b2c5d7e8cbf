"""The door for provider signals: when `accept` returns they are in Kafka or on local disk, and cannot be lost any more.

For each signal, those of one subject one after another (a failure is dated by its message first, if it can be):

1. If earlier signals of the subject wait in the spool, it queues behind them (step 5).
2. Read the subject's record behind a barrier, or without one when that does not pass soon.
3. Make the events, dated by the brokers' clock (`broker_clock`), which is asked for when it is not known yet.
4. Publish them and wait for the acknowledgement, at most PUBLISH_DEADLINE_S.
5. Without an acknowledgement: write the signal to the spool. Not even that works: SpoolUnavailable.

What Kafka did not acknowledge in time may be in the log all the same. The spool publishes it again, with the same event
id, and an id counts once.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from gateway.clock import now_ms
from gateway.dnd.addresses import canonical
from gateway.dnd.model import Subject
from gateway.dnd.record import Record, RegisterKey
from gateway.metrics import SIGNALS_PUBLISHED, SIGNALS_SPOOLED, Metrics
from gateway.providers.signals import OptIn, OptOut, Signal
from gateway.signals.broker_clock import Offset
from gateway.signals.hooks import Contacts, SentMessages, StartCheck, followed, window_ms
from gateway.signals.publish import NotAcknowledgedError, Publisher, RefusedError, records_of
from gateway.signals.resolve import Known, cautious, contested, dated, not_before, resolve, resolve_spooled
from gateway.signals.spool import Spool, SpoolUnavailable
from gateway.signals.turns import Turns

__all__ = ["Accepted", "Receipt", "RefusedError", "SignalDoor", "SpoolUnavailable", "SpooledReceipt"]

log = logging.getLogger(__name__)

SUBJECTS_AT_ONCE = 50
"""Of one call that tells of many (Meta sends up to 1,000 entries): enough to fill the producer's batches."""


@dataclass(frozen=True, slots=True)
class Accepted:
    """Kafka has acknowledged all: `events` were written, none where nothing new was said."""

    events: int


@dataclass(frozen=True, slots=True)
class SpooledReceipt:
    """All are safe, `signals` of them on local disk until Kafka takes them."""

    signals: int


Receipt = Accepted | SpooledReceipt


class Records(Protocol):
    """What is known of subjects; `FreshRecords`."""

    async def known(self, subject: Subject) -> Known: ...
    def last_known(self, subject: Subject) -> Record: ...


class SignalDoor:
    """`accept` from any number of tasks; the publisher and the drainer run elsewhere (`Signals`)."""

    def __init__(
        self,
        records: Records,
        publisher: Publisher,
        spool: Spool,
        metrics: Metrics,
        *,
        contacts: Contacts | None = None,
        start_check: StartCheck | None = None,
        sent: SentMessages | None = None,
    ) -> None:
        self._records = records
        self._publisher = publisher
        self._spool = spool
        self._metrics = metrics
        self._contacts = contacts
        self._start_check = start_check
        self._sent = sent
        self._turns = Turns()

    async def accept(self, signals: Sequence[Signal], received_at: int) -> Receipt:
        """Make them last. `received_at`: when the call that told them came in (ms, by our clock).

        SpoolUnavailable: not all are safe; the caller answers 503, so that the provider comes again. RefusedError: one
        can never be written, whoever tries; all others are safe.
        """
        by_subject: dict[Subject, list[Signal]] = {}
        for signal in signals:
            by_subject.setdefault(canonical(signal.subject), []).append(signal)
        if len(by_subject) == 1:
            ((subject, told),) = by_subject.items()
            return _receipt([await self._of_subject(subject, told, received_at)])
        return _receipt(await self._of_subjects(by_subject, received_at))

    async def _of_subjects(
        self, by_subject: Mapping[Subject, Sequence[Signal]], received_at: int
    ) -> list[tuple[int, int]]:
        limit = asyncio.Semaphore(SUBJECTS_AT_ONCE)

        async def one(subject: Subject, told: Sequence[Signal]) -> tuple[int, int]:
            async with limit:
                return await self._of_subject(subject, told, received_at)

        tasks = [asyncio.create_task(one(*each), name="signals of a subject") for each in by_subject.items()]
        try:
            ends = await asyncio.gather(*tasks, return_exceptions=True)
        finally:
            for task in tasks:
                task.cancel()
        failures = [end for end in ends if isinstance(end, BaseException)]
        # The one that asks the provider to come again goes first: coming again does no harm to the others.
        for failure in sorted(failures, key=lambda failure: isinstance(failure, RefusedError)):
            raise failure
        return [end for end in ends if not isinstance(end, BaseException)]

    async def _of_subject(self, subject: Subject, told: Sequence[Signal], received_at: int) -> tuple[int, int]:
        """Events written, signals spooled."""
        events = spooled = 0
        async with self._turns.of(subject):
            for each in told:
                signal, written = await self._completed(each), None
                if not self._spool.holds_subject(subject):  # 1
                    written = await self._published(signal, subject, received_at)
                if written is None:
                    await self._spooled(signal, received_at)
                    spooled += 1
                else:
                    events += written
        return events, spooled

    async def _completed(self, signal: Signal) -> Signal:
        """In the subject's turn: a START told meanwhile is not older than the failure."""
        if self._sent is None or not isinstance(signal, OptOut):
            return signal
        return await self._sent.completed(signal)

    async def _published(self, signal: Signal, subject: Subject, received_at: int) -> int | None:
        """How many events Kafka has acknowledged; None when it has not."""
        known = await self._records.known(subject)  # 2
        now = self._publisher.brokers.ours()  # before anybody else is asked: what others place meanwhile is not lifted
        try:
            offset = await self._offset(signal)
            now, received_at = dated(signal, now, offset), dated(signal, received_at, offset)
            if not known.fresh:
                signal = cautious(signal, received_at, self._window_ms(signal))
            doubted = await self._doubted(signal, known, received_at)
            events = await followed(self._contacts, resolve(signal, known, now, received_at, doubted))  # 3
            await self._publisher.write(records_of(events, now_ms()))  # 4
        except NotAcknowledgedError as error:
            log.debug("a signal goes to the spool: %s", error)
            return None
        self._metrics.count(SIGNALS_PUBLISHED, len(events))
        return len(events)

    async def _offset(self, signal: Signal) -> Offset | None:
        """What a provider dates needs no clock."""
        brokers = self._publisher.brokers
        return brokers.offset if signal.at is not None else await self._publisher.offset(signal.subject)

    async def _spooled(self, signal: Signal, received_at: int) -> None:
        records_of(resolve_spooled(signal, received_at), received_at)  # refuses what could never be published
        not_older = not_before(signal, self._records.last_known(canonical(signal.subject)))
        await self._spool.put(signal, received_at, not_older, self._publisher.brokers)  # 5
        self._metrics.count(SIGNALS_SPOOLED)

    async def _doubted(self, signal: Signal, known: Known, received_at: int) -> list[RegisterKey]:
        """Holds by a STOP of which is not known that it was sent before this START."""
        if self._start_check is None or not isinstance(signal, OptIn):
            return []
        stops = contested(signal, known, received_at, self._window_ms(signal))
        later: dict[str, bool | None] = {}
        for stop in stops.values():  # one word may hold on several channels
            if stop.event_id not in later:
                later[stop.event_id] = await self._start_check.sent_after(signal, stop)
        return [key for key, stop in stops.items() if later[stop.event_id] is not True]

    def _window_ms(self, signal: Signal) -> int:
        return window_ms(self._start_check, signal)


def _receipt(ends: Sequence[tuple[int, int]]) -> Receipt:
    spooled = sum(count for _, count in ends)
    return SpooledReceipt(spooled) if spooled else Accepted(sum(count for count, _ in ends))
