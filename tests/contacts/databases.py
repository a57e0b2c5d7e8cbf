"""A database with the table of appeals."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from sqlalchemy import URL
from sqlalchemy.ext.asyncio import AsyncEngine

from gateway.contacts.store import metadata
from gateway.database import create_tables, engine_for


@asynccontextmanager
async def engine_on(database: URL) -> AsyncIterator[AsyncEngine]:
    engine = engine_for(database)
    try:
        await create_tables(engine, metadata)
        yield engine
    finally:
        await engine.dispose()
