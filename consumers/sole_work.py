"""Work that one process at a time does for a database: doing it, waiting for a turn, and trying again what failed."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable

from sqlalchemy.exc import SQLAlchemyError

from gateway.database import AnotherWorkerError
from gateway.streams.topics import KafkaUnreachableError

log = logging.getLogger(__name__)

FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.1, 5.0
"""Between two tries of what failed, doubling."""

TAKE_OVER_S = 1.0
"""How often a process that waits looks whether the one that works is gone."""


class SoleWork:
    """What a role says of such work in `problems`; `keep` does it."""

    def __init__(self, undone: str) -> None:
        """`undone`: what does not happen while it fails."""
        self._undone = undone
        self._pause = FIRST_PAUSE_S
        self._said = ""
        self.problem: str | None = "not started yet"

    @property
    def problems(self) -> list[str]:
        return [] if self.problem is None else [self.problem]

    def begun(self, problem: str | None = None) -> None:
        """To be called by the work once it has its turn. `problem`: why it is not ready yet, if it is not."""
        self.problem, self._pause, self._said = problem, FIRST_PAUSE_S, ""

    async def keep(self, work: Callable[[], Awaitable[None]]) -> None:
        """Until cancelled: begin the work, which goes on for ever, again whenever somebody else has to put it right.

        `work` raises AnotherWorkerError while it is another process's turn.
        """
        while True:
            try:
                await work()
            except AnotherWorkerError:
                self.problem = None
                await asyncio.sleep(TAKE_OVER_S)
            except (SQLAlchemyError, KafkaUnreachableError, OSError, TimeoutError) as error:
                self._failed(error)
                await asyncio.sleep(self._pause)
                self._pause = min(self._pause * 2, LONGEST_PAUSE_S)

    def _failed(self, error: Exception) -> None:
        # Its first line alone: SQLAlchemy adds the statement and a link.
        self.problem = f"{self._undone}: {type(error).__name__}: {error}".splitlines()[0]
        if self.problem != self._said:
            log.warning("%s", self.problem)
        self._said = self.problem
