"""The database behind the directory: SQLite in the data directory by default, PostgreSQL by setting.

SQLite keeps a write-ahead log, so readers never wait for the one writer. A transaction begins with the right to write
(`BEGIN IMMEDIATE`): one that reads first and writes then could find that somebody else wrote meanwhile.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

from asyncpg import PostgresError
from sqlalchemy import URL, Connection, event, make_url, text
from sqlalchemy.exc import ArgumentError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine
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
"""Execution option of the connection that writes."""

_WRITER_LOCK = 0x5E4D_6A2D_0002


class AnotherWriterError(Exception):
    """Another process keeps this directory; it does the work."""


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
        Path(url.database).parent.mkdir(parents=True, exist_ok=True)
    engine = create_async_engine(url, connect_args={"timeout": LOCKED_WAIT_S}, **options)
    event.listen(engine.sync_engine, "connect", _sqlite_connected)
    event.listen(engine.sync_engine, "begin", _sqlite_begun)
    return engine


@asynccontextmanager
async def only_writer(url: URL) -> AsyncIterator[AsyncConnection]:
    """The one connection that writes, alone of all processes. AnotherWriterError, SQLAlchemyError, OSError."""
    engine = engine_for(url, pooled=False)
    try:
        with _file_locked(url):
            async with connected(engine) as connection:
                await connection.execution_options(**{WRITING: True})
                await _lock(connection)
                yield connection
    finally:
        await engine.dispose()


@asynccontextmanager
async def connected(engine: AsyncEngine) -> AsyncIterator[AsyncConnection]:
    """A connection. What PostgreSQL answers before there is one comes out as OSError."""
    connection = engine.connect()
    try:
        await connection.start()
    except PostgresError as error:
        raise ConnectionError(f"PostgreSQL refuses the connection: {error}") from error
    try:
        yield connection
    finally:
        await connection.close()


async def _lock(connection: AsyncConnection) -> None:
    if connection.dialect.name != "postgresql":
        return
    async with connection.begin():
        found = await connection.execute(text("SELECT pg_try_advisory_lock(:lock)"), {"lock": _WRITER_LOCK})
        if not found.scalar():
            raise AnotherWriterError("another process keeps the directory in this database")


@contextmanager
def _file_locked(url: URL) -> Iterator[None]:
    """Beside the file, dropped by the kernel when its process dies."""
    if url.get_backend_name() != "sqlite" or not url.database:
        yield
        return
    lock = os.open(f"{url.database}.lock", os.O_RDWR | os.O_CREAT, 0o644)
    try:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise AnotherWriterError("another process keeps the directory in this file") from None
        yield
    finally:
        os.close(lock)


def _sqlite_connected(connection: Any, _: object) -> None:
    connection.isolation_level = None  # the driver would begin by itself, and too late
    cursor = connection.cursor()
    try:
        cursor.execute("PRAGMA journal_mode = WAL")
        cursor.execute("PRAGMA synchronous = FULL")
    finally:
        cursor.close()


def _sqlite_begun(connection: Connection) -> None:
    writing = connection.get_execution_options().get(WRITING, False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writing else "BEGIN")
