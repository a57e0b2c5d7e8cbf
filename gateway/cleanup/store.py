"""Clean-ups in the database: each step is written when it is done, so that another call goes on behind it."""

from __future__ import annotations

import msgspec
from sqlalchemy import BigInteger, Column, Index, MetaData, Table, Text, insert, select, update
from sqlalchemy.ext.asyncio import AsyncEngine

from gateway.cleanup.model import Cleanup, CleanupStatus
from gateway.database import connected, writing

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
        async with writing(self._engine) as connection:
            await connection.execute(insert(cleanups).values(**row, **_state(cleanup)))

    async def keep(self, cleanup: Cleanup) -> None:
        """As it is now. Of two calls at once the later one wins: each has done what it says."""
        async with writing(self._engine) as connection:
            await connection.execute(update(cleanups).where(cleanups.c.id == cleanup.id).values(**_state(cleanup)))


def _state(cleanup: Cleanup) -> dict[str, str]:
    return {"status": cleanup.status.value, "state": msgspec.json.encode(cleanup).decode()}
