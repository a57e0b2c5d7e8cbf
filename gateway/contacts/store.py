"""The appeals' table, in SQLite or PostgreSQL, and what is done with its rows.

Every change of a row is one conditional statement (`... WHERE status = ...`), so of two that decide at the same time
one is told that it came too late, in whatever processes they are.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
from sqlalchemy import (
    BigInteger,
    Column,
    Index,
    MetaData,
    Row,
    Table,
    Text,
    func,
    insert,
    select,
    update,
)
from sqlalchemy.ext.asyncio import AsyncEngine

from gateway.contacts.appeal import Appeal, AppealStatus, Evidence
from gateway.database import connected, writing
from gateway.dnd.model import Actor, ActorKind, Cause, Channel, LiftTerm, Scope, Subject

LIST_LIMIT = 500
"""Appeals listed at a time, the newest first."""

metadata = MetaData()

appeals = Table(
    "appeals",
    metadata,
    Column("id", Text, primary_key=True),
    Column("location_id", Text, nullable=False),
    Column("contact_id", Text, nullable=False),
    Column("channel", Text, nullable=False),
    Column("status", Text, nullable=False),
    Column("evidence", Text, nullable=False),
    Column("filed_by_kind", Text, nullable=False),
    Column("filed_by", Text, nullable=False),
    Column("filed_at", BigInteger, nullable=False),
    Column("terms", Text, nullable=False),
    Column("decided_by_kind", Text),
    Column("decided_by", Text),
    Column("decided_at", BigInteger),
    Column("note", Text, nullable=False),
)
Index("appeals_of_location", appeals.c.location_id, appeals.c.filed_at)
Index("appeals_by_status", appeals.c.status)

_Terms = list[tuple[Subject, list[tuple[Scope, Cause, int]]]]
_encode = msgspec.json.Encoder().encode
_decode_terms = msgspec.json.Decoder(_Terms).decode
_decode_evidence = msgspec.json.Decoder(Evidence).decode


class AppealStore:
    """Everything raises SQLAlchemyError or OSError. The table is there."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def add(self, appeal: Appeal) -> None:
        terms: _Terms = [
            (subject, [(term.scope, term.cause, term.through) for term in found])
            for subject, found in appeal.terms.items()
        ]
        row = {
            "id": appeal.id,
            "location_id": appeal.location_id,
            "contact_id": appeal.contact_id,
            "channel": appeal.channel,
            "status": appeal.status,
            "evidence": _encode(appeal.evidence).decode(),
            "filed_by_kind": appeal.filed_by.kind,
            "filed_by": appeal.filed_by.id,
            "filed_at": appeal.filed_at,
            "terms": _encode(terms).decode(),
            "note": appeal.note,
        }
        async with writing(self._engine) as connection:
            await connection.execute(insert(appeals).values(row))

    async def get(self, location_id: str, appeal_id: str) -> Appeal | None:
        """None when the location has no such appeal."""
        if not (location_id.isprintable() and appeal_id.isprintable()):
            return None  # not every database takes it for text
        wanted = select(appeals).where(appeals.c.id == appeal_id, appeals.c.location_id == location_id)
        found = await self._read(wanted)
        return found[0] if found else None

    async def of_location(self, location_id: str, status: AppealStatus | None = None) -> list[Appeal]:
        """The newest first, at most LIST_LIMIT."""
        if not location_id.isprintable():
            return []
        wanted = select(appeals).where(appeals.c.location_id == location_id)
        if status is not None:
            wanted = wanted.where(appeals.c.status == status.value)
        return await self._read(wanted.order_by(appeals.c.filed_at.desc(), appeals.c.id).limit(LIST_LIMIT))

    async def approving(self) -> list[Appeal]:
        """Those of which the holds are being lifted, or of which somebody died doing it."""
        return await self._read(select(appeals).where(appeals.c.status == AppealStatus.APPROVING.value))

    async def count_open(self, location_id: str, contact_id: str) -> int:
        mine = appeals.c.location_id == location_id, appeals.c.contact_id == contact_id
        wanted = select(func.count()).select_from(appeals).where(*mine, appeals.c.status == AppealStatus.OPEN.value)
        async with connected(self._engine) as connection:
            return int((await connection.execute(wanted)).scalar_one())

    async def decide(self, appeal: Appeal, status: AppealStatus, by: Actor, at: int, note: str) -> bool:
        """From OPEN to `status`; False when it is not open any more."""
        decided = {"decided_by_kind": by.kind, "decided_by": by.id, "decided_at": at, "note": note}
        return await self._move(appeal, AppealStatus.OPEN, status, decided)

    async def approved(self, appeal: Appeal) -> None:
        """From APPROVING to APPROVED; nothing when somebody else has said so."""
        await self._move(appeal, AppealStatus.APPROVING, AppealStatus.APPROVED, {})

    async def _move(self, appeal: Appeal, before: AppealStatus, after: AppealStatus, values: dict[str, Any]) -> bool:
        moved = update(appeals).where(appeals.c.id == appeal.id, appeals.c.status == before.value)
        async with writing(self._engine) as connection:
            result = await connection.execute(moved.values(status=after.value, **values))
        return result.rowcount == 1

    async def _read(self, wanted: Any) -> list[Appeal]:
        async with connected(self._engine) as connection:
            rows: Sequence[Row[Any]] = (await connection.execute(wanted)).all()
        return [_appeal(row) for row in rows]


def _appeal(row: Row[Any]) -> Appeal:
    terms = {
        subject: tuple(LiftTerm(scope, cause, through) for scope, cause, through in found)
        for subject, found in _decode_terms(row.terms)
    }
    decided_by = None if row.decided_by is None else Actor(ActorKind(row.decided_by_kind), row.decided_by)
    return Appeal(
        id=row.id,
        location_id=row.location_id,
        contact_id=row.contact_id,
        channel=Channel(row.channel),
        evidence=_decode_evidence(row.evidence),
        filed_by=Actor(ActorKind(row.filed_by_kind), row.filed_by),
        filed_at=row.filed_at,
        terms=terms,
        status=AppealStatus(row.status),
        decided_by=decided_by,
        decided_at=row.decided_at,
        note=row.note,
    )
