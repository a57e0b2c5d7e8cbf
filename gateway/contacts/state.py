"""A contact's DND as people see it: On, Off or Partial, each channel's status, and the holds behind it (R4, R18).

The same for an address alone. Always computed from the records, over the channels that are enlisted at the moment.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from gateway.dnd.addresses import KINDS_OF_CHANNEL
from gateway.dnd.causes import CAUSES
from gateway.dnd.lifters import Lifter, lifters
from gateway.dnd.model import Actor, Cause, Channel, Kind, Scope, Subject, SubjectKind
from gateway.dnd.record import Record, Register, RegisterKey
from gateway.dnd.status import ChannelStatus, ContactRecords, Status, channel_status, status

EVIDENCE_ENTRIES, EVIDENCE_TEXT = 16, 200
"""Of a summary: entries, and characters of one. All of it may be 8 KiB; parsers write a handful of short ones."""

Records = Mapping[Subject, Record]
"""What is known of a contact: its own record first, then those of its current addresses. Of an address: its own."""

Evidence = Mapping[str, str | int | float | bool]


@dataclass(frozen=True, slots=True)
class Hold:
    """One hold in force. `since` (ms), `event_id`, `actor` and `evidence` are of the event that placed it last."""

    subject: Subject
    scope: Scope
    cause: Cause
    kind: Kind
    since: int
    event_id: str
    actor: Actor
    evidence: Evidence
    lifted_by: tuple[Lifter, ...]

    @classmethod
    def of(cls, subject: Subject, key: RegisterKey, register: Register) -> Hold:
        scope, cause = key
        placed = register.placed
        return cls(
            subject=subject,
            scope=scope,
            cause=cause,
            kind=CAUSES[cause].kind,
            since=placed.at,
            event_id=placed.event_id,
            actor=placed.actor,
            evidence=evidence_summary(placed.evidence),
            lifted_by=lifters(cause),
        )


@dataclass(frozen=True, slots=True)
class ContactDnd:
    """The DND of `subject`, a contact, or an address by itself.

    `dnd`: the ALL hold of the subject, and nothing else. `channels`: each channel's own holds, on the contact and on
    its `addresses`; for an address only the channels that use it. `holds`: everything in force on any of them.
    """

    subject: Subject
    addresses: tuple[Subject, ...]
    dnd: bool
    channels: Mapping[Channel, ChannelStatus]
    status: Status
    enlisted: frozenset[Channel]
    holds: tuple[Hold, ...]


def contact_dnd(contact: Subject, records: Records, enlisted: frozenset[Channel]) -> ContactDnd:
    """`records` has the contact and its current addresses."""
    together = contact_records(records)
    return ContactDnd(
        subject=contact,
        addresses=tuple(subject for subject in records if subject != contact),
        dnd=_is_held_on_all(records[contact]),
        channels={channel: channel_status(together, channel) for channel in Channel},
        status=status(together, enlisted),
        enlisted=enlisted,
        holds=holds_of(records),
    )


def address_dnd(address: Subject, record: Record, enlisted: frozenset[Channel]) -> ContactDnd:
    """Of the address by itself, whoever has it."""
    using = [channel for channel, kinds in KINDS_OF_CHANNEL.items() if address.kind in kinds]
    together = contact_records({address: record})
    dnd = _is_held_on_all(record)
    return ContactDnd(
        subject=address,
        addresses=(),
        dnd=dnd,
        channels={channel: channel_status(together, channel) for channel in using},
        status=Status.ON if dnd else status(together, enlisted.intersection(using)),
        enlisted=enlisted,
        holds=holds_of({address: record}),
    )


def contact_records(records: Records) -> ContactRecords:
    """The same records, in the shape that statuses are computed from."""
    contact: Record | None = None
    addresses: dict[SubjectKind, list[Record]] = {}
    for subject, record in records.items():
        if subject.kind is SubjectKind.CONTACT:
            contact = record
        else:
            addresses.setdefault(subject.kind, []).append(record)
    return ContactRecords(contact, addresses)


def holds_of(records: Records) -> tuple[Hold, ...]:
    """Everything in force, subject by subject, each in a fixed order."""
    return tuple(
        Hold.of(subject, key, register)
        for subject, record in records.items()
        for key, register in sorted(record.holds(), key=lambda held: held[0])
    )


def evidence_summary(evidence: Mapping[str, object]) -> Evidence:
    """What of the evidence people are shown at first sight: its plain values, cut to a bearable length."""
    return dict(_plain(evidence.items()))


def _plain(entries: Iterable[tuple[str, object]]) -> Iterator[tuple[str, str | int | float | bool]]:
    left = EVIDENCE_ENTRIES
    for name, value in entries:
        if left and isinstance(value, str | int | float):
            left -= 1
            yield name[:EVIDENCE_TEXT], value[:EVIDENCE_TEXT] if isinstance(value, str) else value


def _is_held_on_all(record: Record) -> bool:
    return any(scope is Scope.ALL for (scope, _), _ in record.holds())
