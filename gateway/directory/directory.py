"""Which contact has which addresses: the directory as its readers see it, and the way to its one writer.

`Directory` connects when first asked, so that a process can start while the database is away. It answers what was
committed; the role `directory` is up to date within a second. It is never asked when a request is decided.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any, TypeVar

from sqlalchemy import URL, Engine

from gateway.database import Database, Work, blocking_engine_for, database_url
from gateway.directory.lookups import Blocking, Lookups, without_waiting
from gateway.directory.tables import set_up
from gateway.directory.writer import DirectoryWriter
from gateway.dnd.model import Subject
from gateway.settings import Settings

Answer = TypeVar("Answer")


class Directory:
    """From any number of tasks. Everything raises SQLAlchemyError, OSError or TimeoutError when it cannot answer."""

    def __init__(self, url: URL) -> None:
        self._database = Database(url, set_up)
        self._blocking: Engine | None = None

    @classmethod
    def of(cls, settings: Settings) -> Directory:
        """SettingsError: not a database we know."""
        return cls(database_url(settings.database_url, settings.data_dir))

    async def addresses(self, location_id: str, contact_id: str) -> tuple[Subject, ...]:
        """The contact's addresses now; empty for a contact that is not known, or deleted."""
        async with self.lookups() as lookups:
            return await lookups.current(location_id, contact_id)

    async def contacts_of(self, subject: Subject) -> list[str]:
        """Ids of the location's contacts that have this address now. `subject` is canonical."""
        async with self.lookups() as lookups:
            return await lookups.who_has(subject)

    @asynccontextmanager
    async def lookups(self) -> AsyncIterator[Lookups]:
        """For several questions on one connection."""
        async with self._database.connected() as connection:
            yield Lookups(connection)

    async def ask(self, question: Callable[[Lookups], Coroutine[Any, Any, Answer]]) -> Answer:
        """The answer to one question, on a state of one moment. The quickest way: on SQLite one change of threads."""
        engine = await self._database.open()
        if engine.dialect.name == "sqlite":
            if self._blocking is None:
                self._blocking = blocking_engine_for(engine.url)
            return await asyncio.to_thread(_asked, self._blocking, question)
        async with self.lookups() as lookups:
            return await question(lookups)

    @asynccontextmanager
    async def writer(self) -> AsyncIterator[DirectoryWriter]:
        """The one that may write. AnotherWorkerError: another process does."""
        async with self._database.sole_worker(Work.DIRECTORY) as connection:
            yield DirectoryWriter(connection)

    async def open(self) -> None:
        """Connect and create what is missing; once. UnknownSchemaError."""
        await self._database.open()

    async def close(self) -> None:
        """Let go of the connections. Twice is once."""
        blocking, self._blocking = self._blocking, None
        await self._database.close()
        if blocking is not None:
            await asyncio.to_thread(blocking.dispose)


def _asked(engine: Engine, question: Callable[[Lookups], Coroutine[Any, Any, Answer]]) -> Answer:
    with engine.connect() as connection:
        return without_waiting(question(Lookups(Blocking(connection))))
