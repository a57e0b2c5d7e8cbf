"""Batches of requests in memory: decided on holds in a dict, and what became of every request."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from gateway.contract.events import event_key
from gateway.contract.topics import Topics
from gateway.dnd.model import Actor, ActorKind, Cause, Place, Scope, Subject, SubjectKind
from gateway.dnd.record import EMPTY, Record, fold
from gateway.guard.deciding import NOTHING_UNAVAILABLE, BatchDecision, Header, Tally, Unavailable
from gateway.guard.reading import read_batch

TOPICS = Topics()
PARTITION = 3
FIRST_OFFSET = 4_711
NOW = 1_763_900_000_000

GOOD: dict[str, object] = {
    "request_id": "r-1",
    "location_id": "loc1",
    "contact_id": "c1",
    "channel": "SMS",
    "to": "+14155552671",
}
EMAIL: dict[str, object] = GOOD | {"channel": "Email", "to": "a@example.com"}

CONTACT = Subject("loc1", SubjectKind.CONTACT, "c1")
PHONE = Subject("loc1", SubjectKind.PHONE, "+14155552671")

Holds = Mapping[Subject, Record]


def value(**fields: object) -> bytes:
    """A good request to a phone, with other fields."""
    return json.dumps(GOOD | fields).encode()


def email(**fields: object) -> bytes:
    """A good request to a mailbox, with other fields."""
    return json.dumps(EMAIL | fields).encode()


def mailbox(address: str, location: str = "loc1") -> Subject:
    return Subject(location, SubjectKind.EMAIL, address)


def held(scope: Scope = Scope.SMS, cause: Cause = Cause.MANUAL, event_id: str = "e1", at: int = NOW - 1_000) -> Record:
    """A record with one hold in force."""
    place = Place(event_id, CONTACT, (scope,), (cause,), at, Actor(ActorKind.USER, "u1"))
    return fold(EMPTY, place, at).record


@dataclass(slots=True)
class Line:
    """A record of `outbound.requests`."""

    offset: int
    value: bytes | None
    key: bytes | None = b"k"
    headers: Sequence[Header] = ()


@dataclass(frozen=True, slots=True)
class Written:
    """A record that was appended to the outputs."""

    topic: str
    key: bytes | None
    value: bytes | None
    timestamp_ms: int
    headers: dict[str, bytes]
    raw_headers: list[Header]


class HoldsInADict:
    """The view, as far as a decision needs it."""

    def __init__(self, holds: Holds) -> None:
        self._records: dict[bytes, Record] = {}
        self.hold(holds)

    def hold(self, holds: Holds) -> None:
        self._records |= {event_key(subject): record for subject, record in holds.items()}

    def positions(self) -> Sequence[int]:
        return [91, 17]

    def lookup(self, keys: Sequence[bytes]) -> list[Record | None]:
        return [self._records.get(key) for key in keys]


@dataclass(slots=True)
class Decided:
    """Everything that was written for a batch."""

    written: list[Written] = field(default_factory=list)
    tally: Tally = field(default_factory=Tally)

    def append(
        self, topic: str, key: bytes | None, value: bytes | None, timestamp_ms: int, headers: list[Header] | None = None
    ) -> None:
        given = [] if headers is None else headers
        self.written.append(Written(topic, key, value, timestamp_ms, dict(given), given))

    @property
    def decisions(self) -> list[dict[str, Any]]:
        return [json.loads(each.value or b"") for each in self.written if each.topic == TOPICS.decisions]

    @property
    def dead(self) -> list[Written]:
        return [each for each in self.written if each.topic == TOPICS.dead]

    @property
    def forwarded(self) -> list[Written]:
        return [each for each in self.written if each.topic in TOPICS.outputs]


def decide(
    given: Sequence[bytes | Line | None],
    holds: Holds | None = None,
    *,
    now: int = NOW,
    default_region: str | None = None,
    unwritable: bool = False,
    unavailable: Unavailable = NOTHING_UNAVAILABLE,
) -> Decided:
    """Decide a batch; values become records with consecutive offsets from FIRST_OFFSET."""
    lines = [each if isinstance(each, Line) else Line(FIRST_OFFSET + index, each) for index, each in enumerate(given)]
    batch = read_batch(lines, lambda _: default_region, unwritable=unwritable)
    decided = Decided()
    decision = BatchDecision(TOPICS, PARTITION, batch, HoldsInADict(holds or {}), now, decided, unavailable)
    decided.tally = decision.decide()
    return decided


def outcome(given: bytes | None, holds: Holds | None = None, **how: Any) -> dict[str, Any]:
    """The one decision of one request."""
    (decision,) = decide([given], holds, **how).decisions
    return decision
