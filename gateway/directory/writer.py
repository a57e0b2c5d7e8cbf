"""Writing the directory, by one process at a time.

One commit holds what was learnt, the events that follow from it (`directory_work`) and up to where the topics have been
taken in. So after a crash either nothing has happened, or the events are there to be published, again if need be, with
the very times and ids they had.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from sqlalchemy import Table, and_, delete, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from gateway.contract.events import encode_event, event_key
from gateway.database import Positions, keep_positions, positions_of, upsert
from gateway.directory import tables
from gateway.directory.consequences import Learnt
from gateway.directory.merging import Carried
from gateway.directory.succession import Contact
from gateway.dnd.model import Event

ROWS_AT_ONCE = 2_000
"""Written by one statement."""


class Left(NamedTuple):
    """An event to publish: a row of `directory_work`."""

    id: int
    key: bytes
    value: bytes


class DirectoryWriter:
    """Made by `Directory.writer`; one task uses it. SQLAlchemyError, OSError."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def positions(self, topic: str) -> Positions:
        """Up to where the topic has been taken in."""
        async with self._connection.begin():
            return await positions_of(self._connection, tables.progress, topic)

    async def apply(self, learnt: Learnt, positions: Positions, recorded_at: int) -> None:
        """All of it or none. `recorded_at` (ms): the time events say they were written at."""
        async with self._connection.begin():
            await self._put(tables.contacts, [_contact_row(contact) for contact in learnt.contacts])
            addresses = [row for contact in learnt.contacts for row in _address_rows(contact)]
            await self._put(tables.addresses, addresses)
            await self._put(tables.carried, [_carried_row(carried) for carried in learnt.done])
            if events := [_work_row(event, recorded_at) for event in learnt.events]:
                await self._connection.execute(insert(tables.work), events)
            await keep_positions(self._connection, tables.progress, positions)

    async def left(self, limit: int) -> list[Left]:
        """The oldest events that are not known to be acknowledged, oldest first."""
        rows = tables.work
        wanted = select(rows.c.id, rows.c.key, rows.c.value).where(rows.c.refused.is_(None)).order_by(rows.c.id)
        async with self._connection.begin():
            return [Left(*row) for row in await self._connection.execute(wanted.limit(limit))]

    async def acknowledged(self, published: Sequence[Left]) -> None:
        """Kafka has these: the oldest ones, as `left` gave them."""
        rows = tables.work
        done = and_(rows.c.id >= published[0].id, rows.c.id <= published[-1].id, rows.c.refused.is_(None))
        async with self._connection.begin():
            await self._connection.execute(delete(rows).where(done))

    async def refused(self, event: Left, why: str) -> None:
        """Kafka will never take it: kept for an operator, out of the way of the others."""
        rows = tables.work
        async with self._connection.begin():
            await self._connection.execute(update(rows).where(rows.c.id == event.id).values(refused=why))

    async def _put(self, table: Table, rows: Sequence[Mapping[str, object]]) -> None:
        """Insert, or replace what has the same key."""
        if not rows:
            return
        statement = upsert(self._connection, table)
        for start in range(0, len(rows), ROWS_AT_ONCE):
            await self._connection.execute(statement, list(rows[start : start + ROWS_AT_ONCE]))


def _contact_row(contact: Contact) -> dict[str, object]:
    return {
        "location_id": contact.location_id,
        "contact_id": contact.id,
        "merged_into": contact.merged_into,
        "merge_said_at": contact.merge_said_at,
        "deleted": contact.deleted,
        "updated_at": contact.updated_at,
    }


def _address_rows(contact: Contact) -> list[dict[str, object]]:
    return [
        {
            "location_id": contact.location_id,
            "kind": address.kind.value,
            "address": address.id,
            "contact_id": contact.id,
            "current": address in contact.current,
        }
        for address in sorted(contact.addresses)
    ]


def _carried_row(carried: Carried) -> dict[str, object]:
    return {
        "location_id": carried.contact.location_id,
        "contact_id": carried.contact.id,
        "origin": carried.origin,
    }


def _work_row(event: Event, recorded_at: int) -> dict[str, object]:
    return {"key": event_key(event.subject), "value": encode_event(event, recorded_at), "refused": None}
