"""The databases appeals can be kept in."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from sqlalchemy.ext.asyncio import AsyncEngine

from gateway.contacts.store import metadata
from gateway.database import create_tables, database_url, engine_for
from gateway.settings import Secret


@asynccontextmanager
async def engine_on(directory: Path, postgres_url: str | None = None) -> AsyncIterator[AsyncEngine]:
    """A file of SQLite in the directory, or the PostgreSQL; with the table."""
    engine = engine_for(database_url(None if postgres_url is None else Secret(postgres_url), directory))
    try:
        await create_tables(engine, metadata)
        yield engine
    finally:
        await engine.dispose()
