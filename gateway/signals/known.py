"""What the door knows of a subject: its record in the view, and whether a barrier vouches for it."""

from __future__ import annotations

import asyncio
import logging

from gateway.dnd.model import Subject
from gateway.dnd.record import EMPTY, Record
from gateway.fresh import FreshState
from gateway.signals.resolve import Known
from gateway.streams.quorum import NotFreshError
from gateway.view.errors import ViewError

log = logging.getLogger(__name__)

BARRIER_DEADLINE_S = 0.25
"""A round takes milliseconds. A signal that is written soon is worth more than one that is dated by the latest lift."""

NOTHING = Known(EMPTY, fresh=False)


class FreshRecords:
    """Reads the shared fresh state, in whatever state that is: also before it is open, and while it holds."""

    def __init__(self, fresh: FreshState) -> None:
        self._fresh = fresh

    async def known(self, subject: Subject) -> Known:
        """The record of the subject (canonical). Fresh: it has everything acknowledged before the call."""
        fresh = await self._passed()
        record = self.in_view(subject)
        return NOTHING if record is None else Known(record, fresh)

    def last_known(self, subject: Subject) -> Record:
        """The record as far as it is known without asking anybody."""
        return self.in_view(subject) or EMPTY

    def in_view(self, subject: Subject) -> Record | None:
        """The record in the view as it is, None while the view cannot be read."""
        try:
            return self._fresh.view.get(subject)
        except RuntimeError:
            return None  # not open: the process has just started, or Kafka was away all the time
        except ViewError as error:
            # The table's owners die of it. A signal is worth more than its exact date.
            log.error("the view cannot be read, a signal is dated without it: %s", error)  # noqa: TRY400 - no trace
            return None

    async def _passed(self) -> bool:
        if self._fresh.problems():
            return False  # do not wait for what did not pass a moment ago
        try:
            async with asyncio.timeout(BARRIER_DEADLINE_S):
                await self._fresh.barrier.passed()
        except (NotFreshError, TimeoutError):
            return False
        return True
