"""Clean-ups in the database: each step is written when it is done, so that another call goes on behind it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import msgspec
from sqlalchemy import BigInteger, Column, Connection, Index, MetaData, Table, Text, insert, select, text, update
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from gateway.cleanup.model import Cleanup, CleanupStatus
from gateway.directory.database import WRITING, connected

SETUP_LOCK = 0x5E4D_6A2D_0005
"""PostgreSQL's advisory lock for creating the table: two processes may start on an empty database at once."""

metadata = MetaData()

cleanups = Table(
    "email_cleanups",
    metadata,
    Column("id", Text, primary_key=True),
    Column("location_id", Text, nullable=False),
    Column("contact_id", Text, nullable=False),
    Column("address", Text, nullable=False),
    Column("status", Text, nullable=False),
    Column("started_at", BigInteger, nullable=False),
    Column("state", Text, nullable=False),
)
"""`state`: the whole clean-up as JSON; the other columns are for looking it up."""

Index("email_cleanups_of_contact", cleanups.c.location_id, cleanups.c.contact_id, cleanups.c.started_at)

_decode = msgspec.json.Decoder(Cleanup).decode


async def create(engine: AsyncEngine) -> None:
    """Create the table if it is not there. SQLAlchemyError, OSError."""
    async with _writing(engine) as connection:
        await connection.run_sync(_create)


@asynccontextmanager
async def _writing(engine: AsyncEngine) -> AsyncIterator[AsyncConnection]:
    """A transaction that has the right to write from its beginning."""
    async with connected(engine) as connection:
        await connection.execution_options(**{WRITING: True})
        async with connection.begin():
            yield connection


def _create(connection: Connection) -> None:
    if connection.dialect.name == "postgresql":
        connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": SETUP_LOCK})
    metadata.create_all(connection)


class CleanupStore:
    """Everything raises SQLAlchemyError or OSError. The table is there."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def running(self, location_id: str, contact_id: str, address: str) -> Cleanup | None:
        """The newest that is not at its end."""
        mine = (
            cleanups.c.location_id == location_id,
            cleanups.c.contact_id == contact_id,
            cleanups.c.address == address,
            cleanups.c.status == CleanupStatus.RUNNING.value,
        )
        wanted = select(cleanups.c.state).where(*mine).order_by(cleanups.c.started_at.desc()).limit(1)
        async with connected(self._engine) as connection:
            found = (await connection.execute(wanted)).scalar()
        return None if found is None else _decode(found)

    async def add(self, cleanup: Cleanup) -> None:
        row = {name: getattr(cleanup, name) for name in ("id", "location_id", "contact_id", "address", "started_at")}
        async with _writing(self._engine) as connection:
            await connection.execute(insert(cleanups).values(**row, **_state(cleanup)))

    async def keep(self, cleanup: Cleanup) -> None:
        """As it is now. Of two calls at once the later one wins: each has done what it says."""
        async with _writing(self._engine) as connection:
            await connection.execute(update(cleanups).where(cleanups.c.id == cleanup.id).values(**_state(cleanup)))


def _state(cleanup: Cleanup) -> dict[str, str]:
    return {"status": cleanup.status.value, "state": msgspec.json.encode(cleanup).decode()}
