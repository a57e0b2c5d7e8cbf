"""The DND of contacts, shown and changed: what the API and the workflows' commands stand on.

Theory of operation. Changes of one contact take turns within a process; each reads behind a barrier, writes, and
answers when its events are acknowledged and applied here (`gateway.contacts.log`). Between processes there are no turns
and no locks: each event counts by itself, in whatever order it comes. So every switch (one cause on one channel of one
subject) is linearizable for itself: of changes at the same time the log ends in the state that some order of them
leaves; a change made while another one ran may find it half done. A STOP that comes in between is never lost, because a
lift ends only what was seen.

The directory is asked before the barrier. An address that a contact gets meanwhile is the directory's to mirror.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from gateway.contacts.addresses import Addresses, with_addresses
from gateway.contacts.commands import Change, Clear, Command, Refused, plan
from gateway.contacts.log import ANSWER_DEADLINE_S, FRESH_DEADLINE_S, DndLog, State, answering, check_lifted
from gateway.contacts.state import ContactDnd, Records, address_dnd, contact_dnd
from gateway.dnd.addresses import KINDS_OF_CHANNEL, recipient_key
from gateway.dnd.model import Actor, BadAddress, Channel, Event, Place, Subject, SubjectKind
from gateway.signals.publish import Publisher
from gateway.signals.turns import Turns

Enlisted = Callable[[str], frozenset[Channel]]
"""The channels of a location whose integration exists and works (R7)."""

ALL_ENLISTED: Enlisted = lambda _: frozenset(Channel)  # noqa: E731 - a constant that happens to be a function


@dataclass(frozen=True, slots=True)
class Changed:
    """What a change did: `events` are written, `refused` stays. `after` may have more, of others at the same time."""

    before: ContactDnd
    after: ContactDnd
    refused: tuple[Refused, ...]
    events: tuple[Event, ...]


class ContactService:
    """`show` and `change` from any number of tasks, while the fresh state and the publisher run."""

    def __init__(
        self,
        fresh: State,
        publisher: Publisher,
        directory: Addresses,
        enlisted: Enlisted = ALL_ENLISTED,
        default_region: Callable[[str], str | None] = lambda _: None,
        *,
        deadline_s: float = ANSWER_DEADLINE_S,
        fresh_deadline_s: float = FRESH_DEADLINE_S,
    ) -> None:
        self._log = DndLog(fresh, publisher, fresh_deadline_s)
        self._directory = directory
        self._enlisted = enlisted
        self._default_region = default_region
        self._deadline_s = deadline_s
        self._turns = Turns()

    async def show(self, location_id: str, contact_id: str) -> ContactDnd:
        """With everything that was acknowledged before the call. A contact nobody knows has no holds. NotAvailable."""
        contact = Subject(location_id, SubjectKind.CONTACT, contact_id)
        async with answering(self._deadline_s):
            records = await self._log.read(await with_addresses(self._directory, contact))
        return contact_dnd(contact, records, self._enlisted(location_id))

    async def show_address(self, location_id: str, kind: SubjectKind, address: str) -> ContactDnd:
        """The same by address, in any spelling a request may use. BadAddress, NotAvailable."""
        subject = address_subject(location_id, kind, address, self._default_region(location_id))
        async with answering(self._deadline_s):
            records = await self._log.read([subject])
        return address_dnd(subject, records[subject], self._enlisted(location_id))

    async def change(
        self,
        location_id: str,
        contact_id: str,
        commands: Sequence[Command],
        actor: Actor,
        *,
        change_id: str | None = None,
        as_of: int | None = None,
        evidence: Mapping[str, object] = MappingProxyType({}),
    ) -> Changed:
        """Answers when all is acknowledged and applied here. See `Change`.

        BadChange: nothing is done. NotAvailable: parts may be. RefusedError: it can never be written.
        """
        contact = Subject(location_id, SubjectKind.CONTACT, contact_id)
        change = Change(change_id or f"api:{uuid.uuid4()}", tuple(commands), actor, as_of, dict(evidence))
        async with answering(self._deadline_s), self._turns.of(contact):
            return await self._changed(change, contact)

    async def clear(self, location_id: str, contact_id: str, actor: Actor) -> Changed:
        """Lift everything the actor may lift; `refused` is what stays (R6)."""
        return await self.change(location_id, contact_id, [Clear()], actor)

    async def _changed(self, change: Change, contact: Subject) -> Changed:
        subjects = await with_addresses(self._directory, contact)
        enlisted = self._enlisted(contact.location_id)
        before = await self._log.read(subjects)
        planned = plan(change, contact, before, enlisted, now=0)
        if any(isinstance(event, Place) for event in planned.events):  # of all else the dates are in the records
            planned = plan(change, contact, before, enlisted, await self._log.now(contact))
        after: Records = before
        if planned.events:
            await self._log.write(planned.events)
            after = self._log.read_applied(subjects)
            check_lifted(planned.events, after)
        return Changed(
            before=contact_dnd(contact, before, enlisted),
            after=contact_dnd(contact, after, enlisted),
            refused=planned.refused,
            events=planned.events,
        )


def address_subject(location_id: str, kind: SubjectKind, address: str, default_region: str | None) -> Subject:
    """The subject that holds on the address are kept under. BadAddress, also for a kind that is no address."""
    channel = next((channel for channel, kinds in KINDS_OF_CHANNEL.items() if kind in kinds), None)
    if channel is None:
        raise BadAddress("a kind of address, not a contact")
    found, key = recipient_key(channel, address, default_region)
    if found is not kind:
        raise BadAddress(f"an address of the kind {kind}")
    return Subject(location_id, found, key)
