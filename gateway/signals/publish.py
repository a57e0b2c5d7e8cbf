"""Events to `dnd.events`: acknowledged by Kafka within a deadline, or not acknowledged.

Who must know the brokers' time (`broker_clock`) before anything was acknowledged asks with a record that says nothing:
a lift of all until 1970.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Mapping, Sequence

import msgspec

from gateway.clock import now_ms
from gateway.dnd.addresses import canonical
from gateway.dnd.model import Actor, ActorKind, Cause, Event, Lift, LiftTerm, Scope, Subject
from gateway.signals.broker_clock import BrokerClock, Offset
from gateway.streams.clients import SIGNAL_DELIVERY_MS, Clients
from gateway.streams.producing import NotAcknowledgedError, SharedProducer
from gateway.streams.writing import TooLargeError, Unwritten, event_record

__all__ = ["DRAIN_DEADLINE_S", "PUBLISH_DEADLINE_S", "NotAcknowledgedError", "Publisher", "RefusedError", "records_of"]

PUBLISH_DEADLINE_S = 1.0
"""What a webhook waits for Kafka before its signal goes to the spool: providers give up after 10 to 15 s, and an
acknowledgement takes milliseconds unless a broker is gone."""

DRAIN_DEADLINE_S = SIGNAL_DELIVERY_MS / 1000 + 5.0
"""The client's own limit and some room: nobody waits, and a broker that was frozen stalls all for 10 to 12 s."""

RECORD_LIMIT_BYTES = 64 * 1024
"""Key and value. Evidence is bounded to 8 KiB, ids to some hundred characters: what is larger is nobody's signal."""


ASKS_TIME = "asks-time"
"""The event id of a record that is there for the sake of its date."""


class RefusedError(Exception):
    """The event can never be written, by whatever way; the text says why."""


def records_of(events: Sequence[Event], recorded_at: int) -> list[Unwritten]:
    """The records of `dnd.events` for them. RefusedError: one is too large, or holds what JSON cannot."""
    records: list[Unwritten] = []
    for event in events:
        try:
            record = event_record(event, recorded_at)
        except (msgspec.EncodeError, UnicodeEncodeError, TypeError, ValueError, OverflowError) as error:
            raise RefusedError(f"an event cannot be written as JSON: {error}") from error
        size = len(record.key or b"") + len(record.value)
        if size > RECORD_LIMIT_BYTES:
            raise RefusedError(f"an event of {size} bytes is larger than {RECORD_LIMIT_BYTES}")
        records.append(record)
    return records


class Publisher:
    """`publish` from any number of tasks while `run` runs."""

    def __init__(
        self,
        clients: Clients,
        topic: str,
        deadline_s: float = PUBLISH_DEADLINE_S,
        brokers: BrokerClock | None = None,
    ) -> None:
        """`brokers` hears of every acknowledgement; publishers of one process may share it."""
        self.brokers = brokers or BrokerClock()
        self._producer = SharedProducer(clients, topic, deadline_s, self.brokers.acknowledged)

    async def run(self) -> None:
        """Keep a producer, until cancelled."""
        await self._producer.run()

    @property
    def problem(self) -> str | None:
        """Why nothing can be published at present, None when it can as far as is known."""
        return self._producer.problem

    async def publish(self, events: Sequence[Event]) -> Mapping[int, int]:
        """Returns when Kafka has acknowledged all: the next offset of each partition written to.

        NotAcknowledgedError within the deadline: they may be written nevertheless, even later, which does no harm when
        they are published again, for an event id counts once. RefusedError: never, whatever one does.
        """
        return await self.write(records_of(events, now_ms()))

    async def write(self, records: Sequence[Unwritten]) -> Mapping[int, int]:
        """The same for what `records_of` made."""
        try:
            return await self._producer.write(records)
        except TooLargeError as error:
            raise RefusedError(str(error)) from error

    async def offset(self, subject: Subject) -> Offset:
        """From our clock to the brokers'; if nothing has told it yet, asked with a record of this subject.

        NotAcknowledgedError, RefusedError.
        """
        if (known := self.brokers.offset) is None:
            await self.publish([_asks_time(canonical(subject))])
            known = self.brokers.offset
        if known is None:
            raise NotAcknowledgedError("our clock was set while the brokers' was asked for")
        return known

    async def now(self, subjects: Iterable[Subject]) -> int:
        """By the brokers' clock (ms), not earlier than it is: when what happens now to these is to be dated as a place.

        Asked for as `offset` is, with a record of one of them. Ours if none fits into a record: then nothing of theirs
        will be written. NotAcknowledgedError.
        """
        for subject in subjects:
            with contextlib.suppress(RefusedError):
                return (await self.offset(subject)).latest(self.brokers.ours())
        return self.brokers.ours()


def _asks_time(subject: Subject) -> Lift:
    """Ends nothing, and asked again it is the same event."""
    terms = (LiftTerm(Scope.FB, Cause.MANUAL, 0),)
    return Lift(ASKS_TIME, subject, terms, Actor(ActorKind.USER, "sendguard"), {"asks": "the brokers' time"})
