"""A contact, its addresses, and who does things to them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from gateway.contacts.state import Records
from gateway.dnd.model import Actor, ActorKind, Cause, Channel, Event, Place, Scope, Subject, SubjectKind
from gateway.dnd.record import EMPTY, Record, RegisterKey, fold

NOW = 1_790_000_000_000
"""ms: when tests without a clock happen; holds are placed before it."""

CONTACT = Subject("loc1", SubjectKind.CONTACT, "c1")
PHONE = Subject("loc1", SubjectKind.PHONE, "+14155552671")
EMAIL = Subject("loc1", SubjectKind.EMAIL, "a@example.com")

USER = Actor(ActorKind.USER, "u1")
AGENCY = Actor(ActorKind.AGENCY, "a1")
SUPPORT = Actor(ActorKind.SUPPORT, "s1")
WORKFLOW = Actor(ActorKind.WORKFLOW, "w1")

EVERYTHING = frozenset(Channel)


def place(
    subject: Subject,
    scope: Scope,
    cause: Cause,
    *,
    at: int = NOW - 10_000,
    event_id: str = "p",
    evidence: Mapping[str, object] | None = None,
) -> Place:
    given = {"provider": "test"} if evidence is None else evidence
    return Place(event_id, subject, (scope,), (cause,), at, Actor(ActorKind.PROVIDER, "p"), given)


def applied(records: Records, events: Iterable[Event], broker_time: int = NOW) -> dict[Subject, Record]:
    """The records behind the events."""
    after = dict(records)
    for event in events:
        after[event.subject] = fold(after.get(event.subject, EMPTY), event, broker_time).record
    return after


def nothing(*subjects: Subject) -> dict[Subject, Record]:
    return dict.fromkeys(subjects or (CONTACT,), EMPTY)


def held(records: Records) -> set[tuple[Subject, RegisterKey]]:
    return {(subject, key) for subject, record in records.items() for key, _ in record.holds()}


@dataclass
class Book:
    """A directory in memory: addresses by contact."""

    entries: dict[str, tuple[Subject, ...]] = field(default_factory=dict)

    async def addresses(self, location_id: str, contact_id: str) -> tuple[Subject, ...]:
        return self.entries.get(contact_id, ()) if location_id == CONTACT.location_id else ()

    async def contacts_of(self, subject: Subject) -> list[str]:
        return [contact for contact, addresses in self.entries.items() if subject in addresses]
