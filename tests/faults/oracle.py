"""Whether a subject is held, told from the events alone: a second, simpler fold, for what the driver sends.

The driver's places name one scope and one cause, its lifts only what their author may lift, and no time needs
clipping. So a hold is in force while its latest place is later than its latest lift.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from tests.faults.history import Action, Record, Sent, SentEvent, Subject

ALL = "ALL"


def covers(scope: str, channel: str) -> bool:
    return scope in (ALL, channel)


@dataclass(frozen=True, slots=True)
class LoggedEvent:
    """One event of `dnd.events`, for one scope and cause. `time` as in SentEvent."""

    partition: int
    offset: int
    event_id: str
    action: Action
    scope: str
    cause: str
    time: int


class Log:
    """`dnd.events` by subject."""

    def __init__(self, records: Iterable[Record]) -> None:
        self.offsets: dict[str, tuple[int, int]] = {}
        """Partition and offset of each event id."""
        self._by_subject: dict[Subject, list[LoggedEvent]] = defaultdict(list)
        for record in records:
            subject, events = _read(record)
            self._by_subject[subject] += events
            for event in events:
                self.offsets.setdefault(event.event_id, (record.partition, record.offset))

    def held(self, subject: Subject, channel: str, positions: Mapping[int, int]) -> bool:
        """Whether the events below the positions (next offset by partition) hold the subject on the channel."""
        known = [
            event for event in self._by_subject.get(subject, ()) if event.offset < positions.get(event.partition, 0)
        ]
        return any(covers(scope, channel) for scope, _ in _in_force(known))


def _in_force(events: Sequence[LoggedEvent]) -> list[tuple[str, str]]:
    placed: dict[tuple[str, str], int] = {}
    lifted: dict[tuple[str, str], int] = {}
    for event in events:
        side = placed if event.action is Action.PLACE else lifted
        key = (event.scope, event.cause)
        side[key] = max(event.time, side.get(key, -1))
    return [key for key, at in placed.items() if at > lifted.get(key, -1)]


def _read(record: Record) -> tuple[Subject, list[LoggedEvent]]:
    value = json.loads(record.value or b"")
    subject, event_id = Subject(*value["subject"]), value["event_id"]
    at = (record.partition, record.offset, event_id)
    if value["type"] == "place":
        events = [
            LoggedEvent(*at, Action.PLACE, scope, cause, value["at"])
            for scope in value["channels"]
            for cause in value["causes"]
        ]
    else:
        events = [
            LoggedEvent(*at, Action.LIFT, term["channel"], term["cause"], term["through"]) for term in value["lifts"]
        ]
    return subject, events


class Certainty:
    """What the driver alone can be sure of, without looking into any topic or trusting any claim of the guard.

    Between the sending of an event and its acknowledgement anything may be; so there are three answers.
    """

    def __init__(self, sent: Sent) -> None:
        self._sent = sent
        self._by_subject: dict[Subject, list[SentEvent]] = defaultdict(list)
        for event in sent.events.values():
            self._by_subject[event.subject].append(event)

    def surely_held(self, subject: Subject, channel: str, at: int) -> SentEvent | None:
        """A hold acknowledged before the driver's clock was `at`, with no lift of it sent since it was sent."""
        events = self._by_subject.get(subject, ())
        for place in events:
            acknowledged = self._sent.events_acknowledged.get(place.event_id)
            if place.action is not Action.PLACE or not covers(place.scope, channel):
                continue
            if acknowledged is None or acknowledged >= at:
                continue
            if not any(_same(place, lift) and lift.sent > place.sent for lift in events if lift.action is Action.LIFT):
                return place
        return None

    def surely_free(self, subject: Subject, channel: str, at: int) -> bool:
        """Every hold ever sent on the channel was also ended: by a lift acknowledged before `at` and sent after it."""
        events = self._by_subject.get(subject, ())
        places = [event for event in events if event.action is Action.PLACE and covers(event.scope, channel)]
        lifts = [
            event
            for event in events
            if event.action is Action.LIFT and self._sent.events_acknowledged.get(event.event_id, at) < at
        ]
        return all(any(_same(place, lift) and lift.time >= place.time for lift in lifts) for place in places)


def _same(place: SentEvent, lift: SentEvent) -> bool:
    return (place.scope, place.cause) == (lift.scope, lift.cause)
