"""Appeals: how permanent holds end that neither the contact nor the record's people end (R18, R11).

An agency or user files one with its proof, and what is in force at that moment is written down with it: only that is
asked for. Somebody else, of support, approves or rejects it. An approval goes:

1. Mark it APPROVING, with who approves. From here on it will be done, whoever dies.
2. Read the contact, its current addresses and the contacts that share them, behind a barrier.
3. Write one lift for each that still has what was asked for; wait until it is acknowledged and applied here.
4. Mark it APPROVED.

Died between any of them: the next `approve`, or `resume` at the next start, goes on at 2. A lift that is made again
ends the same holds and nothing more, because its `through` is the time written down when the appeal was filed.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable
from dataclasses import dataclass, replace

from gateway.clock import now_ms
from gateway.contacts.addresses import Addresses, with_addresses
from gateway.contacts.appeal import NOTE_LIMIT, Appeal, AppealStatus, Evidence, appealable, granted
from gateway.contacts.log import ANSWER_DEADLINE_S, DndLog, answering, check_lifted
from gateway.contacts.state import Hold, holds_of
from gateway.contacts.store import AppealStore
from gateway.dnd.addresses import KINDS_OF_CHANNEL
from gateway.dnd.causes import CAUSES
from gateway.dnd.model import Actor, ActorKind, Channel, Event, Lift, Scope, Subject, SubjectKind
from gateway.signals.turns import Turns

SHARING_LIMIT = 1_000
"""Contacts that share the addresses of one, when an appeal is filed: an address of more is nobody's own."""

LIFTS_AT_ONCE = 200
"""Written together: the publisher's deadline is for all of them."""

OPEN_LIMIT = 20
"""Open appeals of one contact: every channel, and a hold or two that came while one was open."""

FILERS = frozenset({ActorKind.USER, ActorKind.AGENCY})


class AppealError(Exception):
    """Nothing was changed; the text says why."""


class NotAllowed(AppealError):  # noqa: N818 - outcomes of asking, not faults
    """Filing is for users and agencies, deciding for support, and never for one and the same person."""


class UnknownAppeal(AppealError):  # noqa: N818
    """The location has no appeal of this id."""


class NothingToAppeal(AppealError):  # noqa: N818
    """Nothing is in force that an appeal would end."""


class AlreadyDecided(AppealError):  # noqa: N818
    """The other way; `status` is how."""

    def __init__(self, status: AppealStatus) -> None:
        super().__init__(f"the appeal is {status} already")
        self.status = status


class TooMany(AppealError):  # noqa: N818
    """More than can be handled at a time: open appeals of the contact, or contacts that share its address."""


@dataclass(frozen=True, slots=True)
class Approved:
    """What an approval did now: `events` are written; `stays` was not asked for and is still in force."""

    appeal: Appeal
    events: tuple[Event, ...]
    stays: tuple[Hold, ...]


class Appeals:
    """From any number of tasks, while the fresh state and the publisher run. Everything: NotAvailable."""

    def __init__(
        self,
        log: DndLog,
        directory: Addresses,
        store: AppealStore,
        *,
        clock: Callable[[], int] = now_ms,
        deadline_s: float = ANSWER_DEADLINE_S,
    ) -> None:
        """`clock`: ms since the epoch. The store's table is there."""
        self._log = log
        self._directory = directory
        self._store = store
        self._clock = clock
        self._deadline_s = deadline_s
        self._turns = Turns()

    async def file(
        self, location_id: str, contact_id: str, channel: Channel, evidence: Evidence, actor: Actor
    ) -> Appeal:
        """Write down what is in force now. NotAllowed, NothingToAppeal, TooMany."""
        if actor.kind not in FILERS or not actor.id:
            raise NotAllowed("an appeal is filed by a user or an agency")
        contact = Subject(location_id, SubjectKind.CONTACT, contact_id)
        if not (location_id.isprintable() and contact_id.isprintable()):
            raise NothingToAppeal("no contact has such an id")  # and not every database takes it
        async with answering(self._deadline_s), self._turns.of(contact):
            if await self._store.count_open(location_id, contact_id) >= OPEN_LIMIT:
                raise TooMany(f"the contact has {OPEN_LIMIT} open appeals already")
            contacts_with = await self._contacts_with(contact, channel)
            if sum(map(len, contacts_with.values())) > SHARING_LIMIT:
                raise TooMany(f"more than {SHARING_LIMIT} contacts share the contact's addresses")
            records = await self._log.read(_all(contact, contacts_with))
            terms = {subject: found for subject, record in records.items() if (found := appealable(record, channel))}
            if not terms:
                raise NothingToAppeal(f"{channel} is not held for a reason that an appeal would end")
            now = self._clock()
            appeal = Appeal(str(uuid.uuid4()), location_id, contact_id, channel, evidence, actor, now, terms)
            await self._store.add(appeal)
        return appeal

    async def approve(self, location_id: str, appeal_id: str, actor: Actor, note: str = "") -> Approved:
        """Answers when the holds are lifted here and everywhere. NotAllowed, UnknownAppeal, AlreadyDecided."""
        async with answering(self._deadline_s), self._turns.of(appeal_id):
            appeal = await self._decided(location_id, appeal_id, AppealStatus.APPROVING, actor, note)  # 1
            if appeal.status is AppealStatus.REJECTED:
                raise AlreadyDecided(appeal.status)
            if appeal.status is AppealStatus.APPROVED:
                return Approved(appeal, (), ())
            return await self._complete(appeal)

    async def reject(self, location_id: str, appeal_id: str, actor: Actor, note: str = "") -> Appeal:
        """Everything stays. NotAllowed, UnknownAppeal, AlreadyDecided."""
        async with answering(self._deadline_s), self._turns.of(appeal_id):
            appeal = await self._decided(location_id, appeal_id, AppealStatus.REJECTED, actor, note)
        if appeal.status is not AppealStatus.REJECTED:
            raise AlreadyDecided(appeal.status)
        return appeal

    async def listed(self, location_id: str, status: AppealStatus | None = None) -> list[Appeal]:
        """The newest first."""
        async with answering(self._deadline_s):
            return await self._store.of_location(location_id, status)

    async def resume(self) -> int:
        """Complete what was approved and interrupted, in whatever process; how many there were."""
        async with answering(self._deadline_s):
            interrupted = await self._store.approving()
        for appeal in interrupted:
            async with answering(self._deadline_s), self._turns.of(appeal.id):
                await self._complete(appeal)
        return len(interrupted)

    async def _decided(self, location_id: str, appeal_id: str, status: AppealStatus, actor: Actor, note: str) -> Appeal:
        """The appeal as it is decided, by this call or before it."""
        if actor.kind is not ActorKind.SUPPORT or not actor.id:
            raise NotAllowed("an appeal is decided by support")
        appeal = await self._found(location_id, appeal_id)
        if actor.id == appeal.filed_by.id:
            raise NotAllowed("an appeal is decided by somebody else than who filed it")
        if appeal.status is not AppealStatus.OPEN:
            return appeal
        await self._store.decide(appeal, status, actor, self._clock(), _readable(note))
        return await self._found(location_id, appeal_id)  # somebody else may have come first

    async def _found(self, location_id: str, appeal_id: str) -> Appeal:
        appeal = await self._store.get(location_id, appeal_id)
        if appeal is None:
            raise UnknownAppeal("the location has no such appeal")
        return appeal

    async def _complete(self, appeal: Appeal) -> Approved:
        """Steps 2 to 4."""
        contact, actor = appeal.contact, appeal.decided_by
        assert actor is not None  # noqa: S101 - written with APPROVING
        contacts_with = await self._contacts_with(contact, appeal.channel)
        subjects = _all(contact, contacts_with)
        records = await self._log.read(subjects)  # 2
        events: list[Event] = []
        for subject, terms in granted(appeal.terms, contacts_with, contact).items():
            held = {(term.scope, term.cause): term.through for term in appealable(records[subject], appeal.channel)}
            left = tuple(term for term in terms if held.get((term.scope, term.cause), term.through + 1) <= term.through)
            if left:
                # An id for each try: a lift that was cut by the brokers' clock is to count when it is made again.
                event_id = f"appeal:{appeal.id}:{self._clock()}"
                events.append(Lift(event_id, subject, left, actor, {"appeal": appeal.id}))
        for start in range(0, len(events), LIFTS_AT_ONCE):
            await self._log.write(events[start : start + LIFTS_AT_ONCE])  # 3
        after = self._log.read_applied(subjects)
        check_lifted(events, after)
        await self._store.approved(appeal)  # 4
        stays = tuple(
            hold
            for hold in holds_of(after)
            if hold.scope is Scope(appeal.channel.value) and CAUSES[hold.cause].by_appeal
        )
        return Approved(replace(appeal, status=AppealStatus.APPROVED), tuple(events), stays)

    async def _contacts_with(self, contact: Subject, channel: Channel) -> dict[Subject, tuple[Subject, ...]]:
        """The contact's current addresses that the channel uses, each with the other contacts that have it."""
        found: dict[Subject, tuple[Subject, ...]] = {}
        for address in (await with_addresses(self._directory, contact))[1:]:
            if address.kind in KINDS_OF_CHANNEL[channel]:
                ids = await self._directory.contacts_of(address)
                sharing = (Subject(contact.location_id, SubjectKind.CONTACT, each) for each in ids)
                found[address] = tuple(each for each in sharing if each != contact)
        return found


def _readable(note: str) -> str:
    """What every database takes, within its limit."""
    return "".join(letter for letter in note[:NOTE_LIMIT] if letter.isprintable() or letter == "\n")


def _all(contact: Subject, contacts_with: dict[Subject, tuple[Subject, ...]]) -> list[Subject]:
    """The contact first."""
    return list(dict.fromkeys([contact, *contacts_with, *(each for found in contacts_with.values() for each in found)]))
