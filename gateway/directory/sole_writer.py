"""One process at a time writes the directory: a lock, on the file or in PostgreSQL, that ends with its holder."""

from __future__ import annotations

import fcntl
import os
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager

from sqlalchemy import URL, text
from sqlalchemy.ext.asyncio import AsyncConnection

from gateway.database import connected_to_write, engine_for

_WRITER_LOCK = 0x5E4D_6A2D_0002
"""PostgreSQL's advisory lock."""


class AnotherWriterError(Exception):
    """Another process keeps this directory; it does the work."""


@asynccontextmanager
async def sole_writer(url: URL) -> AsyncIterator[AsyncConnection]:
    """The one connection that writes, alone of all processes. AnotherWriterError, SQLAlchemyError, OSError."""
    engine = engine_for(url, pooled=False)
    try:
        with _file_locked(url):
            async with connected_to_write(engine) as connection:
                await _lock(connection)
                yield connection
    finally:
        await engine.dispose()


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
