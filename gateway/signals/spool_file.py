"""The spool's file: rows in SQLite, in the order they came. Synchronous; one thread uses it.

A commit is on disk when it returns: write-ahead log with `synchronous=FULL`, and the directory is flushed after the
file was made. One process at a time has it, by a lock beside the file that the kernel drops when its owner dies.
"""

from __future__ import annotations

import fcntl
import os
import sqlite3
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from gateway.signals.broker_clock import Offset

SCHEMA = 2
"""`user_version` of the file; one of version 1 is converted when it is opened."""

PAGE_BYTES = 4_096
SIZE_LIMIT_BYTES = 256 * 1024 * 1024
"""Some 400,000 signals: hours of an outage, and little enough to stand beside a view on one volume."""

LOCKED_WAIT_S = 1.0
"""For somebody who has a look at the file with the SQLite shell; a webhook waits for it."""

_TABLES = """
CREATE TABLE signals (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    received_at INTEGER NOT NULL,
    booted_at INTEGER NOT NULL,
    offset_least INTEGER,
    offset_most INTEGER,
    not_before INTEGER NOT NULL,
    subject BLOB NOT NULL,
    version INTEGER NOT NULL,
    signal BLOB NOT NULL
);
CREATE TABLE unreadable (
    id INTEGER PRIMARY KEY,
    received_at INTEGER NOT NULL,
    booted_at INTEGER NOT NULL,
    offset_least INTEGER,
    offset_most INTEGER,
    not_before INTEGER NOT NULL,
    subject BLOB NOT NULL,
    version INTEGER NOT NULL,
    signal BLOB NOT NULL,
    why TEXT NOT NULL
);
"""

_FROM_1 = "".join(
    f"ALTER TABLE {table} ADD COLUMN booted_at INTEGER NOT NULL DEFAULT -1000000000;"
    f"ALTER TABLE {table} ADD COLUMN offset_least INTEGER;"
    f"ALTER TABLE {table} ADD COLUMN offset_most INTEGER;"
    for table in ("signals", "unreadable")
)
"""No machine booted then: of the rows it is not known by what clock they are dated."""


class SpoolUnavailable(Exception):  # noqa: N818 - what it is to the caller
    """Nothing can be kept on this disk, or what is kept there cannot be read; the text says why."""


class Unspooled(NamedTuple):
    """A row to be. `received_at` and `booted_at` are by our clock (ms), and the offset to the brokers' was this then,
    if it was known. `not_before` (ms): what a place must be dated at least. `subject`: the key of its events."""

    received_at: int
    booted_at: int
    offset_least: int | None
    offset_most: int | None
    not_before: int
    subject: bytes
    version: int
    signal: bytes


class Row(NamedTuple):
    """A row as it is kept. The newer one has the larger id."""

    id: int
    received_at: int
    booted_at: int
    offset_least: int | None
    offset_most: int | None
    not_before: int
    subject: bytes
    version: int
    signal: bytes

    @property
    def offset(self) -> Offset | None:
        """What was known of the brokers' clock when the signal came."""
        least, most = self.offset_least, self.offset_most
        return None if least is None or most is None else Offset(least, most)


class SpoolFile:
    """Opens in the constructor. Everything raises SpoolUnavailable."""

    def __init__(self, path: Path, size_limit_bytes: int = SIZE_LIMIT_BYTES) -> None:
        with _explained(path):
            path.parent.mkdir(parents=True, exist_ok=True)
        self._path = path
        self._lock = _locked(path.with_name(f"{path.name}.lock"))
        try:
            with _explained(path):
                self._file = self._open(size_limit_bytes)
                self.subjects = Counter(
                    {bytes(key): count for key, count in self._file.execute(_COUNT_BY_SUBJECT).fetchall()}
                )
                """Rows of each subject that has any. Other threads may look a key up."""
                self.unreadable = int(self._file.execute("SELECT count(*) FROM unreadable").fetchone()[0])
        except BaseException:
            os.close(self._lock)
            raise
        self.count = self.subjects.total()
        self.oldest_at = self._oldest_at()

    def put(self, rows: Iterable[Unspooled]) -> None:
        """All of them or none. On disk when it returns."""
        added = list(rows)
        with self._transaction():
            self._file.executemany(_INSERT, added)
        self.subjects.update(row.subject for row in added)
        self.count += len(added)
        self.oldest_at = self._oldest_at()

    def first(self, limit: int) -> list[Row]:
        """The oldest rows, oldest first."""
        with _explained(self._path):
            found = self._file.execute(f"SELECT {', '.join(Row._fields)} FROM signals ORDER BY id LIMIT ?", (limit,))  # noqa: S608 - names of ours
            return [Row(*row) for row in found]

    def remove(self, rows: Sequence[Row]) -> None:
        """What Kafka has acknowledged."""
        with self._transaction():
            self._file.executemany("DELETE FROM signals WHERE id = ?", [(row.id,) for row in rows])
        self._forget(rows)

    def set_aside(self, row: Row, why: str) -> None:
        """Out of the way of the others, kept for an operator."""
        with self._transaction():
            self._file.execute("DELETE FROM signals WHERE id = ?", (row.id,))  # first: a full file has room then
            self._file.execute(_INSERT_UNREADABLE, (*row, why))
        self.unreadable += 1
        self._forget([row])

    def close(self) -> None:
        """Twice is once."""
        if self._lock >= 0:
            try:
                self._file.close()
            finally:
                os.close(self._lock)
                self._lock = -1

    def _open(self, size_limit_bytes: int) -> sqlite3.Connection:
        file = sqlite3.connect(self._path, timeout=LOCKED_WAIT_S, isolation_level=None, check_same_thread=False)
        try:
            file.execute(f"PRAGMA page_size = {PAGE_BYTES}")
            (mode,) = file.execute("PRAGMA journal_mode = WAL").fetchone()
            if mode != "wal":
                raise SpoolUnavailable(f"{self._path}: its file system cannot keep a write-ahead log")
            file.execute("PRAGMA synchronous = FULL")
            file.execute("PRAGMA fullfsync = ON")  # macOS alone: there fsync does not reach the disk
            file.execute(f"PRAGMA max_page_count = {max(1, size_limit_bytes // PAGE_BYTES)}")
            (version,) = file.execute("PRAGMA user_version").fetchone()
            if version not in (0, 1, SCHEMA):
                raise SpoolUnavailable(f"{self._path} has format {version}, and this release reads {SCHEMA}")
            if version != SCHEMA:
                changes = _TABLES if version == 0 else _FROM_1
                file.executescript(f"BEGIN IMMEDIATE; {changes} PRAGMA user_version = {SCHEMA}; COMMIT")
            for directory in self._path.parents[:2]:
                _flush_directory(directory)
        except BaseException:
            file.close()
            raise
        return file

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        with _explained(self._path):
            self._file.execute("BEGIN IMMEDIATE")
            try:
                yield
                self._file.execute("COMMIT")
            except BaseException:
                if self._file.in_transaction:
                    self._file.execute("ROLLBACK")
                raise

    def _forget(self, rows: Sequence[Row]) -> None:
        for row in rows:
            if self.subjects[row.subject] > 1:
                self.subjects[row.subject] -= 1
            else:
                del self.subjects[row.subject]
        self.count -= len(rows)
        self.oldest_at = self._oldest_at()

    def _oldest_at(self) -> int | None:
        with _explained(self._path):
            found = self._file.execute("SELECT received_at FROM signals ORDER BY id LIMIT 1").fetchone()
            return None if found is None else int(found[0])


def _insert(table: str, columns: Sequence[str]) -> str:
    return f"INSERT INTO {table} ({', '.join(columns)}) VALUES ({', '.join('?' * len(columns))})"  # noqa: S608 - names of ours


_INSERT = _insert("signals", Unspooled._fields)
_INSERT_UNREADABLE = _insert("unreadable", (*Row._fields, "why"))
_COUNT_BY_SUBJECT = "SELECT subject, count(*) FROM signals GROUP BY subject"


@contextmanager
def _explained(path: Path) -> Iterator[None]:
    try:
        yield
    except (sqlite3.Error, OSError) as error:
        raise SpoolUnavailable(f"{path}: {error}") from error


def _locked(path: Path) -> int:
    with _explained(path):
        lock = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(lock)
            raise SpoolUnavailable(
                f"{path} is held by another process: each needs a data directory of its own"
            ) from None
        except BaseException:
            os.close(lock)
            raise
    return lock


def _flush_directory(path: Path) -> None:
    """A file that was made is only there after a power cut when its directory has been flushed too."""
    directory = os.open(path, os.O_RDONLY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)
