"""What every user of the database rests on, on SQLite and PostgreSQL."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy import Column, Integer, MetaData, Table, insert, select

from gateway.database import connected, create_tables, database_url, engine_for, writing

STARTERS, ROUNDS = 5, 10

PATIENCE_S = 60.0

metadata = MetaData()
counted = Table("counted", metadata, Column("id", Integer, primary_key=True, autoincrement=True))


def test_many_may_start_on_a_folder_without_a_file_at_once(tmp_path: Path) -> None:
    """Round after round, so that some come upon a file that another one has just made: all write to the same one."""
    together = threading.Barrier(STARTERS)

    def start(folder: Path) -> None:
        together.wait(PATIENCE_S)
        asyncio.run(_start(folder))

    with ThreadPoolExecutor(STARTERS) as starters:
        for round_ in range(ROUNDS):
            list(starters.map(start, [tmp_path / str(round_)] * STARTERS))
            assert asyncio.run(_count(tmp_path / str(round_))) == STARTERS


async def _start(folder: Path) -> None:
    engine = engine_for(database_url(None, folder))
    try:
        await create_tables(engine, metadata)
        async with writing(engine) as connection:
            await connection.execute(insert(counted).values())
    finally:
        await engine.dispose()


async def _count(folder: Path) -> int:
    engine = engine_for(database_url(None, folder))
    try:
        async with connected(engine) as connection:
            return len((await connection.execute(select(counted))).all())
    finally:
        await engine.dispose()


def test_a_file_has_its_write_ahead_log_before_anybody_opens_it(tmp_path: Path) -> None:
    """Switched on by the first who open it, it is "locked" for one of them now and then."""
    engine_for(database_url(None, tmp_path))
    with closing(sqlite3.connect(tmp_path / "directory.sqlite")) as connection:
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    assert [path.name for path in tmp_path.iterdir()] == ["directory.sqlite"]


async def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(OSError, match="file"):
        engine_for(database_url(None, tmp_path / "file"))
