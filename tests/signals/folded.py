"""Records and what is held by them, folded from events as the view does it."""

from __future__ import annotations

from gateway.dnd.model import Event
from gateway.dnd.record import EMPTY, Record, RegisterKey, fold

HOUR_MS = 3_600_000
NOON = 1_763_900_000_000


def after(*events: tuple[Event, int]) -> Record:
    record = EMPTY
    for event, broker_time in events:
        record = fold(record, event, broker_time).record
    return record


def held(record: Record) -> set[RegisterKey]:
    return {key for key, _ in record.holds()}


def only(events: list[Event]) -> Event:
    (event,) = events
    return event
