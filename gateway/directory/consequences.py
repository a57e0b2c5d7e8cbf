"""What follows from snapshots of contacts and from events of the log, by the rules of this package.

The caller sees to the order: all events that were acknowledged before a snapshot is looked at have been handed over
before, and the records say at least what those events say. Then a contact has an address from one snapshot to the
next, and a lift made before it got the address cannot free it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple, Protocol

from gateway.contract.contacts import Snapshot
from gateway.directory.importing import imported
from gateway.directory.merging import Carried, carried_by, union
from gateway.directory.mirroring import Held, lifts_by_others, lifts_by_the_person, places
from gateway.directory.succession import Contact, is_older, succeeded
from gateway.dnd.model import Event, Lift, Place, Subject, SubjectKind
from gateway.dnd.record import Record, RegisterKey, fold


@dataclass(frozen=True, slots=True)
class Learnt:
    """What some records of a topic say: contacts as they are now, events that follow, and merges that are done."""

    contacts: Collection[Contact] = ()
    events: Sequence[Event] = ()
    done: Collection[Carried] = ()


class Logged(NamedTuple):
    """An event, and when the log took it (ms)."""

    event: Event
    broker_time: int


class Records(Protocol):
    """What is held, as far as it is known here."""

    def get(self, subject: Subject) -> Record: ...

    def held(self, subjects: Sequence[Subject]) -> list[Subject]:
        """Those with a hold in force."""


class Known(Protocol):
    """What the directory knows; `Lookups`."""

    async def contacts(self, wanted: Collection[Subject]) -> dict[Subject, Contact]: ...
    async def holders(self, addresses: Collection[Subject]) -> Mapping[Subject, Sequence[Contact]]: ...
    async def carried(self, contacts: Collection[Subject]) -> set[Carried]: ...


async def of_snapshots(snapshots: Sequence[Snapshot], known: Known, records: Records, now: int) -> Learnt:
    """Snapshots in the order of the log. `now` (ms): read after the barrier the records are behind."""
    before = await known.contacts({snapshot.subject for snapshot in snapshots})
    after = dict(before)
    events = _Following(records, now)
    gained: list[tuple[Subject, Subject]] = []
    merges: dict[tuple[Subject, Subject], int | None] = {}
    for snapshot in snapshots:
        contact = after.get(snapshot.subject)
        older = is_older(contact, snapshot)
        next_ = after[snapshot.subject] = succeeded(contact, snapshot)
        events.add(imported(snapshot, events.get))
        gained += [
            (snapshot.subject, address) for address in next_.current - (contact.current if contact else frozenset())
        ]
        if (into := _target(snapshot.subject, snapshot.merged_into)) is not None:
            # One that has ended since brings what was held when it was there.
            held_until = snapshot.updated_at if older and next_.merged_into != into.id else None
            pair = (snapshot.subject, into)
            merges[pair] = held_until if pair not in merges or merges[pair] is not None else None
    await _inherited(after, merges, known)
    held = set(events.held([address for _, address in gained]))
    for subject, address in sorted(gained):
        if address in held:
            events.add(_copies(after[subject], [address], events))
    done = await _united(merges, known, events, now)
    changed = [contact for subject, contact in after.items() if contact != before.get(subject)]
    return Learnt(changed, events.all(), done)


async def of_events(events: Sequence[Logged], known: Known, records: Records, now: int) -> Learnt:
    """Events of the log; `records` has them already. `now` as above."""
    lifted: dict[Subject, dict[RegisterKey, None]] = {}
    placed: dict[Subject, None] = {}
    done: dict[Carried, None] = {}
    for event, broker_time in events:
        match event:
            case Place():
                placed[event.subject] = None
                if (carried := carried_by(event.subject, event.event_id)) is not None:
                    done[carried] = None
            case Lift() if not _is_repeated(event, broker_time, records):
                keys = lifted.setdefault(event.subject, {})
                keys.update(((term.scope, term.cause), None) for term in event.terms)
    following = _Following(records, now)
    addresses = {subject for subject in (*placed, *lifted) if subject.kind is not SubjectKind.CONTACT}
    holders = await known.holders(addresses)
    for address in sorted(addresses):
        have = [contact for contact in holders.get(address, []) if address in contact.current]
        had = [contact for contact in holders.get(address, []) if address not in contact.current]
        if address in placed:
            for contact in have:
                following.add(_copies(contact, [address], following))
        if address in lifted:
            following.add(_lifts(address, list(lifted[address]), have, had, following))
    contacts = await known.contacts({subject for subject in (*placed, *lifted) if subject.kind is SubjectKind.CONTACT})
    for subject, contact in contacts.items():
        if subject in lifted:
            following.add(_copies(contact, sorted(contact.current), following))
    merges = dict.fromkeys(pair for subject in placed if subject in contacts for pair in _merge_of(contacts[subject]))
    done |= dict.fromkeys(await _united(merges, known, following, now))
    return Learnt((), following.all(), tuple(done))


def _is_repeated(lift: Lift, broker_time: int, records: Records) -> bool:
    """Whether the record is another copy of an event: the address does not count it, and somebody may have got the
    address since the first."""
    return records.get(lift.subject).seen.get(f"lift:{lift.event_id}", broker_time) < broker_time


class _Following:
    """Events that follow, each once, and the records as they will be when those are in the log: what is worked out
    later in a batch must not rest on a hold that the batch has ended."""

    def __init__(self, records: Records, now: int) -> None:
        self._records = records
        self._now = now
        self._changed: dict[Subject, Record] = {}
        self._found: dict[tuple[Subject, str], Event] = {}

    def add(self, events: Iterable[Event]) -> None:
        for event in events:
            if (event.subject, event.event_id) not in self._found:
                self._found[event.subject, event.event_id] = event
                self._changed[event.subject] = fold(self.get(event.subject), event, self._now).record

    def all(self) -> tuple[Event, ...]:
        return tuple(self._found.values())

    def get(self, subject: Subject) -> Record:
        return self._changed.get(subject) or self._records.get(subject)

    def held(self, subjects: Sequence[Subject]) -> list[Subject]:
        known = set(self._records.held(subjects))
        return [subject for subject in subjects if subject in known or subject in self._changed]


def _copies(contact: Contact, addresses: Sequence[Subject], records: Records) -> list[Place]:
    found: list[Place] = []
    for address in addresses:
        record = records.get(address)
        if any(record.holds()):
            mine = Held(contact.subject, records.get(contact.subject))
            found += places(Held(address, record), mine, contact.addresses, merged=contact.merged_into is not None)
    return found


def _lifts(
    address: Subject, keys: Sequence[RegisterKey], have: Sequence[Contact], had: Sequence[Contact], records: Records
) -> list[Lift]:
    found: list[Lift] = []
    ended = Held(address, records.get(address))
    for contact in have:
        mine = Held(contact.subject, records.get(contact.subject))
        others = {other: records.get(other) for other in contact.addresses - {address}}
        found += lifts_by_the_person(ended, keys, mine, has_it=True)
        if contact.merged_into is None:
            found += lifts_by_others(ended, keys, mine, others)
    for contact in had:
        found += lifts_by_the_person(ended, keys, Held(contact.subject, records.get(contact.subject)), has_it=False)
    return found


async def _inherited(after: dict[Subject, Contact], merges: Iterable[tuple[Subject, Subject]], known: Known) -> None:
    """Whoever is left after a merge counts as having had the other's addresses: the holds that come with the merge may
    name them (R18), and so may those that go on later."""
    pairs = list(dict.fromkeys([*merges, *(pair for contact in after.values() for pair in _merge_of(contact))]))
    while pairs:
        missing = {into for _, into in pairs} - after.keys()
        after |= {subject: Contact(subject.location_id, subject.id) for subject in missing}
        after |= await known.contacts(missing)
        grown: dict[Subject, None] = {}
        for merged, into in pairs:
            left = after[into]
            if new := after[merged].addresses - left.addresses:
                after[into] = replace(left, former=left.former | new)
                grown[into] = None
        pairs = [pair for subject in grown for pair in _merge_of(after[subject])]


def _merge_of(contact: Contact) -> list[tuple[Subject, Subject]]:
    into = _target(contact.subject, contact.merged_into)
    return [] if into is None else [(contact.subject, into)]


async def _united(
    merges: Mapping[tuple[Subject, Subject], int | None], known: Known, following: _Following, now: int
) -> list[Carried]:
    if not merges:
        return []
    done = await known.carried({into for _, into in merges})
    new: list[Carried] = []
    for (merged, into), held_until in merges.items():
        arrived = {carried.origin for carried in (*done, *new) if carried.contact == into}
        found = union(Held(merged, following.get(merged)), Held(into, following.get(into)), arrived, now, held_until)
        following.add(found.places)
        new += found.done
    return new


def _target(merged: Subject, into: str | None) -> Subject | None:
    return None if into is None or into == merged.id else _contact(merged.location_id, into)


def _contact(location_id: str, contact_id: str) -> Subject:
    return Subject(location_id, SubjectKind.CONTACT, contact_id)
