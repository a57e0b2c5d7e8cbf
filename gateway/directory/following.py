"""What an event on an address brings about on contacts, for who writes the event: so that START, and a hold, are there
at once and not only when the role `directory` has read them in the log. That works out the same, with the same ids.

Theory of operation. Webhooks come by the hundreds at a time, and a look-up for one of them costs more than all else
that is done for it. So they share: one look-up is under way at a time, and the next is for all who came meanwhile. It
begins after each of them has asked, so each learns what it would have learnt alone.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Collection, Sequence
from typing import assert_never

from sqlalchemy.exc import SQLAlchemyError

from gateway.directory.consequences import Logged, of_events
from gateway.directory.directory import Directory
from gateway.directory.merging import Carried
from gateway.directory.succession import Contact
from gateway.dnd.model import Event, Lift, Place, Subject
from gateway.dnd.record import EMPTY, Record, fold

log = logging.getLogger(__name__)

DEADLINE_S = 0.25
"""A look-up takes milliseconds; the address's event must not wait for a database that is away."""

LastKnown = Callable[[Subject], Record | None]
"""The subject's record in the view; None while the view cannot be asked."""


class ContactsOfAddresses:
    """The hook `Contacts` of the signals. Never raises: what it leaves out, the role `directory` does."""

    def __init__(self, directory: Directory, last_known: LastKnown) -> None:
        self._known = _SharedLookups(directory)
        self._last_known = last_known
        self._said = False

    async def follow(self, event: Event) -> Sequence[Event]:
        """The events on contacts; none for an event that the log has already, or that may be such a one."""
        before, at = self._last_known(event.subject), _date(event)
        if before is None:
            return ()
        folded = fold(before, event, at)
        if folded.repeated:
            return ()
        try:
            async with asyncio.timeout(DEADLINE_S):
                records = _With(event.subject, folded.record, self._last_known)
                learnt = await of_events([Logged(event, at)], self._known, records, at)
        except (SQLAlchemyError, OSError, TimeoutError) as error:
            if not self._said:
                log.warning(
                    "contacts are held and freed later, the directory does not answer: %s", type(error).__name__
                )
            self._said = True
            return ()
        self._said = False
        return learnt.events


def _date(event: Event) -> int:
    """The latest it has (ms). As the log's own time it cuts off nothing; by our clock, if that is slow, copies would be
    older than the hold, and lifts end less, and the role `directory` would take both for what it writes itself."""
    match event:
        case Place():
            return event.at
        case Lift():
            return max((term.through for term in event.terms), default=0)
        case _:
            assert_never(event)


_Answer = asyncio.Future[Sequence[Contact] | Exception]


class _SharedLookups:
    """`Known` for all who ask at a time. Every event asks for holders; the rest is asked alone, and seldom."""

    def __init__(self, directory: Directory) -> None:
        self._directory = directory
        self._waiting: dict[Subject, list[_Answer]] = {}
        self._asking: asyncio.Task[None] | None = None

    async def holders(self, addresses: Collection[Subject]) -> dict[Subject, Sequence[Contact]]:
        answers: dict[Subject, _Answer] = {each: asyncio.get_running_loop().create_future() for each in addresses}
        for address, answer in answers.items():
            self._waiting.setdefault(address, []).append(answer)
        if self._asking is None:
            self._asking = asyncio.create_task(self._ask(), name="contacts of addresses")
        found: dict[Subject, Sequence[Contact]] = {}
        for address, answer in answers.items():
            contacts = await answer
            if isinstance(contacts, Exception):
                raise contacts
            found[address] = contacts
        return found

    async def _ask(self) -> None:
        """Until nobody waits."""
        try:
            while self._waiting:
                waiting, self._waiting = self._waiting, {}
                contacts = await self._holders(waiting)
                for address, answers in waiting.items():
                    for answer in answers:
                        if not answer.done():  # who asked may have given up
                            answer.set_result(contacts.get(address, ()) if isinstance(contacts, dict) else contacts)
        finally:
            self._asking = None

    async def _holders(self, addresses: Collection[Subject]) -> dict[Subject, list[Contact]] | Exception:
        try:
            return await self._directory.ask(lambda lookups: lookups.holders(addresses))
        except (SQLAlchemyError, OSError) as error:
            return error

    async def contacts(self, wanted: Collection[Subject]) -> dict[Subject, Contact]:
        return await self._directory.ask(lambda lookups: lookups.contacts(wanted)) if wanted else {}

    async def carried(self, contacts: Collection[Subject]) -> set[Carried]:
        return await self._directory.ask(lambda lookups: lookups.carried(contacts)) if contacts else set()


class _With:
    """The view as it will be when the event is in it."""

    def __init__(self, subject: Subject, record: Record, last_known: LastKnown) -> None:
        self._subject = subject
        self._record = record
        self._last_known = last_known

    def get(self, subject: Subject) -> Record:
        return self._record if subject == self._subject else self._last_known(subject) or EMPTY

    def held(self, subjects: Sequence[Subject]) -> list[Subject]:
        return [subject for subject in subjects if any(self.get(subject).holds())]
