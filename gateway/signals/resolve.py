"""From a signal to the events that say so in `dnd.events`: when a hold began, and which holds a lift ends.

Theory of operation. A lift ends only what its author could know of, and a place is never too old by a clock:

| | place that happens now | lift by the contact |
|---|---|---|
| record read behind a barrier | now, and after every place and lift in it | `max(now, placed_at)` per scope and cause |
| without one, or from the spool | receipt + 5 s, and after what was known then | time of receipt |
| and nobody can tell any more when that was | now + 5 s | ends nothing |

All of these are times of the brokers (`dated`): a gateway whose clock is hours off would date its lifts behind the
STOPs that come after them, and its places before lifts that it has not heard of. Of what is only known to lie between
two moments a lift takes the earlier and a place the later one. What a provider dates keeps its date, place or lift,
whichever way it comes.

The lift names its holds' causes whether or not they are held, so that it also covers what a provider reports later and
dates before it (R18: a 30004 for a message sent before START). An old record may only make a place later, never a lift:
what it knows of lifts is true, what it lacks could be a hold.

An event the log already has is not written again: the record knows the ids of 7 days. So a START is written also for
somebody who never opted out. It ends nothing there, and nobody sees it (R18); but it leaves its id, and when it is
delivered again behind a STOP that came since, it is not taken for that STOP's answer. Nothing else would tell: the
provider could be asked when it was written, and is not always there. It also frees contacts that are held by another
way than this address (an import, a merge, a number they had before).

A START close behind a STOP may have overtaken it or not: `contested` says of which holds the provider is to be asked,
and without a barrier nobody knows of whom, so `cautious` leaves all of that time.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from typing import assert_never

from gateway.dnd.addresses import canonical
from gateway.dnd.model import Cause, Event, Lift, LiftTerm, Place, Scope
from gateway.dnd.record import EMPTY, Mark, Record, Register, RegisterKey, fold
from gateway.providers.signals import OptIn, OptOut, Signal
from gateway.signals.broker_clock import Offset

UNSEEN_LIFTS_MS = 5_000
"""Added to the time of receipt of a place when nobody looked at all lifts before it: one that runs ahead, as far as the
fold lets it, does not void it."""

_NOTHING = Register()


@dataclass(frozen=True, slots=True)
class Known:
    """The record of a signal's subject; `fresh`: read behind a barrier that passed after the signal was received."""

    record: Record
    fresh: bool


def resolve(
    signal: Signal, known: Known, now: int, received_at: int, doubted: Collection[RegisterKey] = ()
) -> list[Event]:
    """The events to write, in order; empty when the log has them. Times in ms by the brokers' clock, as `dated` says.

    `doubted`: holds (see `contested`) of which is not known that they are older than the lift; it leaves them.
    """
    moment = max(now, received_at) if known.fresh else received_at
    match signal:
        case OptOut():
            happened_at = moment if known.fresh else moment + UNSEEN_LIFTS_MS
            event: Event = _place(signal, place_at(known.record, signal.scopes, signal.cause, happened_at))
        case OptIn():
            event = _lift(signal, known, moment, doubted)
        case _:
            assert_never(signal)
    # Broker time only matters for what is folded; here it is the question whether it would be. Of most people nothing
    # has been seen.
    return [] if known.record.seen and fold(known.record, event, now).repeated else [event]


def not_before(signal: Signal, record: Record) -> int:
    """For a signal that is spooled: what `resolve_spooled` must date a place at least. 0 = nothing to keep.

    What was known when the place happened is older than the place, whatever their clocks say.
    """
    return place_at(record, signal.scopes, signal.cause, 0) if isinstance(signal, OptOut) else 0


def resolve_spooled(signal: Signal, received_at: int, not_before: int = 0) -> list[Event]:
    """The events of a signal that waited in the spool: what is known now says nothing of what was known then.

    `received_at` (ms) by the brokers' clock, as `dated` says; if nobody can tell, now for a place, and 0 for a lift.
    """
    match signal:
        case OptOut():
            return [_place(signal, max(received_at + UNSEEN_LIFTS_MS, not_before))]
        case OptIn():
            return [_lift(signal, Known(EMPTY, fresh=False), received_at)]
        case _:
            assert_never(signal)


def dated(signal: Signal, at: int, offset: Offset | None) -> int:
    """A moment of our clock by the brokers', so that an error holds; ours while nothing is known of theirs (ms)."""
    if offset is None:
        return at
    return offset.latest(at) if isinstance(signal, OptOut) else offset.earliest(at)


def place_at(record: Record, scopes: Sequence[Scope], cause: Cause, now: int) -> int:
    """When a place that happens now is to be dated: it counts against every lift in the record, and is newer than the
    place there, so that what is to end only that one (an appeal) leaves it."""
    known = [record.registers.get((scope, cause), _NOTHING) for scope in scopes]
    return max(now, *(max(each.placed.at, each.lifted.at) + 1 for each in known))


def contested(signal: OptIn, known: Known, received_at: int, window_ms: int) -> dict[RegisterKey, Mark]:
    """Holds in force by the contact's own word that began less than `window_ms` before this opposite word, or after it.

    Messages overtake one another on their way to us, so which of the two is the last is for the provider to say.
    """
    if not known.fresh or window_ms <= 0 or signal.at is not None:
        return {}
    registers = ((key, known.record.registers.get(key, _NOTHING)) for key in _keys(signal))
    return {
        key: register.placed
        for key, register in registers
        if register.in_force
        and register.placed.actor.kind is signal.actor.kind
        and received_at - register.placed.at <= window_ms
    }


def cautious(signal: Signal, received_at: int, window_ms: int) -> Signal:
    """A START of which nobody knows what holds it contests: it ends only those from before the window."""
    if window_ms <= 0 or not isinstance(signal, OptIn) or signal.at is not None:
        return signal
    return replace(signal, at=max(0, received_at - window_ms - 1))


def _place(signal: OptOut, happened_at: int) -> Place:
    at = happened_at if signal.at is None else signal.at
    subject = canonical(signal.subject)
    return Place(signal.event_id, subject, signal.scopes, (signal.cause,), max(0, at), signal.actor, signal.evidence)


def _lift(signal: OptIn, known: Known, moment: int, doubted: Collection[RegisterKey] = ()) -> Lift:
    terms: list[LiftTerm] = []
    for scope, cause in _keys(signal):
        placed_at = known.record.registers.get((scope, cause), _NOTHING).placed.at
        if signal.at is not None:
            through = signal.at
        elif (scope, cause) in doubted:
            through = min(moment, placed_at - 1)
        else:
            through = max(moment, placed_at) if known.fresh else moment
        terms.append(LiftTerm(scope, cause, max(0, through)))
    return Lift(signal.event_id, canonical(signal.subject), tuple(terms), signal.actor, signal.evidence)


def _keys(signal: OptIn) -> list[RegisterKey]:
    return [(scope, cause) for scope in signal.scopes for cause in signal.causes]
