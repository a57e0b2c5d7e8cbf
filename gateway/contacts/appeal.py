"""What an appeal is (R18): who asks with which proof for the end of a contact's permanent holds on one channel."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from urllib.parse import urlsplit

from gateway.dnd.causes import CAUSES
from gateway.dnd.model import Actor, Channel, LiftTerm, Scope, Subject, SubjectKind
from gateway.dnd.record import Record

TEXT_LIMIT, URL_LIMIT, NUMBERS_LIMIT, NOTE_LIMIT = 256, 2_048, 20, 2_000
"""Characters of a text, of a link and of a note; numbers in one appeal."""

Terms = Mapping[Subject, tuple[LiftTerm, ...]]
"""By subject, what an appeal asks to end: holds placed at or before `through`."""


class AppealStatus(StrEnum):
    """OPEN until somebody decides; APPROVING while the holds are lifted, which a crash may interrupt."""

    OPEN = "open"
    APPROVING = "approving"
    APPROVED = "approved"
    REJECTED = "rejected"


class BadEvidence(ValueError):  # noqa: N818 - an outcome of reading
    """`field` and what was `expected` there, in words."""

    def __init__(self, field: str, expected: str) -> None:
        super().__init__(f"{field}: expected {expected}")
        self.field = field
        self.expected = expected


@dataclass(frozen=True, slots=True)
class Evidence:
    """The agency's proof that the contact wants messages. Free text for people, bounded; BadEvidence."""

    relationship_numbers: tuple[str, ...]
    contact: str
    recording_url: str

    def __post_init__(self) -> None:
        if not 0 < len(self.relationship_numbers) <= NUMBERS_LIMIT:
            raise BadEvidence("relationship_numbers", f"1 to {NUMBERS_LIMIT} numbers")
        for number in self.relationship_numbers:
            if not _is_text(number):
                raise BadEvidence("relationship_numbers", f"numbers of 1 to {TEXT_LIMIT} printable characters")
        if not _is_text(self.contact):
            raise BadEvidence("contact", f"1 to {TEXT_LIMIT} printable characters that say who it is")
        if not _is_link(self.recording_url):
            raise BadEvidence(
                "recording_url", f"an https:// link of at most {URL_LIMIT} characters, without a password"
            )


@dataclass(frozen=True, slots=True)
class Appeal:
    """`terms` is what was in force when it was filed. Times in ms. `decided_by` is who approves or rejected it."""

    id: str
    location_id: str
    contact_id: str
    channel: Channel
    evidence: Evidence
    filed_by: Actor
    filed_at: int
    terms: Terms
    status: AppealStatus = AppealStatus.OPEN
    decided_by: Actor | None = None
    decided_at: int | None = None
    note: str = ""

    @property
    def contact(self) -> Subject:
        return Subject(self.location_id, SubjectKind.CONTACT, self.contact_id)


def appealable(record: Record, channel: Channel) -> tuple[LiftTerm, ...]:
    """What an approved appeal would end now: the channel's own holds that support lifts no other way."""
    return tuple(
        LiftTerm(scope, cause, register.placed.at)
        for (scope, cause), register in sorted(record.holds(), key=lambda held: held[0])
        if scope is Scope(channel.value) and CAUSES[cause].by_appeal
    )


def granted(terms: Terms, contacts_with: Mapping[Subject, tuple[Subject, ...]], contact: Subject) -> Terms:
    """What an approval ends now, of what the appeal asked for.

    `contacts_with`: the contacts that have each of the contact's current addresses. An address the contact no longer
    has is not its to free, and one it has got since was not looked at. Whoever has an address carries copies of its
    holds with their dates, some made after the appeal was filed: these end with them.
    """
    ended = {contact: terms.get(contact, ())}
    for address, sharing in contacts_with.items():
        ended[address] = terms.get(address, ())
        for each in (contact, *sharing):
            ended[each] = _joined(ended.get(each, terms.get(each, ())), ended[address])
    return {subject: found for subject, found in ended.items() if found}


def _joined(one: tuple[LiftTerm, ...], other: tuple[LiftTerm, ...]) -> tuple[LiftTerm, ...]:
    """The later of each."""
    latest = {(term.scope, term.cause): term for term in sorted((*one, *other), key=lambda term: term.through)}
    return tuple(latest.values())


def _is_text(text: str) -> bool:
    return bool(text.strip()) and len(text) <= TEXT_LIMIT and text.isprintable()


def _is_link(text: str) -> bool:
    if len(text) > URL_LIMIT or not text.isprintable() or " " in text:
        return False
    try:
        parts = urlsplit(text)
        return parts.scheme == "https" and bool(parts.hostname) and parts.username is None
    except ValueError:
        return False
