"""The spool on a real SQLite file: what `put` promises, what it refuses, and whose it is."""

from __future__ import annotations

import asyncio
import itertools
import resource
import shutil
import sqlite3
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from gateway.providers.signals import Signal
from gateway.signals import spool as spool_module
from gateway.signals.broker_clock import BrokerClock
from gateway.signals.spool import FILE_NAME, Spool, SpoolUnavailable
from gateway.signals.spool_file import SCHEMA, SpoolFile
from tests.signals.people import PHONE, phone, start, stop


@asynccontextmanager
async def opened(directory: Path, **options: int) -> AsyncIterator[Spool]:
    spool = Spool(directory, **options)
    await spool.open()
    try:
        yield spool
    finally:
        await spool.close()


async def put_many(spool: Spool, count: int) -> None:
    for number in range(count):
        await spool.put(stop(f"many {number}", phone(number)), number)


def sql(directory: Path, statement: str) -> list[tuple[object, ...]]:
    """What an operator's shell would say."""
    file = sqlite3.connect(directory / FILE_NAME)
    try:
        with file:
            return file.execute(statement).fetchall()
    finally:
        file.close()


async def test_what_was_put_is_there_after_the_file_was_left_open(tmp_path: Path) -> None:
    """The order is that of `put`, with everything a signal says."""
    signals: list[Signal] = [stop("1"), start("2"), stop("3", phone(7)), stop("4", at=12)]
    spool = Spool(tmp_path)
    await spool.open()
    for number, signal in enumerate(signals):
        await spool.put(signal, 1_000 + number, not_before=number)
    await asyncio.to_thread(shutil.copytree, tmp_path, tmp_path / "copy")  # as the disk is at this moment
    await spool.close()
    async with opened(tmp_path / "copy") as again:
        found = await again.first(10)
        assert [each.signal for each in found] == signals
        assert [(each.row.received_at, each.row.not_before) for each in found] == [
            (1_000 + number, number) for number in range(4)
        ]
        assert (again.count, again.oldest_at) == (4, 1_000)


async def test_every_commit_waits_for_the_disk(tmp_path: Path) -> None:
    """The write-ahead log is flushed at each commit, and the files survive a power cut in their directory."""
    async with opened(tmp_path) as spool:
        assert spool._file is not None
        pragma = spool._file._file.execute
        assert pragma("PRAGMA journal_mode").fetchone() == ("wal",)
        assert pragma("PRAGMA synchronous").fetchone() == (2,)  # FULL


async def test_a_subject_is_held_until_its_last_signal_is_removed(tmp_path: Path) -> None:
    async with opened(tmp_path) as spool:
        assert not spool.holds_subject(PHONE)
        await spool.put(stop("1"), 1_000)
        await spool.put(stop("2", phone(7)), 2_000)
        await spool.put(start("3"), 3_000)
        first, other, second = await spool.first(10)
        await spool.remove([first])
        assert spool.holds_subject(PHONE)
        assert spool.oldest_at == 2_000
        await spool.remove([second])
        assert not spool.holds_subject(PHONE)
        assert spool.holds_subject(phone(7))
        await spool.remove([other])
        assert spool.count == 0
        assert spool.oldest_at is None


async def test_a_subject_is_still_held_after_a_restart(tmp_path: Path) -> None:
    async with opened(tmp_path) as spool:
        await spool.put(stop("1", PHONE._replace(id="+5215512345678")), 1_000)
    async with opened(tmp_path) as spool:
        assert spool.holds_subject(PHONE._replace(id="+525512345678"))  # the same handset
        assert not spool.holds_subject(PHONE)


async def test_new_signals_never_take_the_place_of_removed_ones(tmp_path: Path) -> None:
    async with opened(tmp_path) as spool:
        await spool.put(stop("1"), 1)
        (row,) = await spool.first(1)
        await spool.remove([row])
        await spool.put(stop("2"), 2)
        (later,) = await spool.first(1)
        assert later.row.id > row.row.id


@pytest.mark.parametrize(
    "damage", ["UPDATE signals SET signal = x'ff00' WHERE id = 2", "UPDATE signals SET version = 99 WHERE id = 2"]
)
async def test_a_row_that_cannot_be_read_is_set_aside_and_blocks_nothing(tmp_path: Path, damage: str) -> None:
    async with opened(tmp_path) as spool:
        for number in range(3):
            await spool.put(stop(f"{number}", phone(number)), number)
        sql(tmp_path, damage)
        assert [each.signal.event_id for each in await spool.first(10)] == ["0", "2"]
        assert (spool.count, spool.unreadable) == (2, 1)
        assert not spool.holds_subject(phone(1))
    assert sql(tmp_path, "SELECT id, received_at FROM unreadable") == [(2, 1)]
    async with opened(tmp_path) as spool:
        assert (spool.count, spool.unreadable) == (2, 1)


# ---- when it cannot take any ----


async def test_a_spool_that_is_not_open_takes_nothing_and_holds_nobody(tmp_path: Path) -> None:
    spool = Spool(tmp_path)
    with pytest.raises(SpoolUnavailable, match="not open yet"):
        await spool.put(stop("1"), 1)
    assert not spool.holds_subject(PHONE)
    assert (spool.count, spool.oldest_at, spool.unreadable) == (0, None, 0)
    await spool.close()


async def test_two_processes_cannot_have_one_spool(tmp_path: Path) -> None:
    hold = "import sys, pathlib; from gateway.signals.spool_file import SpoolFile\n"
    hold += "kept = SpoolFile(pathlib.Path(sys.argv[1])); print('open', flush=True); sys.stdin.read()"
    command = [sys.executable, "-c", hold, str(tmp_path / FILE_NAME)]
    spool = Spool(tmp_path)
    other = await asyncio.create_subprocess_exec(*command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert other.stdout is not None
    assert await other.stdout.readline() == b"open\n"
    with pytest.raises(SpoolUnavailable, match="held by another process"):
        await spool.open()
    assert "held by another process" in str(spool.problem)
    other.kill()
    await other.wait()
    await spool.open()  # the kernel has let go of it
    assert not spool.problem
    await spool.close()


async def test_a_full_spool_refuses_and_takes_again_when_there_is_room(tmp_path: Path) -> None:
    async with opened(tmp_path, size_limit_bytes=16 * 4_096) as spool:
        with pytest.raises(SpoolUnavailable, match="full"):
            await put_many(spool, 10_000)
        kept = spool.count
        assert kept > 20
        assert "full" in str(spool.problem)
        await spool.remove(await spool.first(kept))
        await spool.put(stop("again"), 1)
        assert spool.count == 1
        assert not spool.problem


async def test_a_full_disk_is_said_and_nothing_half_written_stays(tmp_path: Path) -> None:
    """The kernel refuses to let files grow, as a full disk does."""
    async with opened(tmp_path) as spool:
        await spool.put(stop("1"), 1)
        limits = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, limits[1]))
        try:
            with pytest.raises(SpoolUnavailable):
                await put_many(spool, 100)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        kept = spool.count
        await spool.put(stop("2"), 2)
        found = [each.signal.event_id for each in await spool.first(200)]
        assert len(found) == kept + 1
        assert (found[0], found[-1]) == ("1", "2")


async def test_a_file_that_somebody_else_writes_to_is_unavailable_for_a_while_only(tmp_path: Path) -> None:
    async with opened(tmp_path) as spool:
        shell = sqlite3.connect(tmp_path / FILE_NAME, isolation_level=None)
        shell.execute("BEGIN IMMEDIATE")
        with pytest.raises(SpoolUnavailable, match="locked"):
            await spool.put(stop("1"), 1)
        shell.execute("ROLLBACK")
        shell.close()
        await spool.put(stop("1"), 1)
        assert spool.count == 1


@pytest.mark.parametrize(
    ("content", "says"), [(b"not a database" * 400, "not a database"), (None, "format 99")], ids=["damaged", "newer"]
)
async def test_a_file_that_cannot_be_read_is_left_as_it_is(tmp_path: Path, content: bytes | None, says: str) -> None:
    """It may hold the last copy of a STOP."""
    path = tmp_path / FILE_NAME
    if content is None:
        sql(tmp_path, "PRAGMA user_version = 99")
    else:
        path.write_bytes(content)
    before = path.read_bytes()
    spool = Spool(tmp_path)
    for _ in range(2):  # the lock is not kept
        with pytest.raises(SpoolUnavailable, match=says):
            await spool.open()
    assert content is None or path.read_bytes() == before
    await spool.close()


async def test_a_directory_that_cannot_be_made_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(SpoolUnavailable):
        await Spool(tmp_path / "file" / "spool").open()


async def test_a_disk_that_hangs_keeps_nobody_waiting(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """And the file, when it opens late, is not lost with its lock."""
    monkeypatch.setattr(spool_module, "DISK_DEADLINE_S", 0.05)
    wait = asyncio.Event()
    loop = asyncio.get_running_loop()
    proceed = asyncio.run_coroutine_threadsafe

    def slow(*args: object) -> SpoolFile:
        proceed(wait.wait(), loop).result()
        return SpoolFile(*args)  # type: ignore[arg-type]  # as it was called

    monkeypatch.setattr(spool_module, "SpoolFile", slow)
    spool = Spool(tmp_path)
    with pytest.raises(SpoolUnavailable, match="has not answered"):
        await spool.open()
    wait.set()
    deadline = time.monotonic() + 30
    while not spool.is_open:
        assert time.monotonic() < deadline
        await asyncio.sleep(0.01)
    monkeypatch.setattr(spool_module, "DISK_DEADLINE_S", 30.0)
    await spool.put(stop("1"), 1)
    await spool.close()


async def test_signals_of_a_file_of_version_1_are_kept_and_nobody_knows_by_what_clock_they_are_dated(
    tmp_path: Path,
) -> None:
    async with opened(tmp_path) as spool:
        for number in range(2):
            await spool.put(stop(f"{number}", phone(number)), 1_000 + number)
        await spool.set_aside((await spool.first(1))[0].row, "to keep")
    for table, column in itertools.product(("signals", "unreadable"), ("booted_at", "offset_least", "offset_most")):
        sql(tmp_path, f"ALTER TABLE {table} DROP COLUMN {column}")
    sql(tmp_path, "PRAGMA user_version = 1")
    async with opened(tmp_path) as spool:
        (kept,) = await spool.first(10)
        assert (kept.signal, kept.row.received_at, kept.row.offset) == (stop("1", phone(1)), 1_001, None)
        assert not BrokerClock().goes_as_when(kept.row.booted_at)
        await spool.put(stop("2"), 1_002)
        await spool.set_aside(kept.row, "to keep")
    async with opened(tmp_path) as spool:
        assert (spool.count, spool.unreadable) == (1, 2)


def test_the_schema_has_a_version(tmp_path: Path) -> None:
    SpoolFile(tmp_path / FILE_NAME).close()
    assert sql(tmp_path, "PRAGMA user_version") == [(SCHEMA,)]
