"""What is known of a contact after a snapshot of it, whatever order snapshots come in and however often.

The newest by `updated_at` says which addresses are current; of two with one time the later in the log. An address that
a contact once had is remembered: somebody who writes START from it means the holds it brought about (R18). Into whom it
was merged is said by the newest snapshot that says anything of that: one of a contact that is there, or merged; that it
is deleted says nothing. Nothing is forgotten when a contact is deleted: it may be created again, and a later hold on
one that was merged still goes on.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from gateway.contract.contacts import Snapshot
from gateway.dnd.model import Subject, SubjectKind


@dataclass(frozen=True, slots=True)
class Contact:
    """A contact as the directory has it. Of a deleted one every address is former, and so are those that came with
    contacts that were merged into it.

    `updated_at`, `merge_said_at` (ms): of the snapshots that said which addresses are current, and into whom it is
    merged.
    """

    location_id: str
    id: str
    current: frozenset[Subject] = frozenset()
    former: frozenset[Subject] = frozenset()
    merged_into: str | None = None
    merge_said_at: int = 0
    deleted: bool = False
    updated_at: int = 0

    @property
    def subject(self) -> Subject:
        return Subject(self.location_id, SubjectKind.CONTACT, self.id)

    @property
    def addresses(self) -> frozenset[Subject]:
        """Every one it has or had."""
        return self.current | self.former


def succeeded(before: Contact | None, snapshot: Snapshot) -> Contact:
    """The contact after the snapshot."""
    known = _merged(Contact(snapshot.location_id, snapshot.contact_id) if before is None else before, snapshot)
    had = known.addresses | frozenset(snapshot.addresses)
    if is_older(before, snapshot):
        return replace(known, former=had - known.current)
    current = frozenset() if snapshot.deleted else frozenset(snapshot.addresses)
    return replace(
        known,
        current=current,
        former=had - current,
        deleted=snapshot.deleted,
        updated_at=_time(known, snapshot),
    )


def is_older(before: Contact | None, snapshot: Snapshot) -> bool:
    """Whether a newer one has been applied already."""
    return before is not None and _time(before, snapshot) < before.updated_at


def _merged(known: Contact, snapshot: Snapshot) -> Contact:
    into = None if snapshot.merged_into == snapshot.contact_id else snapshot.merged_into
    says_nothing = into is None and snapshot.deleted
    if says_nothing or _time(known, snapshot) < known.merge_said_at:
        return known
    return replace(known, merged_into=into, merge_said_at=_time(known, snapshot))


def _time(known: Contact, snapshot: Snapshot) -> int:
    """A null value says no time; whoever writes the last snapshot once more means that the contact is there again."""
    return known.updated_at if snapshot.updated_at is None else snapshot.updated_at
