"""The durable spool: signals that Kafka cannot take now, on local disk, in the order they came.

It keeps what the provider said and when we received it, not the finished event: the event is dated when it is written
(see `resolve`). Later signals of a subject that has spooled ones are spooled too (`holds_subject`), so that each
subject's order is kept. A row that cannot be read is set aside and counted; it blocks nothing and is never deleted.

One thread of its own does what waits for the disk. A spool that cannot be opened is opened again by whoever keeps it
(`Drainer`); until then it takes nothing, and says why in `problem`.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import msgspec

from gateway.contract.events import event_key
from gateway.dnd.addresses import canonical
from gateway.dnd.model import Subject
from gateway.providers.signals import Signal
from gateway.signals.broker_clock import BrokerClock
from gateway.signals.spool_file import SIZE_LIMIT_BYTES, Row, SpoolFile, SpoolUnavailable, Unspooled
from gateway.signals.spooled import VERSION, UnreadableRowError, decode_signal, encode_signal

__all__ = ["Spool", "SpoolUnavailable", "Spooled"]

log = logging.getLogger(__name__)

FILE_NAME = "signals.sqlite"

DISK_DEADLINE_S = 5.0
"""A healthy disk needs milliseconds. Providers wait 10 to 15 s for an answer."""

WAITING_LIMIT = 1_000
"""Calls that wait for the disk: more means that it hangs, and memory would fill up instead."""

Result = TypeVar("Result")


@dataclass(frozen=True, slots=True)
class Spooled:
    """A signal that waits."""

    row: Row
    signal: Signal


class Spool:
    """Of one process, in `directory`. `open` it first; it takes nothing until then."""

    def __init__(self, directory: Path, size_limit_bytes: int = SIZE_LIMIT_BYTES) -> None:
        self._path = directory / FILE_NAME
        self._size_limit_bytes = size_limit_bytes
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="spool")
        self._file: SpoolFile | None = None
        self._waiting = 0
        self.arrived = asyncio.Event()
        """Set when there may be something to drain."""
        self.problem: str | None = "not open yet"
        """Why the last call failed; None when it did not."""

    async def open(self) -> None:
        """SpoolUnavailable: locked, damaged, of a newer release, or the disk does not let us."""
        if self._file is None:
            await self._on_disk(self._open)
            self.arrived.set()

    @property
    def is_open(self) -> bool:
        return self._file is not None

    @property
    def count(self) -> int:
        """Signals that wait."""
        return 0 if self._file is None else self._file.count

    @property
    def unreadable(self) -> int:
        """Rows that were set aside."""
        return 0 if self._file is None else self._file.unreadable

    @property
    def oldest_at(self) -> int | None:
        """When the oldest signal that waits was received (ms), None when none waits."""
        return None if self._file is None else self._file.oldest_at

    def holds_subject(self, subject: Subject) -> bool:
        """Whether a signal of the subject (canonical) waits, so that a later one must queue behind it."""
        file = self._file
        return file is not None and bool(file.count) and event_key(subject) in file.subjects

    async def put(
        self, signal: Signal, received_at: int, not_before: int = 0, brokers: BrokerClock | None = None
    ) -> None:
        """Returns when it is on disk. SpoolUnavailable.

        `received_at`: by our clock (ms); `brokers`: what is known of theirs. `not_before` (ms): what a place must be
        dated at least.
        """
        file = self._required()
        try:
            value = encode_signal(signal)
        except (msgspec.EncodeError, UnicodeEncodeError, TypeError, ValueError, OverflowError) as error:
            raise SpoolUnavailable(f"a signal cannot be written down: {error}") from error
        brokers = brokers or BrokerClock()
        least, most = brokers.offset or (None, None)
        subject = event_key(canonical(signal.subject))
        row = Unspooled(received_at, brokers.booted_at, least, most, not_before, subject, VERSION, value)
        await self._on_disk(lambda: file.put([row]))
        self.arrived.set()

    async def first(self, limit: int) -> list[Spooled]:
        """The oldest signals, oldest first. Rows among them that cannot be read are set aside."""
        file = self._required()
        found: list[Spooled] = []
        for row in await self._on_disk(lambda: file.first(limit)):
            try:
                found.append(Spooled(row, decode_signal(row.version, row.signal)))
            except UnreadableRowError as error:
                await self.set_aside(row, str(error))
        return found

    async def remove(self, spooled: Sequence[Spooled]) -> None:
        """Forget what Kafka has acknowledged."""
        file = self._required()
        await self._on_disk(lambda: file.remove([each.row for each in spooled]))

    async def set_aside(self, row: Row, why: str) -> None:
        """Keep the row for an operator and let the others pass."""
        file = self._required()
        log.error("spooled signal %d is set aside in the table `unreadable` of %s: %s", row.id, self._path, why)
        await self._on_disk(lambda: file.set_aside(row, why))

    async def close(self) -> None:
        """Let go of the file. Nothing is lost by not closing."""
        file, self._file = self._file, None
        if file is not None:
            await self._on_disk(file.close)
        self._thread.shutdown(wait=False)

    def _open(self) -> None:
        """In the thread, so that a file that opens late is not lost, and with it its lock."""
        if self._file is None:
            self._file = SpoolFile(self._path, self._size_limit_bytes)

    def _required(self) -> SpoolFile:
        if self._file is None:
            raise SpoolUnavailable(f"{self._path}: {self.problem or 'closed'}")
        return self._file

    async def _on_disk(self, work: Callable[[], Result]) -> Result:
        """Do it in the thread, waiting at most DISK_DEADLINE_S; what is late is done all the same, or fails."""
        if self._waiting >= WAITING_LIMIT:
            raise SpoolUnavailable(f"{self._path}: {self._waiting} calls wait for the disk")
        self._waiting += 1
        done = asyncio.get_running_loop().run_in_executor(self._thread, work)
        done.add_done_callback(self._ended)
        await asyncio.wait([done], timeout=DISK_DEADLINE_S)
        if not done.done():
            raise SpoolUnavailable(f"{self._path}: the disk has not answered within {DISK_DEADLINE_S:g} s")
        return done.result()

    def _ended(self, done: asyncio.Future[Result]) -> None:
        self._waiting -= 1
        error = None if done.cancelled() else done.exception()
        self.problem = None if error is None else str(error)
