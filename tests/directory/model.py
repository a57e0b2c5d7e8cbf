"""A model of what must hold after each step of a random sequence: sets, that know nothing of records."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import assert_never

from hypothesis import note

from gateway.contract.contacts import Snapshot
from gateway.dnd.model import ActorKind, Cause, Event, Lift, Subject, SubjectKind
from gateway.dnd.record import RegisterKey
from tests.directory.steps import CONTACTS, Crash, Gone, Have, Hold, Start, Step, TakenIn, UserLifts
from tests.directory.world import (
    MANUAL,
    PROVIDER,
    START_AT,
    STOPPED,
    UNREACHABLE,
    USER,
    World,
    contact,
    in_memory,
)

Origin = tuple[str, RegisterKey, int]
"""Where a hold that merges bring on began: contact, what is held, and when."""

Held = Callable[[Subject], dict[RegisterKey, int]]
"""What a subject is held for, and since when."""


@dataclass
class Model:
    """What must be held, from the sentences of R21 and R18. `own`: set on the contact, imported, or from a merge."""

    has: dict[str, frozenset[Subject]] = field(default_factory=lambda: dict.fromkeys(CONTACTS, frozenset()))
    had: dict[str, frozenset[Subject]] = field(default_factory=lambda: dict.fromkeys(CONTACTS, frozenset()))
    into: dict[str, str | None] = field(default_factory=lambda: dict.fromkeys(CONTACTS))
    said: dict[str, int] = field(default_factory=lambda: dict.fromkeys(CONTACTS, 0))
    newest: dict[str, int] = field(default_factory=lambda: dict.fromkeys(CONTACTS, 0))
    own: dict[str, dict[RegisterKey, Origin]] = field(default_factory=lambda: defaultdict(dict))
    copied: dict[str, dict[RegisterKey, Origin]] = field(default_factory=lambda: defaultdict(dict))
    brought: set[tuple[str, Origin]] = field(default_factory=set)
    mirrored: dict[Origin, set[Subject]] = field(default_factory=lambda: defaultdict(set))
    is_new: Callable[[Subject, RegisterKey, int], bool] = lambda *_: True  # whether no later lift covers it

    def must_hold(self, id_: str) -> set[RegisterKey]:
        return self.own[id_].keys() | self.copied[id_].keys()

    def hold(self, id_: str, key: RegisterKey, at: int, own: bool) -> None:
        (self.own if own else self.copied)[id_][key] = (id_, key, at)
        self.bring(id_, key)

    def bring(self, id_: str, key: RegisterKey) -> None:
        """What is held on a contact that is merged: once to whoever is left, and on from there."""
        into = self.into[id_]
        origin = self.own[id_].get(key) or self.copied[id_][key]
        if into is None or (into, origin) in self.brought:
            return
        if origin in (self.own[into].get(key), self.copied[into].get(key)):
            return
        self.brought.add((into, origin))
        self.own[into][key] = origin
        self.bring(into, key)

    def copy(self, id_: str, address: Subject, key: RegisterKey, at: int) -> None:
        if self.is_new(contact(id_), key, at):
            self.mirrored[id_, key, at].add(address)
            self.hold(id_, key, at, own=False)

    def placed(self, subject: Subject, key: RegisterKey, at: int) -> None:
        if subject.kind is SubjectKind.CONTACT:
            self.hold(subject.id, key, at, own=True)
        for id_ in CONTACTS:
            if subject in self.has[id_]:
                self.copy(id_, subject, key, at)

    def snapshot(self, snapshot: Snapshot, held: Held) -> None:
        id_ = snapshot.contact_id
        time = self.newest[id_] if snapshot.updated_at is None else snapshot.updated_at
        into = snapshot.merged_into if snapshot.merged_into != id_ else None
        if (into is not None or not snapshot.deleted) and time >= self.said[id_]:
            self.into[id_], self.said[id_] = into, time
        if time < self.newest[id_]:
            self.had[id_] |= frozenset(snapshot.addresses)
            return
        self.newest[id_] = time
        before = self.has[id_]
        self.had[id_] |= before | frozenset(snapshot.addresses)
        self.has[id_] = frozenset() if snapshot.deleted else frozenset(snapshot.addresses)
        for address in self.has[id_] - before:
            for key, at in held(address).items():
                self.copy(id_, address, key, at)
        if into is not None and self.into[id_] == into:
            for key in self.must_hold(id_):
                self.bring(id_, key)

    def may_be_freed(self, lift: Lift, held: Held) -> None:
        """Upper bound of what a lift that the table allows may end."""
        keys = {(term.scope, term.cause) for term in lift.terms}
        if lift.subject.kind is SubjectKind.CONTACT:
            self._free(lift.subject.id, keys, own=True)
            return
        for id_ in CONTACTS:
            addresses = self.has[id_] | self.had[id_]
            if lift.actor.kind is ActorKind.CONTACT:
                if any(lift.subject in self.has[each] | self.had[each] for each in CONTACTS):
                    self._free(id_, keys, own=True)  # it has the number, had it, or may hold it by a merge
            elif lift.subject in self.has[id_]:
                others = {key for address in addresses - {lift.subject} for key in held(address)}
                freed = keys - others
                self._free(id_, freed, own=False)
                # What a merge has brought of a copy ends with what it was copied from.
                self._free(id_, {key for key in freed if self._was_mirrored(id_, key, held)}, own=True)

    def _was_mirrored(self, id_: str, key: RegisterKey, held: Held) -> bool:
        """Whether the hold began as a copy of addresses of which none is held any more."""
        origins = self.mirrored.get(self.own[id_][key], set()) if key in self.own[id_] else set()
        return bool(origins) and not any(key in held(address) for address in origins)

    def _free(self, id_: str, keys: set[RegisterKey], *, own: bool) -> None:
        for key in keys:
            self.copied[id_].pop(key, None)
            if own:
                self.own[id_].pop(key, None)


class Run:
    """Steps on the rules and, beside them, on the model."""

    def __init__(self, world: World | None = None) -> None:
        self.world = in_memory() if world is None else world
        self.model = Model(is_new=self._is_new)
        self.done: list[Snapshot | Event] = []
        self._pending: list[Event] = []

    async def step(self, step: Step) -> None:
        note(str(step))
        world = self.world
        match step:
            case Have() | Gone():
                snapshot = self._snapshot(step)
                self.done.append(snapshot)
                await self._settle()
                self.model.snapshot(snapshot, self._since)
                self._imported(snapshot)
                await world.snapshots(snapshot)
            case Hold(subject, key):
                actor = USER if key == MANUAL else PROVIDER
                self._written(world.place(subject, key, actor))
            case Start(subject):
                if world.keys(subject) & {STOPPED, UNREACHABLE}:
                    self._written(world.start(subject))
            case UserLifts(subject, key):
                if key in world.keys(subject):
                    self._written(world.lift(subject, key))
            case TakenIn():
                await self._settle()
            case Crash():
                world.publishes_twice = True
            case _:
                assert_never(step)
        self._check()

    async def finish(self) -> None:
        await self._settle()
        self._check()

    def _check(self) -> None:
        for id_ in () if self._pending else CONTACTS:
            missing = self.model.must_hold(id_) - self.world.keys(contact(id_))
            assert not missing, f"{id_} is not held for {missing}"

    async def _settle(self) -> None:
        """The model takes in one event after the other, as if each were seen to at once."""
        for event in self._pending:
            self._known(event)
        self._pending.clear()
        await self.world.settle()

    def _written(self, event: Event) -> None:
        self.done.append(event)
        self._pending.append(event)

    def _known(self, event: Event) -> None:
        if isinstance(event, Lift):
            by_contact = event.actor.kind is ActorKind.CONTACT
            terms = [term for term in event.terms if by_contact or term.cause is not Cause.KEYWORD_OPT_OUT]
            allowed = replace(event, terms=tuple(terms))
            self.model.may_be_freed(allowed, self._since)
            return
        for key in [(scope, cause) for scope in event.scopes for cause in event.causes]:
            # What a later event has ended again is not held now; those are still to come.
            if key not in self.world.keys(event.subject):
                continue
            self.model.placed(event.subject, key, event.at)

    def _since(self, subject: Subject) -> dict[RegisterKey, int]:
        return {key: register.placed.at for key, register in self.world.get(subject).holds()}

    def _imported(self, snapshot: Snapshot) -> None:
        """An import holds, unless a lift came since; the permanent ones hold the numbers too."""
        for scope, cause in snapshot.imported:
            key = (scope, cause)
            assert snapshot.updated_at is not None
            phones = [each for each in snapshot.addresses if each.kind is SubjectKind.PHONE and key == STOPPED]
            for subject in (snapshot.subject, *phones):
                if self._is_new(subject, key, snapshot.updated_at):
                    self.model.placed(subject, key, snapshot.updated_at)

    def _is_new(self, subject: Subject, key: RegisterKey, at: int) -> bool:
        register = self.world.get(subject).registers.get(key)
        return register is None or register.lifted.at < at

    def _snapshot(self, step: Have | Gone) -> Snapshot:
        if isinstance(step, Gone):
            return Snapshot("loc1", step.id, deleted=True)
        updated_at = self.world.now() if step.age == 0 else max(START_AT, self.world.now() - step.age)
        addresses = tuple(sorted(step.addresses))
        return Snapshot("loc1", step.id, addresses, step.imported, step.merged_into, step.deleted, updated_at)
