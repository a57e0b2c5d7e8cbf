"""What an import says is held, as places (R5). Pure.

All are dated by the snapshot, so the same snapshot once more undoes no lift that came since. What is permanent is an
opt-out, and those belong to the number or mailbox (R21): it is placed on the contact's addresses too, so that it holds
its duplicates, and START from the number ends it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from gateway.contract.contacts import Snapshot
from gateway.directory.mirroring import digest
from gateway.dnd.addresses import KINDS_OF_CHANNEL
from gateway.dnd.causes import CAUSES
from gateway.dnd.model import Actor, ActorKind, Channel, Kind, Place, Scope, Subject
from gateway.dnd.record import Record, Register

IMPORT = Actor(ActorKind.SYSTEM, "import")

_UNSET = Register()


def imported(snapshot: Snapshot, record_of: Callable[[Subject], Record]) -> list[Place]:
    """The places that are not known yet."""
    found: list[Place] = []
    for subject, place in _all(snapshot):
        ((scope, cause),) = [(scope, cause) for scope in place.scopes for cause in place.causes]
        register = record_of(subject).registers.get((scope, cause), _UNSET)
        if max(register.placed.at, register.lifted.at) < place.at:
            found.append(place)
    return found


def _all(snapshot: Snapshot) -> Iterator[tuple[Subject, Place]]:
    at = snapshot.updated_at
    if at is None:
        return
    evidence = {"source": "contacts", "contact_id": snapshot.contact_id, "updated_at": at}
    for scope, cause in snapshot.imported:
        subjects = [snapshot.subject]
        if CAUSES[cause].kind is Kind.PERMANENT and scope is not Scope.ALL:
            kinds = KINDS_OF_CHANNEL[Channel(scope.value)]
            subjects += [address for address in snapshot.addresses if address.kind in kinds]
        for subject in subjects:
            event_id = f"import:{digest(snapshot.subject, subject, scope, cause, at)}"
            yield subject, Place(event_id, subject, (scope,), (cause,), at, IMPORT, evidence)
