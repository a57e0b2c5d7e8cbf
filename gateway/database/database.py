"""A database that is connected to when it is first asked, so that a process can start while it is away."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial

from sqlalchemy import URL, Connection, MetaData
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from gateway.database.connections import connected, create_missing, writing
from gateway.database.engines import database_url, engine_for
from gateway.database.sole_worker import Work, sole_worker
from gateway.settings import Settings

SetUp = Callable[[Connection], None]
"""Creates the tables that are missing, in the caller's transaction."""


def with_tables(metadata: MetaData) -> SetUp:
    """Those of the metadata."""
    return partial(create_missing, metadata=metadata)


class Database:
    """From any number of tasks. Everything raises SQLAlchemyError, OSError or TimeoutError when it cannot answer, and
    what `set_up` raises."""

    def __init__(self, url: URL, set_up: SetUp) -> None:
        self.url = url
        self._set_up = set_up
        self._engine: AsyncEngine | None = None
        self._opening = asyncio.Lock()

    @classmethod
    def of(cls, settings: Settings, set_up: SetUp) -> Database:
        """SettingsError: not a database we know."""
        return cls(database_url(settings.database_url, settings.data_dir), set_up)

    async def open(self) -> AsyncEngine:
        """Connect and set up; once."""
        async with self._opening:
            if self._engine is None:
                engine = engine_for(self.url)
                try:
                    async with writing(engine) as connection:
                        await connection.run_sync(self._set_up)
                except BaseException:
                    await engine.dispose()
                    raise
                self._engine = engine
            return self._engine

    @asynccontextmanager
    async def connected(self) -> AsyncIterator[AsyncConnection]:
        """A connection to read from."""
        async with connected(await self.open()) as connection:
            yield connection

    @asynccontextmanager
    async def writing(self) -> AsyncIterator[AsyncConnection]:
        """One transaction that writes."""
        async with writing(await self.open()) as connection:
            yield connection

    @asynccontextmanager
    async def sole_worker(self, work: Work) -> AsyncIterator[AsyncConnection]:
        """A connection that writes, of the one process that does the work. AnotherWorkerError."""
        await self.open()
        async with sole_worker(self.url, work) as connection:
            yield connection

    async def close(self) -> None:
        """Let go of the connections. Twice is once."""
        engine, self._engine = self._engine, None
        if engine is not None:
            await engine.dispose()
