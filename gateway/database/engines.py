"""Engines of both databases we know: SQLite in the data directory by default, PostgreSQL by setting.

SQLite keeps a write-ahead log, so readers never wait for the one writer. A transaction begins with the right to write
(`BEGIN IMMEDIATE`): one that reads first and writes then could find that somebody else wrote meanwhile.
"""

from __future__ import annotations

import os
import sqlite3
import tempfile
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

from sqlalchemy import URL, Connection, Engine, create_engine, event, make_url
from sqlalchemy.exc import ArgumentError
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from sqlalchemy.pool import NullPool

from gateway.settings import Secret, SettingsError

FILE_NAME = "directory.sqlite"
"""Under the data directory, unless a database is set."""

DRIVERS = {"postgresql": "postgresql+asyncpg", "postgres": "postgresql+asyncpg", "sqlite": "sqlite+aiosqlite"}

CONNECT_DEADLINE_S = 5.0
COMMAND_DEADLINE_S = 30.0
"""For connecting, and for one statement: a batch takes milliseconds, the first reading of a big table seconds."""

LOCKED_WAIT_S = 10.0
"""For another writer of the same SQLite file (appeals, an operator's shell)."""

CONNECTIONS = 4
"""At a time, for reading: each look-up takes a millisecond."""

WRITING = "sendguard_writing"
"""Execution option of a connection that writes."""


def database_url(database: Secret | None, data_dir: Path) -> URL:
    """Where the tables are. SettingsError: not a URL of a database we know; the text does not show it."""
    if database is None:
        return URL.create("sqlite+aiosqlite", database=str(data_dir / FILE_NAME))
    try:
        url = make_url(database.reveal())
    except ArgumentError:
        url = URL.create("")
    driver = DRIVERS.get(url.get_backend_name())
    if driver is None:
        raise SettingsError(["database_url: expected postgresql://user:password@host/database or sqlite:///file"])
    return url.set(drivername=driver)


def engine_for(url: URL, *, pooled: bool = True) -> AsyncEngine:
    """Connects when first used. Not pooled: closing a connection ends it, and with it the locks it has."""
    options: dict[str, Any] = {"pool_size": CONNECTIONS, "max_overflow": 0} if pooled else {"poolclass": NullPool}
    if url.get_backend_name() == "postgresql":
        arguments = {"timeout": CONNECT_DEADLINE_S, "command_timeout": COMMAND_DEADLINE_S}
        return create_async_engine(url, connect_args=arguments, pool_pre_ping=pooled, **options)
    if url.database:
        _make_file(Path(url.database))
    engine = create_async_engine(url, connect_args={"timeout": LOCKED_WAIT_S}, **options)
    _listen(engine.sync_engine)
    return engine


def blocking_engine_for(url: URL) -> Engine:
    """For threads that read a SQLite file: many statements for one change of threads, where the asynchronous engine
    takes several for each. The file is there."""
    arguments = {"timeout": LOCKED_WAIT_S, "check_same_thread": False}
    engine = create_engine(url.set(drivername="sqlite"), connect_args=arguments, pool_size=CONNECTIONS, max_overflow=0)
    _listen(engine)
    return engine


def _make_file(path: Path) -> None:
    """A file that is new has its write-ahead log from the first moment: switched on later, SQLite answers "locked"
    without waiting while somebody else has just opened it. OSError."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.exists():
        return
    with tempfile.TemporaryDirectory(dir=path.parent, prefix=f"{path.name}.") as folder:
        made = Path(folder) / path.name
        try:
            with closing(sqlite3.connect(made)) as connection:
                connection.execute("PRAGMA journal_mode = WAL")
        except sqlite3.Error as error:
            raise OSError(f"{path}: {error}") from error
        with suppress(FileExistsError):  # another process was quicker
            os.link(made, path)


def _listen(engine: Engine) -> None:
    event.listen(engine, "connect", _sqlite_connected)
    event.listen(engine, "begin", _sqlite_begun)


def _sqlite_connected(connection: Any, _: object) -> None:
    connection.isolation_level = None  # the driver would begin by itself, and too late
    cursor = connection.cursor()
    try:
        cursor.execute("PRAGMA synchronous = FULL")
    finally:
        cursor.close()


def _sqlite_begun(connection: Connection) -> None:
    writing = connection.get_execution_options().get(WRITING, False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writing else "BEGIN")
