"""Work of one process at a time: what a role says of it while it fails, waits or goes on."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from consumers import sole_work
from consumers.sole_work import SoleWork
from gateway.database import AnotherWorkerError


@pytest.fixture(autouse=True)
def without_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("FIRST_PAUSE_S", "LONGEST_PAUSE_S", "TAKE_OVER_S"):
        monkeypatch.setattr(sole_work, name, 0.0)


class Work:
    """Ends each turn as told, then works on; `seen` is what the role said at the beginning of each."""

    def __init__(self, *ends: Exception) -> None:
        self.sole = SoleWork("nothing is kept")
        self._ends = list(ends)
        self.seen: list[str | None] = []
        self.goes_on = asyncio.Event()

    async def turn(self) -> None:
        self.seen.append(self.sole.problem)
        if self._ends:
            raise self._ends.pop(0)
        self.sole.begun()
        self.goes_on.set()
        await asyncio.Event().wait()


@contextmanager
def kept(work: Work) -> Iterator[asyncio.Task[None]]:
    keeping = asyncio.create_task(work.sole.keep(work.turn))
    try:
        yield keeping
    finally:
        keeping.cancel()


async def test_what_fails_is_named_by_its_first_line_and_tried_again_until_it_goes_on() -> None:
    work = Work(OSError("no route\n[SQL: SELECT 1]"), TimeoutError("too long"))
    with kept(work):
        await work.goes_on.wait()
    assert work.seen == [
        "not started yet",
        "nothing is kept: OSError: no route",
        "nothing is kept: TimeoutError: too long",
    ]
    assert work.sole.problems == []


async def test_the_same_failure_is_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    work = Work(OSError("away"), OSError("away"), OSError("gone"))
    with caplog.at_level(logging.WARNING, sole_work.__name__), kept(work):
        await work.goes_on.wait()
    assert caplog.messages == ["nothing is kept: OSError: away", "nothing is kept: OSError: gone"]


async def test_to_wait_for_another_process_is_no_problem() -> None:
    work = Work(AnotherWorkerError("another process does it"))
    with kept(work):
        await work.goes_on.wait()
    assert work.seen == ["not started yet", None]


async def test_a_fault_of_ours_ends_it() -> None:
    work = Work(ValueError("a defect"))
    with kept(work) as keeping, pytest.raises(ValueError, match="a defect"):
        await keeping
