"""Contact A is merged into B: what is held on A is held on B from then on (R21: union). Pure.

Each hold in force on A becomes a place on B, dated so that it counts against every lift of B there has been: whoever
freed B did not know of A's hold. So it must be done once only, or it would undo a lift of B that came after. A hold
therefore keeps the id of its origin (first contact, scope, cause and time) however many merges it goes through, and
comes to a contact once (`done`), or not at all where it is in force already. So merges in a circle end, too.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import NamedTuple

from gateway.directory.mirroring import HELD_SINCE, Held, digest, held_since, with_origin
from gateway.dnd.model import Place, Subject
from gateway.dnd.record import Mark, Register, RegisterKey

MERGED_FROM = "merged_from"
"""In evidence: the id of the contact that was merged."""

_PREFIX = "merge:"

_UNSET = Register()


class Carried(NamedTuple):
    """That a hold of this origin has come to a contact."""

    contact: Subject
    origin: str


class Union(NamedTuple):
    """Places for the contact that is left, and what has then been done."""

    places: tuple[Place, ...] = ()
    done: tuple[Carried, ...] = ()


def carried_by(contact: Subject, event_id: str) -> Carried | None:
    """What an event of the log shows to have been done; None for one that no merge has made."""
    return Carried(contact, event_id.removeprefix(_PREFIX)) if event_id.startswith(_PREFIX) else None


def origins(contact: Held) -> dict[RegisterKey, str]:
    """The origin of each hold in force on the contact."""
    return {key: _origin(contact.subject, key, register.placed) for key, register in contact.record.holds()}


def union(merged: Held, into: Held, done: Collection[str], now: int, held_until: int | None = None) -> Union:
    """What the merge brings to the contact that is left.

    `done`: origins that have come to it. `now` (ms): read after the barrier the records were read behind.
    `held_until`: for a merge that has ended since, holds placed later are left out.
    """
    places: list[Place] = []
    arrived: list[Carried] = []
    there = origins(into)
    for key, origin in origins(merged).items():
        mark = merged.record.registers[key].placed
        if origin in done or there.get(key) == origin or (held_until is not None and mark.at > held_until):
            continue
        at = max(now, into.record.registers.get(key, _UNSET).lifted.at + 1)
        evidence = with_origin({MERGED_FROM: merged.subject.id, HELD_SINCE: held_since(mark)}, mark.evidence)
        scope, cause = key
        places.append(Place(f"{_PREFIX}{origin}", into.subject, (scope,), (cause,), at, mark.actor, evidence))
        arrived.append(Carried(into.subject, origin))
    return Union(tuple(places), tuple(arrived))


def _origin(contact: Subject, key: RegisterKey, mark: Mark) -> str:
    known = carried_by(contact, mark.event_id)
    return digest(contact, key, mark.at) if known is None else known.origin
