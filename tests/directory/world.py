"""The rules on a real store, with a log in memory: what the role does, step by step, and what may go wrong between."""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator, Collection, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Protocol

from sqlalchemy import URL

from gateway.contract.contacts import Snapshot
from gateway.contract.events import decode_event, encode_event, event_key
from gateway.database import Positions, database_url
from gateway.directory.consequences import Known, Learnt, Logged, of_events, of_snapshots
from gateway.directory.directory import Directory
from gateway.directory.merging import Carried
from gateway.directory.succession import Contact
from gateway.directory.writer import DirectoryWriter, Left
from gateway.dnd.model import Actor, ActorKind, Cause, Event, Lift, LiftTerm, Place, Scope, Subject, SubjectKind
from gateway.dnd.record import EMPTY, Record, RegisterKey, fold

START_AT = 1_763_900_000_000

STOPPED = (Scope.SMS, Cause.KEYWORD_OPT_OUT)
BOUNCED = (Scope.EMAIL, Cause.BOUNCE)
UNREACHABLE = (Scope.SMS, Cause.UNREACHABLE)
MANUAL = (Scope.SMS, Cause.MANUAL)

USER = Actor(ActorKind.USER, "u1")
PROVIDER = Actor(ActorKind.PROVIDER, "provider")

_ids = itertools.count()


def phone(number: int) -> Subject:
    return Subject("loc1", SubjectKind.PHONE, f"+1415555{number:04d}")


def email(name: str) -> Subject:
    return Subject("loc1", SubjectKind.EMAIL, f"{name}@example.com")


def contact(id_: str) -> Subject:
    return Subject("loc1", SubjectKind.CONTACT, id_)


class Memory:
    """What the tables do, without a database: for thousands of random sequences."""

    def __init__(self) -> None:
        self._contacts: dict[Subject, Contact] = {}
        self._carried: set[Carried] = set()
        self._left: list[Left] = []
        self._ids = itertools.count()

    async def apply(self, learnt: Learnt, _: Positions, recorded_at: int) -> None:
        self._contacts |= {contact.subject: contact for contact in learnt.contacts}
        self._carried |= set(learnt.done)
        for event in learnt.events:
            self._left.append(Left(next(self._ids), event_key(event.subject), encode_event(event, recorded_at)))

    async def left(self, limit: int) -> list[Left]:
        return self._left[:limit]

    async def acknowledged(self, published: Sequence[Left]) -> None:
        self._left = [each for each in self._left if each not in published]

    @asynccontextmanager
    async def lookups(self) -> AsyncIterator[Known]:
        yield self

    async def contacts(self, wanted: Collection[Subject]) -> dict[Subject, Contact]:
        return {subject: self._contacts[subject] for subject in wanted if subject in self._contacts}

    async def holders(self, addresses: Collection[Subject]) -> dict[Subject, list[Contact]]:
        known = sorted(self._contacts.values(), key=lambda contact: contact.id)
        return {address: [contact for contact in known if address in contact.addresses] for address in addresses}

    async def carried(self, contacts: Collection[Subject]) -> set[Carried]:
        return {carried for carried in self._carried if carried.contact in contacts}


class Store(Protocol):
    """`DirectoryWriter`, or `Memory`."""

    async def apply(self, learnt: Learnt, positions: Positions, recorded_at: int) -> None: ...
    async def left(self, limit: int) -> list[Left]: ...
    async def acknowledged(self, published: Sequence[Left]) -> None: ...


class HasLookups(Protocol):
    """`Directory`, or `Memory`."""

    def lookups(self) -> AbstractAsyncContextManager[Known]: ...


class World:
    """The log, its fold, and a directory. A millisecond passes with every look at the clock."""

    def __init__(self, directory: HasLookups, writer: Store) -> None:
        self.lookups = directory.lookups
        self._writer = writer
        self.log: list[tuple[Event, int]] = []
        self.records: dict[Subject, Record] = {}
        self.position = 0
        self.publishes_twice = False
        self._now = START_AT

    # What the role is given

    def now(self) -> int:
        self._now += 1
        return self._now

    def set_clock(self, now: int) -> None:
        self._now = now

    def get(self, subject: Subject) -> Record:
        return self.records.get(subject, EMPTY)

    def held(self, subjects: Sequence[Subject]) -> list[Subject]:
        return [subject for subject in subjects if any(self.get(subject).holds())]

    # What people do

    def write(self, *events: Event) -> None:
        """Acknowledged, and in the view of everybody."""
        for event in events:
            now = self.now()
            self.log.append((event, now))
            self.records[event.subject] = fold(self.get(event.subject), event, now).record

    def place(self, subject: Subject, key: RegisterKey, actor: Actor = PROVIDER) -> Place:
        scope, cause = key
        lifted = self.get(subject).registers.get(key)
        at = max(self.now(), 0 if lifted is None else lifted.lifted.at + 1)
        event = Place(f"p{next(_ids)}", subject, (scope,), (cause,), at, actor)
        self.write(event)
        return event

    def lift(self, subject: Subject, *keys: RegisterKey, actor: Actor = USER) -> Lift:
        """Of what is held there now."""
        placed = [
            (key, self.get(subject).registers[key].placed.at) for key in keys if key in self.get(subject).registers
        ]
        event = Lift(f"l{next(_ids)}", subject, tuple(LiftTerm(*key, at) for key, at in placed), actor)
        self.write(event)
        return event

    def start(self, subject: Subject) -> Lift:
        """As the door resolves it, for somebody who ever opted out."""
        now = self.now()
        causes = (Cause.KEYWORD_OPT_OUT, Cause.CARRIER_OPT_OUT, Cause.UNREACHABLE)
        event = Lift(
            f"start{next(_ids)}",
            subject,
            tuple(LiftTerm(Scope.SMS, cause, now) for cause in causes),
            Actor(ActorKind.CONTACT, subject.id),
        )
        self.write(event)
        return event

    def keys(self, subject: Subject) -> set[RegisterKey]:
        return {key for key, _ in self.get(subject).holds()}

    # What the role does

    async def settle(self) -> None:
        """Take in the log to its end."""
        while self.position < len(self.log):
            await self.take_in(len(self.log))

    async def take_in(self, end: int) -> None:
        events = [Logged(*each) for each in self.log[self.position : end]]
        now = self.now()
        async with self.lookups() as lookups:
            learnt = await of_events(events, lookups, self, now)
        self.position = end
        await self._commit(learnt, Positions("dnd.events", "t", {0: end}), now)

    async def snapshots(self, *given: Snapshot) -> None:
        """What they bring, and what follows from that."""
        await self.settle()
        now = self.now()
        async with self.lookups() as lookups:
            learnt = await of_snapshots(given, lookups, self, now)
        await self._commit(learnt, Positions("contacts", "t", {0: now}), now)
        await self.settle()

    async def have(self, id_: str, *addresses: Subject, **more: object) -> Snapshot:
        """A snapshot as of now."""
        snapshot = Snapshot("loc1", id_, addresses, updated_at=self.now(), **more)  # type: ignore[arg-type]  # by name
        await self.snapshots(snapshot)
        return snapshot

    async def _commit(self, learnt: Learnt, positions: Positions, now: int) -> None:
        await self._writer.apply(learnt, positions, now)
        while left := await self._writer.left(100):
            for _ in range(2 if self.publishes_twice else 1):
                self.write(*[decode_event(each.value, now) for each in left])
            await self._writer.acknowledged(left)


class Scene(World):
    """On real tables."""

    def __init__(self, directory: Directory, writer: DirectoryWriter) -> None:
        super().__init__(directory, writer)
        self.directory = directory
        self.writer = writer


@asynccontextmanager
async def scene_in(where: Path | URL) -> AsyncIterator[Scene]:
    """On a SQLite file in this folder, or on that database."""
    directory = Directory(where if isinstance(where, URL) else database_url(None, where))
    try:
        async with directory.writer() as writer:
            yield Scene(directory, writer)
    finally:
        await directory.close()


def in_memory() -> World:
    memory = Memory()
    return World(memory, memory)
