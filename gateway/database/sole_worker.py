"""One process at a time does a piece of work for a database: a lock, beside the file or in PostgreSQL, that ends with
its holder. Different pieces of work do not wait for one another.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from enum import Enum

from sqlalchemy import URL, text
from sqlalchemy.ext.asyncio import AsyncConnection

from gateway.database.connections import connected_to_write
from gateway.database.engines import engine_for


class Work(Enum):
    """What one process does at a time: its name, and the number of PostgreSQL's advisory lock."""

    DIRECTORY = ("directory", 0x5E4D_6A2D_0002)
    RECEIPTS = ("receipts", 0x5E4D_6A2D_0003)
    RECONCILE = ("reconcile", 0x5E4D_6A2D_0004)


class AnotherWorkerError(Exception):
    """Another process does it for this database."""


@asynccontextmanager
async def sole_worker(url: URL, work: Work) -> AsyncIterator[AsyncConnection]:
    """A connection that writes, of the one process that does the work. AnotherWorkerError, SQLAlchemyError, OSError."""
    engine = engine_for(url, pooled=False)
    try:
        with _file_locked(url, work):
            async with connected_to_write(engine) as connection:
                await _lock(connection, work)
                yield connection
    finally:
        await engine.dispose()


async def _lock(connection: AsyncConnection, work: Work) -> None:
    if connection.dialect.name != "postgresql":
        return
    name, lock = work.value
    async with connection.begin():
        found = await connection.execute(text("SELECT pg_try_advisory_lock(:lock)"), {"lock": lock})
        if not found.scalar():
            raise AnotherWorkerError(f"another process does {name} for this database")


@contextmanager
def _file_locked(url: URL, work: Work) -> Iterator[None]:
    """Dropped by the kernel when its process dies."""
    if url.get_backend_name() != "sqlite" or not url.database:
        yield
        return
    name, _ = work.value
    lock = os.open(f"{url.database}.{name}.lock", os.O_RDWR | os.O_CREAT, 0o644)
    try:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise AnotherWorkerError(f"another process does {name} for this file") from None
        yield
    finally:
        os.close(lock)
