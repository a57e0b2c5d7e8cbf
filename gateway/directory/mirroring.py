"""Copying holds of an address to the contacts that have it, and their ends (R21). Pure.

Theory of operation. Everything is worked out from records, never from single events, so that doing it twice, late, or
for several events at once ends in the same. A copy has the time of its original: repeated, it changes nothing, and a
lift that came after the original ends the copy too.

Places. Each hold in force on an address is copied to the contact that has it, unless a lift of the contact covers it
already or the contact is held as long. A hold of the contact's own (set on it, imported, or from a merge) is left to
stand for both: were the copy on top of it, the address's lift would end them both. Not on one that was merged: there
the copy is what goes on to the contact that is left, and the own hold has gone there before.

Lifts. The person's own word (START, resume) from an address frees every contact that has it, and of contacts that had
it the holds whose evidence names it. What somebody else lifts on an address frees a contact of copies alone, and only
when none of its addresses is held any more; the contact's own holds are lifted on the contact. Where a copy may lie on
top of an own hold, on one that was merged, it is lifted on the contact, too.

After a lift on a contact its addresses are copied again: a hold it did not know of may have been left to an own one.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from hashlib import blake2b

import msgspec

from gateway.contract.forgiving import EVIDENCE_LIMIT_BYTES
from gateway.dnd.addresses import KINDS_OF_CHANNEL
from gateway.dnd.model import Actor, ActorKind, Cause, Lift, LiftTerm, Place, Scope, Subject, SubjectKind
from gateway.dnd.record import NEVER, Mark, Record, Register, RegisterKey

MIRRORED_FROM = "mirrored_from"
"""In evidence: `[kind, id]` of the address that is, or was, held."""

HELD_SINCE = "held_since"
"""In evidence: the time (ms) of the hold that a merge has brought, on the contact or address it began on."""

_UNSET = Register()
_encode = msgspec.json.Encoder().encode


@dataclass(frozen=True, slots=True)
class Held:
    """A subject and its record."""

    subject: Subject
    record: Record


def places(address: Held, contact: Held, addresses: frozenset[Subject], *, merged: bool = False) -> list[Place]:
    """What is to be placed on the contact, which has the address. `addresses`: all it has or had; `merged`: into
    another contact."""
    found: list[Place] = []
    for (scope, cause), register in _in_force(address):
        mark = register.placed
        own = contact.record.registers.get((scope, cause), _UNSET)
        if own.lifted.at >= mark.at:
            continue
        is_own = mirrored_from(contact.subject, own.placed) not in addresses
        if own.in_force and (own.placed.at >= mark.at or (is_own and not merged)):
            continue
        event_id = _event_id(address.subject, contact.subject, mark.event_id, [scope, cause])
        evidence = with_origin({MIRRORED_FROM: [address.subject.kind, address.subject.id]}, mark.evidence)
        found.append(Place(event_id, contact.subject, (scope,), (cause,), mark.at, mark.actor, evidence))
    return found


def lifts_by_the_person(address: Held, keys: Sequence[RegisterKey], contact: Held, *, has_it: bool) -> list[Lift]:
    """What their word from the address ends on a contact that has it, or (`has_it` false) had it or holds of it."""
    terms: dict[tuple[str, Actor], list[LiftTerm]] = {}
    for (scope, cause), mark in _lifted(address, keys):
        if mark.actor.kind is not ActorKind.CONTACT:
            continue
        own = contact.record.registers.get((scope, cause), _UNSET)
        # A merge dates by its own time: of when the lift was said counts what the hold was from the beginning.
        names_it = own.in_force and mirrored_from(contact.subject, own.placed) == address.subject
        if names_it and held_since(own.placed) <= mark.at:
            through = max(mark.at, own.placed.at)
        elif has_it and own.lifted.at < mark.at:
            through = mark.at
        else:
            continue
        terms.setdefault((mark.event_id, mark.actor), []).append(LiftTerm(scope, cause, through))
    return [
        _lift(address.subject, contact.subject, event_id, actor, found) for (event_id, actor), found in terms.items()
    ]


def lifts_by_others(
    address: Held, keys: Sequence[RegisterKey], contact: Held, others: Mapping[Subject, Record]
) -> list[Lift]:
    """What a lift on the address by a user, workflow, ... ends on a contact that has it.

    `others`: the records of all other addresses the contact has or had.
    """
    everywhere = {address.subject: address.record, **others}
    terms: dict[tuple[str, Actor], list[LiftTerm]] = {}
    for key, mark in _lifted(address, keys):
        own = contact.record.registers.get(key, _UNSET)
        if mark.actor.kind is ActorKind.CONTACT or not own.in_force:
            continue
        if mirrored_from(contact.subject, own.placed) not in everywhere:
            continue
        if any(key == held for each in everywhere.items() for held, _ in _in_force(Held(*each))):
            continue
        terms.setdefault((mark.event_id, mark.actor), []).append(LiftTerm(*key, own.placed.at))
    return [
        _lift(address.subject, contact.subject, event_id, actor, found) for (event_id, actor), found in terms.items()
    ]


def mirrored_from(contact: Subject, mark: Mark) -> Subject | None:
    """The address a hold of the contact was copied from; None for one of its own."""
    match mark.evidence.get(MIRRORED_FROM):
        case [str(kind), str(id_)] if kind in _KINDS:
            return Subject(contact.location_id, SubjectKind(kind), id_)
        case _:
            return None


def held_since(mark: Mark) -> int:
    """When the hold began (ms), however many merges it has gone through."""
    match mark.evidence.get(HELD_SINCE):
        case int(since):
            return since
        case _:
            return mark.at


def with_origin(origin: Mapping[str, object], evidence: Mapping[str, object]) -> Mapping[str, object]:
    """Evidence that says where it comes from, whatever else has to be left out for its size."""
    whole = {**evidence, **origin}
    if len(_encode(whole)) <= EVIDENCE_LIMIT_BYTES:
        return whole
    kept = {MIRRORED_FROM: evidence[MIRRORED_FROM]} if MIRRORED_FROM in evidence else {}
    return {**kept, **origin, "left_out_bytes": len(_encode(evidence))}


def digest(*parts: object) -> str:
    """The same for the same parts, in every process and for ever: event ids rest on it."""
    return blake2b(_encode(parts), digest_size=16).hexdigest()


_KINDS = frozenset(SubjectKind)


def _in_force(address: Held) -> Iterator[tuple[RegisterKey, Register]]:
    """The address's holds by what they mean for a contact: ALL on an address is every channel that sends to it."""
    for (scope, cause), register in address.record.holds():
        for each in _channels(scope, address.subject.kind):
            yield (each, cause), register


def _lifted(address: Held, keys: Sequence[RegisterKey]) -> Iterator[tuple[RegisterKey, Mark]]:
    """The latest allowed lift of each key on the address; a refused one has left no mark."""
    found: dict[RegisterKey, Mark] = {}
    for scope, cause in keys:
        mark = address.record.registers.get((scope, cause), _UNSET).lifted
        if mark.at == NEVER:
            continue
        for each in _channels(scope, address.subject.kind):
            found[each, cause] = found.get((each, cause), mark).join(mark)
    return iter(found.items())


def _channels(scope: Scope, kind: SubjectKind) -> tuple[Scope, ...]:
    if scope is not Scope.ALL:
        return (scope,)
    return tuple(Scope(channel.value) for channel, kinds in KINDS_OF_CHANNEL.items() if kind in kinds)


def _lift(address: Subject, contact: Subject, event_id: str, actor: Actor, terms: Sequence[LiftTerm]) -> Lift:
    ordered = tuple(sorted(terms, key=lambda term: (term.scope, term.cause)))
    keys: list[tuple[Scope, Cause]] = [(term.scope, term.cause) for term in ordered]
    evidence = {MIRRORED_FROM: [address.kind, address.id], "event_id": event_id}
    return Lift(_event_id(address, contact, event_id, keys), contact, ordered, actor, evidence)


def _event_id(address: Subject, contact: Subject, event_id: str, acts_on: Sequence[object]) -> str:
    return f"mirror:{digest(address, contact, event_id, acts_on)}"
