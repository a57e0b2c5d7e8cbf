"""What an event on an address brings about on contacts, for who writes the event: so that START, and a hold, are there
at once and not only when the role `directory` has read them in the log. That works out the same, with the same ids.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence

from sqlalchemy.exc import SQLAlchemyError

from gateway.directory.consequences import Logged, of_events
from gateway.directory.directory import Directory
from gateway.dnd.model import Event, Subject
from gateway.dnd.record import EMPTY, Record, fold

log = logging.getLogger(__name__)

DEADLINE_S = 0.25
"""A look-up takes milliseconds; the address's event must not wait for a database that is away."""

LastKnown = Callable[[Subject], Record | None]
"""The subject's record in the view; None while the view cannot be asked."""


class ContactsOfAddresses:
    """The hook `Contacts` of the signals. Never raises: what it leaves out, the role `directory` does."""

    def __init__(self, directory: Directory, last_known: LastKnown, clock: Callable[[], int]) -> None:
        """`clock`: ms since the epoch."""
        self._directory = directory
        self._last_known = last_known
        self._clock = clock
        self._said = False

    async def follow(self, event: Event) -> Sequence[Event]:
        """The events on contacts; none for an event that the log has already, or that may be such a one."""
        before, now = self._last_known(event.subject), self._clock()
        if before is None:
            return ()
        folded = fold(before, event, now)
        if folded.repeated:
            return ()
        try:
            async with asyncio.timeout(DEADLINE_S), self._directory.lookups() as lookups:
                learnt = await of_events(
                    [Logged(event, now)], lookups, _With(event.subject, folded.record, self._last_known), now
                )
        except (SQLAlchemyError, OSError, TimeoutError) as error:
            if not self._said:
                log.warning(
                    "contacts are held and freed later, the directory does not answer: %s", type(error).__name__
                )
            self._said = True
            return ()
        self._said = False
        return learnt.events


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
