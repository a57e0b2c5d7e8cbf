"""Whom the driver writes to: contacts with an address for every channel, and what may happen to their holds."""

from __future__ import annotations

import json
import random
import time
from enum import Enum, auto

from tests.faults.history import Action, SentEvent, Subject
from tests.faults.oracle import ALL, covers

ADDRESS_KINDS = {"SMS": "phone", "Call": "phone", "WhatsApp": "phone", "Email": "email", "FB": "psid", "GMB": "gmb"}
CHANNELS = tuple(ADDRESS_KINDS)
LOCATIONS = ("loc1", "loc2")

CAUSES = {"user": ("manual",), "SMS": ("manual", "unreachable"), "Email": ("manual", "bounce", "unsubscribe")}
"""All of them may be lifted by a user; those of a channel may be placed on it alone."""


class Fate(Enum):
    NEVER_HELD = auto()
    HELD_FOR_EVER = auto()
    HELD_AND_FREED = auto()


class Person:
    """A contact. One event is under way at a time, so that their order is known."""

    def __init__(self, number: int, fate: Fate) -> None:
        self.location = LOCATIONS[number % len(LOCATIONS)]
        self.contact = Subject(self.location, "contact", f"c{number}")
        self.fate = fate
        self.hot_channel: str | None = None
        """What the next request to them is sent on: a channel that has just changed."""
        self.in_flight = False
        self._held: SentEvent | None = None
        self._last = 0
        self._addresses = {
            "phone": f"+1415555{number:04d}",
            "email": f"person{number}@example.com",
            "psid": f"psid-{number}",
            "gmb": f"gmb-{number}",
        }

    def address(self, channel: str) -> Subject:
        kind = ADDRESS_KINDS[channel]
        return Subject(self.location, kind, self._addresses[kind])

    def subjects(self, channel: str) -> tuple[Subject, ...]:
        """Whose holds decide a request on the channel."""
        return self.contact, self.address(channel)

    def next_event(self, number: int, step: int, rng: random.Random) -> SentEvent:
        """A place, or a lift of the hold they have."""
        self.in_flight = True
        event_id = f"e{number}"
        if (held := self._held) is not None:
            return SentEvent(event_id, Action.LIFT, held.subject, held.scope, held.cause, held.time, step)
        channel = rng.choice(CHANNELS)
        scope = ALL if rng.random() < 0.2 else channel
        cause = rng.choice(CAUSES.get(scope, CAUSES["user"]))
        subject = rng.choice(self.subjects(channel))
        # Times of one hold grow, whatever the clock does: a place is never too old to count.
        self._last = max(self._last + 1, time.time_ns() // 1_000_000)
        return SentEvent(event_id, Action.PLACE, subject, scope, cause, self._last, step)

    def changed(self, event: SentEvent) -> None:
        """The event is acknowledged."""
        self.in_flight = False
        self._held = event if event.action is Action.PLACE else None
        concerned = [channel for channel in CHANNELS if covers(event.scope, channel)]
        concerned = [channel for channel in concerned if event.subject in self.subjects(channel)]
        self.hot_channel = concerned[0]

    def may_change(self) -> bool:
        if self.in_flight or self.fate is Fate.NEVER_HELD:
            return False
        return self._held is None or self.fate is Fate.HELD_AND_FREED


class People:
    """A quarter is never held, a quarter once, half again and again."""

    def __init__(self, count: int, rng: random.Random) -> None:
        fates = (Fate.NEVER_HELD, Fate.HELD_FOR_EVER, Fate.HELD_AND_FREED, Fate.HELD_AND_FREED)
        self._people = [Person(number, fates[number % len(fates)]) for number in range(count)]
        self._rng = rng

    def any(self) -> Person:
        return self._rng.choice(self._people)

    def never_held(self) -> Person:
        return self._rng.choice([person for person in self._people if person.fate is Fate.NEVER_HELD])

    def to_change(self) -> Person | None:
        """Somebody whose holds may change now; None when nobody was found quickly."""
        for _ in range(20):
            person = self._rng.choice(self._people)
            if person.may_change():
                return person
        return None


def request_value(request_id: str, person: Person, channel: str, body: str) -> bytes:
    """As in the contract, spelt as senders do."""
    value = {
        "request_id": request_id,
        "location_id": person.location,
        "contact_id": person.contact.id,
        "channel": channel,
        "to": person.address(channel).id,
        "from": "+14155550100",
        "body": body,
        "source": "workflow",
        "created_at": time.time_ns() // 1_000_000,
        "metadata": {"campaign": "spring"},
    }
    return json.dumps(value).encode()


def broken_value(rng: random.Random, request_id: str, person: Person) -> bytes | None:
    """A request that cannot be decided, in one of many ways."""
    good = json.loads(request_value(request_id, person, "SMS", "Hello"))
    ways: list[bytes | None] = [
        None,
        b"",
        b"not json",
        b"\xff\xfe",
        b"[" * 2_000,
        json.dumps({**good, "channel": "Instagram"}).encode(),
        json.dumps({**good, "to": "12"}).encode(),
        json.dumps({**good, "to": 12}).encode(),
        json.dumps({name: value for name, value in good.items() if name != "contact_id"}).encode(),
    ]
    return rng.choice(ways)
