"""Connections to read and to write with, the tables, and rows that may be there already."""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager
from typing import Any

from asyncpg import PostgresError
from sqlalchemy import Connection, Insert, MetaData, Table, text
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from gateway.database.engines import WRITING

_SETUP_LOCK = 0x5E4D_6A2D_0001
"""PostgreSQL's advisory lock for creating tables: two processes may start on an empty database at once."""


@asynccontextmanager
async def connected(engine: AsyncEngine) -> AsyncIterator[AsyncConnection]:
    """A connection to read from. What PostgreSQL answers before there is one comes out as OSError."""
    connection = engine.connect()
    try:
        await connection.start()
    except PostgresError as error:
        raise ConnectionError(f"PostgreSQL refuses the connection: {error}") from error
    try:
        yield connection
    finally:
        await connection.close()


@asynccontextmanager
async def connected_to_write(engine: AsyncEngine) -> AsyncIterator[AsyncConnection]:
    """Each of its transactions has the right to write from its beginning."""
    async with connected(engine) as connection:
        yield await connection.execution_options(**{WRITING: True})


@asynccontextmanager
async def writing(engine: AsyncEngine) -> AsyncIterator[AsyncConnection]:
    """One transaction that writes."""
    async with connected_to_write(engine) as connection, connection.begin():
        yield connection


async def create_tables(engine: AsyncEngine, metadata: MetaData) -> None:
    """Those that are missing. SQLAlchemyError, OSError."""
    async with writing(engine) as connection:
        await connection.run_sync(create_missing, metadata)


def create_missing(connection: Connection, metadata: MetaData) -> None:
    """The same in the caller's transaction, which `writing` began."""
    if connection.dialect.name == "postgresql":
        connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _SETUP_LOCK})
    metadata.create_all(connection)


def upsert(connection: AsyncConnection, table: Table, replaced: Collection[str] | None = None) -> Insert:
    """Insert rows. Where the key is there: replace these columns, by default all others; none: leave the row."""
    statement = inserting(connection, table)
    key = [column.name for column in table.primary_key]
    names = [column.name for column in table.columns if column.name not in key] if replaced is None else replaced
    if names:
        values = {name: statement.excluded[name] for name in names}
        done: Insert = statement.on_conflict_do_update(index_elements=key, set_=values)
    else:
        done = statement.on_conflict_do_nothing(index_elements=key)
    return done


def inserting(connection: AsyncConnection, table: Table) -> Any:
    """An insert that says what becomes of a row that is there. Both databases know it, under one name in two places."""
    return postgresql.insert(table) if connection.dialect.name == "postgresql" else sqlite.insert(table)
