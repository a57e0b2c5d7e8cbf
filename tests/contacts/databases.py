"""The databases appeals can be kept in."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from sqlalchemy import URL, make_url
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from gateway.contacts.store import create


@asynccontextmanager
async def engine_on(directory: Path, postgres_url: str | None = None) -> AsyncIterator[AsyncEngine]:
    """A file of SQLite in the directory, or the PostgreSQL; with the table."""
    url = URL.create("sqlite+aiosqlite", database=str(directory / "appeals.sqlite"))
    if postgres_url is not None:
        url = make_url(postgres_url).set(drivername="postgresql+asyncpg")
    engine = create_async_engine(url)
    try:
        await create(engine)
        yield engine
    finally:
        await engine.dispose()
