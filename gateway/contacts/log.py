"""Reading and writing holds so that an answer is true when it is given: linearizable, one subject at a time.

1. Pass the barrier: the view has everything that was acknowledged before the call.
2. Read.
3. Publish, and wait until Kafka has acknowledged every event.
4. Wait until the own view has applied what was acknowledged: a read that follows, here or elsewhere behind a barrier,
   sees it.

What is placed is dated by the brokers' clock, and not earlier than it is: whatever ours says, a lift asked for before
the hold does not reach it. A lift has the date of the hold that was seen, so it needs no clock.

Each step has a deadline. Past it nobody is told anything but NotAvailable; what was handed to Kafka may be written all
the same, even later. That does no harm: a place counts from its date on, a lift ends what was seen before it.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from functools import partial
from typing import Protocol

from sqlalchemy.exc import SQLAlchemyError

from gateway.contacts.state import Records
from gateway.dnd.model import Event, Lift, Subject
from gateway.dnd.record import Record
from gateway.guard.deciding import Lookup
from gateway.signals.publish import NotAcknowledgedError, Publisher
from gateway.streams.quorum import NotFreshError
from gateway.view.errors import ViewError

FRESH_DEADLINE_S = 2.0
"""For step 1, and for each partition in step 4. They take milliseconds; a leader that moves is found in a second."""

ANSWER_DEADLINE_S = 8.0
"""For an answer or NotAvailable, turns of others before it included: more than the steps' own deadlines, and below what
HTTP clients usually wait (10 s and more)."""

PAUSE_S = 0.05
"""Before the view is asked again."""


class NotAvailable(Exception):  # noqa: N818 - what it is to the caller: an answer 503
    """No true answer can be given now; ask again. Of a change, parts may be done."""


class View(Lookup, Protocol):
    """The view, as far as people's questions need it: what the guard sees, and all of a record."""

    def get(self, subject: Subject) -> Record: ...


class Barrier(Protocol):
    async def passed(self) -> None: ...


class State(Protocol):
    """`FreshState`. RuntimeError while it is not open."""

    @property
    def view(self) -> View: ...
    @property
    def barrier(self) -> Barrier: ...
    async def wait_applied(self, partition: int, end: int) -> None: ...


class DndReads:
    """Steps 1 and 2, from any number of tasks."""

    def __init__(self, state: State, deadline_s: float = FRESH_DEADLINE_S) -> None:
        self._state = state
        self._deadline_s = deadline_s

    async def passed(self) -> View:
        """Step 1: the view, which has everything acknowledged before the call. NotAvailable."""
        await self._patiently(lambda: self._state.barrier.passed())
        return self._state.view

    async def read(self, subjects: Sequence[Subject]) -> Records:
        """Steps 1 and 2: the records (canonical subjects), with everything acknowledged before the call."""
        await self.passed()
        return self.read_applied(subjects)

    def read_applied(self, subjects: Sequence[Subject]) -> Records:
        """Step 2 alone: as far as the view has come, which behind `write` is at least that."""
        try:
            return {subject: self._state.view.get(subject) for subject in subjects}
        except ViewError as error:
            raise NotAvailable(f"the view cannot be read: {error}") from error

    async def _patiently(self, step: Callable[[], Awaitable[None]]) -> None:
        """Until the view can be vouched for, as long as the deadline allows."""
        why = "no answer"
        try:
            async with asyncio.timeout(self._deadline_s):
                while True:
                    try:
                        return await step()
                    except NotFreshError as error:
                        why = str(error)
                    await asyncio.sleep(PAUSE_S)
        except TimeoutError:
            raise NotAvailable(f"the state of holds cannot be vouched for: {why}") from None
        except RuntimeError as error:
            raise NotAvailable(f"the view is not open: {error}") from error


class DndLog(DndReads):
    """All steps, from any number of tasks while the publisher runs."""

    def __init__(self, state: State, publisher: Publisher, deadline_s: float = FRESH_DEADLINE_S) -> None:
        super().__init__(state, deadline_s)
        self._publisher = publisher

    async def now(self, subject: Subject) -> int:
        """By the brokers' clock (ms), not earlier than it is: when a place is to be dated that happens now.

        NotAvailable: the clock may have to be asked for, with a record of this subject.
        """
        try:
            return await self._publisher.now([subject])
        except NotAcknowledgedError as error:
            raise NotAvailable(str(error)) from error

    async def write(self, events: Sequence[Event]) -> None:
        """Steps 3 and 4. NotAvailable; RefusedError for an event that can never be written."""
        try:
            ends = await self._publisher.publish(events)  # 3
        except NotAcknowledgedError as error:
            raise NotAvailable(str(error)) from error
        for partition, end in ends.items():
            await self._patiently(partial(self._state.wait_applied, partition, end))  # 4


@asynccontextmanager
async def answering(deadline_s: float) -> AsyncIterator[None]:
    """NotAvailable when it takes longer, or when a database that was asked does not answer."""
    try:
        async with asyncio.timeout(deadline_s):
            yield
    except TimeoutError:
        raise NotAvailable(f"no answer within {deadline_s:g} s") from None
    except (SQLAlchemyError, OSError) as error:
        raise NotAvailable(f"the database does not answer: {type(error).__name__}") from error


def check_lifted(events: Sequence[Event], after: Records) -> None:
    """NotAvailable for a hold that somebody with a fast clock has just placed: see the fold's margins."""
    for event in events:
        for term in event.terms if isinstance(event, Lift) else ():
            register = after[event.subject].registers[term.scope, term.cause]
            if register.in_force and register.placed.at <= term.through:
                raise NotAvailable("a hold is dated ahead of the brokers' clock; it can be lifted in a second")
