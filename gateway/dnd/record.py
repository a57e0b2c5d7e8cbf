"""The record of a subject: grow-only registers, and the fold that applies events to them.

Theory of operation. For each (scope, cause) a register keeps the latest place and the latest lift that the causes table
allowed; the hold is in force while `placed_at > lifted_through`. Both sides only ever grow, by a total order on
(time, event id, actor, evidence). So applying events is commutative, associative and idempotent: duplicates,
reordering, retries and late writers end in the same record and cannot lose a hold.

Broker time bounds what a wrong clock can do: an event's times are clipped to the time its Kafka record was appended
(`LogAppendTime`) plus a margin. A place reaches one second further than a lift, so that `lifted_through + 1` counts.
A place dated before 1970 is taken for 1970: it would be older than "never lifted" and never hold.

`seen` remembers the event ids of the last 7 days by broker time: a provider's redelivery of a START carries a new
time, but it is the same event and must not lift a STOP that came in between. An id seen again changes nothing. Where
it is a question what "the same event" is, the hold wins: a place is remembered with what it acts on, for one webhook
may place two causes under one id, or place and lift; a lift by its id alone, for a START delivered again may name more
than the first time. An empty id is no id. Of two such events with different times the first in the log counts, so a
writer's repetition must go to the partition of the original, as it does with the same key and partitioner.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import assert_never

import msgspec

from gateway.dnd.causes import may_lift
from gateway.dnd.model import Actor, Cause, Event, Lift, Place, Scope

LIFT_MARGIN_MS = 5_000
"""How far behind the broker's clock may be before a lift's `through` is cut to broker time plus this."""

PLACE_MARGIN_MS = LIFT_MARGIN_MS + 1_000
"""One second more than a lift, so that a place dated `lifted_through + 1` is never cut below the lift."""

SEEN_FOR_MS = 7 * 24 * 3_600_000
"""How long an event id is remembered. Providers redeliver for hours (Mailgun: 8 h), operators replay for days."""

SEEN_LIMIT = 256
"""Most event ids kept per subject, newest first: bounds the record of a subject that is toggled without end."""

NEVER = -1
"""Time of a place or lift that has not happened; before every time an event can carry."""


_NOBODY = Actor(None)


@dataclass(frozen=True, slots=True)
class Mark:
    """One side of a register: the latest place or lift, with who did it and on what evidence."""

    at: int = NEVER
    event_id: str = ""
    actor: Actor = _NOBODY
    evidence: Mapping[str, object] = field(default_factory=dict)

    def rank(self) -> tuple[int, str, str, str, bytes]:
        """A total order, so that two events with one time and one id still merge the same way everywhere."""
        evidence = msgspec.json.encode(self.evidence, order="deterministic") if self.evidence else b""
        return self.at, self.event_id, self.actor.kind or "", self.actor.id, evidence

    def join(self, other: Mark) -> Mark:
        """The later of the two."""
        if self.at != other.at:
            return self if self.at > other.at else other
        return self if self.rank() >= other.rank() else other


_UNSET = Mark()


@dataclass(frozen=True, slots=True)
class Register:
    """What is known of one (scope, cause) of a subject."""

    placed: Mark = _UNSET
    lifted: Mark = _UNSET

    @property
    def in_force(self) -> bool:
        return self.placed.at > self.lifted.at

    def join(self, other: Register) -> Register:
        return Register(self.placed.join(other.placed), self.lifted.join(other.lifted))


RegisterKey = tuple[Scope, Cause]


@dataclass(frozen=True, slots=True)
class Record:
    """All registers of one subject, and the event ids seen lately with the broker time (ms) of their first arrival."""

    registers: Mapping[RegisterKey, Register] = field(default_factory=dict)
    seen: Mapping[str, int] = field(default_factory=dict)

    def holds(self) -> Iterator[tuple[RegisterKey, Register]]:
        """The holds in force."""
        return ((key, register) for key, register in self.registers.items() if register.in_force)

    def join(self, other: Record) -> Record:
        """Union of two records of one subject: no hold is lost, no lift undone (merge of views, R21)."""
        registers = dict(self.registers)
        for key, register in other.registers.items():
            registers[key] = registers[key].join(register) if key in registers else register
        seen = dict(self.seen)
        for event_id, first in other.seen.items():
            seen[event_id] = min(first, seen.get(event_id, first))
        return Record(registers, _newest(seen))


EMPTY = Record()


@dataclass(frozen=True, slots=True)
class Folded:
    """What became of one event: the new record, lift terms the table refused, and whether its id was seen before."""

    record: Record
    refused: tuple[RegisterKey, ...] = ()
    repeated: bool = False


def fold(record: Record, event: Event, broker_time: int) -> Folded:
    """Apply one event of the subject, appended to the log at `broker_time` (ms)."""
    seen_as = _seen_as(event)
    if seen_as in record.seen:
        return Folded(record, repeated=True)
    registers = dict(record.registers)
    refused: list[RegisterKey] = []
    match event:
        case Place():
            at = max(0, min(event.at, broker_time + PLACE_MARGIN_MS))
            placed = Register(placed=Mark(at, event.event_id, event.actor, event.evidence))
            for key in ((scope, cause) for scope in event.scopes for cause in event.causes):
                registers[key] = registers[key].join(placed) if key in registers else placed
        case Lift():
            for term in event.terms:
                key = (term.scope, term.cause)
                if not may_lift(event.actor.kind, term.cause):
                    refused.append(key)
                    continue
                through = max(NEVER, min(term.through, broker_time + LIFT_MARGIN_MS))
                lifted = Register(lifted=Mark(through, event.event_id, event.actor, event.evidence))
                registers[key] = registers[key].join(lifted) if key in registers else lifted
        case _:
            assert_never(event)
    seen = _remember(record.seen, seen_as, broker_time) if event.event_id else record.seen
    return Folded(Record(registers, seen), tuple(refused))


def _seen_as(event: Event) -> str:
    match event:
        case Place():
            return f"place:{','.join(sorted((*event.scopes, *event.causes)))}:{event.event_id}"
        case Lift():
            return f"lift:{event.event_id}"
        case _:
            assert_never(event)


def _remember(seen: Mapping[str, int], seen_as: str, broker_time: int) -> Mapping[str, int]:
    kept = {known: first for known, first in seen.items() if first > broker_time - SEEN_FOR_MS}
    kept[seen_as] = broker_time
    return _newest(kept)


def _newest(seen: dict[str, int]) -> dict[str, int]:
    """At most `SEEN_LIMIT` of the ids: those that arrived last, of one time those that sort last."""
    if len(seen) <= SEEN_LIMIT:
        return seen
    return dict(sorted(seen.items(), key=lambda item: (item[1], item[0]))[-SEEN_LIMIT:])
