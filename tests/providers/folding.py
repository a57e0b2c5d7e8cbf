"""Signals as events in the log, without Kafka: what is held when they have arrived, in whatever order."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence

from gateway.contract.events import decode_event, encode_event
from gateway.dnd.model import Event, Lift, LiftTerm, Place
from gateway.dnd.record import EMPTY, Record, RegisterKey, fold
from gateway.providers.signals import OptIn, OptOut, Signal

RECEIVED = 1_790_000_000_000
"""ms: when the first delivery comes in, after everything the payloads date."""


def event_of(signal: Signal, received: int) -> Event:
    match signal:
        case OptOut():
            at = received if signal.at is None else signal.at
            return Place(
                signal.event_id, signal.subject, signal.scopes, (signal.cause,), at, signal.actor, signal.evidence
            )
        case OptIn():
            through = received if signal.at is None else signal.at
            terms = tuple(LiftTerm(scope, cause, through) for scope in signal.scopes for cause in signal.causes)
            return Lift(signal.event_id, signal.subject, terms, signal.actor, signal.evidence)


def written(signal: Signal) -> Event:
    """Written to the log and read back; it must not need the forgiving reader, nor lose anything."""
    event = event_of(signal, RECEIVED)
    assert decode_event(encode_event(event, RECEIVED), RECEIVED) == event
    return event


def held(signals: Iterable[Signal]) -> set[RegisterKey]:
    """The holds in force on the one subject of the signals, delivered a second apart."""
    record: Record = EMPTY
    for nth, signal in enumerate(signals):
        received = RECEIVED + 1_000 * nth
        record = fold(record, event_of(signal, received), received).record
    return {key for key, _ in record.holds()}


def deliveries(signals: Sequence[Signal]) -> list[tuple[Signal, ...]]:
    """Every order, each also with every signal delivered twice."""
    return [order for twice in (signals, (*signals, *signals)) for order in itertools.permutations(twice)]
