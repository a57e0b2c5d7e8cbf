"""What is different for people after each event of a contact, as a transform of the engine (R20).

Theory of operation. It runs over `dnd.events`. For every contact it keeps the contact's own record as of
the last event of it, and what was published last; each event is folded into that record by itself, and if what people
see is different then, a change is written. So a hold that was placed and lifted at once gives two changes, however late
they are read, and a repeated event none. Numbered as in the engine:

* Opening: what former owners have published is brought up to date from `dnd.changes.state` (`published`), when they are
  fenced and their transactions have ended.
* 5: events that are in another partition than their contact belongs to are written to that one (see below); the view
  has applied the batch; the directory says which addresses the contacts have.
* 6: fold, compare, append changes and states.
* 7 to 11: changes, states and offset are committed together, or not at all. A crash before that repeats the whole batch
  on the states as they were; behind it, a state says up to which offset its contact has been dealt with, so that not
  even an offset that is set back repeats a change.

One writer for each contact: changes and state of a contact are written by the lane of the partition that its key
belongs to. An event of it may be in another one, for senders' partitioners differ; the lane there writes the event to
the right one, with its own id and times as far as they count, which is harmless in the fold, and publishes nothing.

An event of an address publishes nothing: the directory mirrors it to each contact that has the address, and every
mirrored event is looked at like any other. What people see of a contact includes its addresses' records as they are at
that moment; if they are ahead of the mirrored events, some of those find nothing new.
"""

from __future__ import annotations

import asyncio
import dataclasses
import logging
from collections.abc import Awaitable, Callable, Collection, Sequence
from dataclasses import dataclass, field
from typing import Protocol, assert_never

from sqlalchemy.exc import SQLAlchemyError

from consumers.published import Published
from gateway.clock import now_ms
from gateway.contacts.state import contact_records
from gateway.contract.changes import Origin, PublishedState, change_key, encode_change, encode_state, state_key
from gateway.contract.events import Unreadable, decode_event, event_key
from gateway.contract.topics import Topics
from gateway.dnd.model import Channel, Event, Lift, Place, Subject, SubjectKind
from gateway.dnd.record import LIFT_MARGIN_MS, PLACE_MARGIN_MS, Record, fold
from gateway.dnd.status import status
from gateway.dnd.visible import changes, visible
from gateway.fresh import FreshState
from gateway.signals.publish import NotAcknowledgedError, RefusedError
from gateway.streams.catching_up import catch_up
from gateway.streams.clients import Clients
from gateway.streams.outputs import Outputs
from gateway.streams.partitioning import partition_of
from gateway.streams.quorum import NotFreshError
from gateway.streams.settled import wait_settled
from gateway.streams.worker import Batch

log = logging.getLogger(__name__)

QUESTIONS_AT_ONCE = 32
"""To the directory."""


class Directory(Protocol):
    """Which addresses contacts have, as `gateway.contacts.addresses.Addresses` says."""

    async def addresses(self, location_id: str, contact_id: str) -> tuple[Subject, ...]: ...


@dataclass(frozen=True, slots=True)
class Parts:
    """What it works with. `move` writes events to the partitions they belong to; see `Publisher.publish`.

    `observe` gets how many changes each commit carried.
    """

    clients: Clients
    topics: Topics
    event_partitions: int
    fresh: FreshState
    directory: Directory
    enlisted: Callable[[str], frozenset[Channel]]
    move: Callable[[Sequence[Event]], Awaitable[None]]
    published: Published
    observe: Callable[[int], None]


@dataclass(frozen=True, slots=True)
class _Seen:
    """An event of a contact, and where it was."""

    event: Event
    origin: Origin


@dataclass(slots=True)
class _Undelivered:
    """What counts once it is committed."""

    states: dict[bytes, bytes] = field(default_factory=dict)
    changes: int = 0


class Comparing:
    """Events of contacts to changes; see the top of this file."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._undelivered: dict[int, _Undelivered] = {}

    async def outputs_end(self, partition: int) -> int | None:
        """Opening: all producers are fenced. The states say what is published, so nobody needs to know more."""
        parts = self._parts
        await wait_settled(parts.clients, [parts.topics.dnd_changes, parts.topics.dnd_changes_state], partition)
        copy = parts.published.copy(partition)
        await catch_up(parts.clients, parts.topics.dnd_changes_state, partition, copy)
        return None

    async def __call__(self, batch: Batch, outputs: Outputs) -> None:
        """Steps 5 and 6. NotFreshError to be asked again."""
        parts, partition = self._parts, batch.partition.partition
        await parts.fresh.wait_applied(partition, batch.records[-1].offset + 1)
        own, elsewhere = self._sorted(batch)
        if elsewhere:
            await self._move(elsewhere)
        undelivered = _Undelivered()
        if batch.unwritable:
            log.error("%s-%d: no topic takes what offset %d changes", *batch.partition, batch.records[0].offset)
        else:
            addresses = await self._addresses({seen.event.subject for seen in own})
            self._compare(partition, own, addresses, outputs, undelivered)
        self._undelivered[partition] = undelivered

    def delivered(self, batch: Batch) -> None:
        partition = batch.partition.partition
        committed = self._undelivered.pop(partition)
        self._parts.published.put(partition, committed.states)
        self._parts.observe(committed.changes)

    def _sorted(self, batch: Batch) -> tuple[list[_Seen], list[Event]]:
        """The events of contacts that belong here, and those that belong to other partitions."""
        own: list[_Seen] = []
        elsewhere: list[Event] = []
        partition = batch.partition.partition
        for record in batch.records:
            try:
                event = decode_event(record.value, record.timestamp)
            except Unreadable:
                continue  # the view counts it
            if event.subject.kind is not SubjectKind.CONTACT:
                continue
            if partition_of(event_key(event.subject), self._parts.event_partitions) == partition:
                own.append(_Seen(event, Origin(partition, record.offset, event.event_id, record.timestamp)))
            else:
                elsewhere.append(_as_it_counts(event, record.timestamp))
        return own, elsewhere

    async def _move(self, events: Sequence[Event]) -> None:
        try:
            await self._parts.move(events)
        except NotAcknowledgedError as error:
            raise NotFreshError(f"events in another partition than theirs cannot be moved: {error}") from error
        except RefusedError as error:
            log.error("events in another partition than theirs are not moved: %s", error)  # noqa: TRY400 - expected

    async def _addresses(self, contacts: Collection[Subject]) -> dict[Subject, tuple[Subject, ...]]:
        turns = asyncio.Semaphore(QUESTIONS_AT_ONCE)

        async def ask(contact: Subject) -> tuple[Subject, ...]:
            async with turns:
                return await self._parts.directory.addresses(contact.location_id, contact.id)

        try:
            found = await asyncio.gather(*map(ask, contacts))
        except (SQLAlchemyError, OSError, TimeoutError) as error:
            raise NotFreshError(f"the directory of contacts does not answer: {type(error).__name__}") from error
        return dict(zip(contacts, found, strict=True))

    def _compare(
        self,
        partition: int,
        own: Sequence[_Seen],
        addresses: dict[Subject, tuple[Subject, ...]],
        outputs: Outputs,
        undelivered: _Undelivered,
    ) -> None:
        """Step 6: synchronous, so all is compared on one view."""
        parts, now = self._parts, now_ms()
        view = parts.fresh.view
        held: dict[Subject, dict[Subject, Record]] = {
            contact: {address: view.get(address) for address in found} for contact, found in addresses.items()
        }
        states: dict[Subject, PublishedState] = {}
        for seen in own:
            contact, offset = seen.event.subject, seen.origin.offset
            before = states.get(contact) or parts.published.get(partition, state_key(contact))
            if offset < before.next_offset:
                continue  # the group's offset was set back
            record = fold(before.record, seen.event, seen.origin.at).record
            together = contact_records({contact: record, **held[contact]})
            after = PublishedState(record, visible(together), offset + 1)
            if found := changes(before.visible, after.visible):
                overall = status(together, parts.enlisted(contact.location_id))
                value = encode_change(contact, after.visible, overall, found, seen.origin)
                outputs.append(parts.topics.dnd_changes, change_key(contact), value, now)
                undelivered.changes += 1
            states[contact] = after
        for contact, state in states.items():
            together = contact_records({contact: state.record, **held[contact]})
            key = state_key(contact)
            value = encode_state(contact, state, status(together, parts.enlisted(contact.location_id)))
            outputs.append(parts.topics.dnd_changes_state, key, value, now)
            undelivered.states[key] = value


def _as_it_counts(event: Event, broker_time: int) -> Event:
    """With the times that the fold takes of it: written again later, it must not reach further."""
    match event:
        case Place():
            return dataclasses.replace(event, at=max(0, min(event.at, broker_time + PLACE_MARGIN_MS)))
        case Lift():
            latest = broker_time + LIFT_MARGIN_MS
            terms = tuple(
                term if term.through <= latest else dataclasses.replace(term, through=latest) for term in event.terms
            )
            return dataclasses.replace(event, terms=terms)
        case _:
            assert_never(event)
