"""Writing the directory, by one process at a time.

One commit holds what was learnt, the events that follow from it (`directory_work`) and up to where the topics have been
taken in. So after a crash either nothing has happened, or the events are there to be published, again if need be, with
the very times and ids they had.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from sqlalchemy import Insert, Table, and_, delete, insert, select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncConnection

from gateway.contract.events import encode_event, event_key
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


@dataclass(frozen=True, slots=True)
class Progress:
    """The next offset to take in, by partition of a topic. `topic_id`: Kafka's, of the one topic the offsets are of;
    None = nothing was taken in."""

    topic: str
    topic_id: str | None
    offsets: Mapping[int, int] = field(default_factory=dict)


class DirectoryWriter:
    """Made by `Directory.writer`; one task uses it. SQLAlchemyError, OSError."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def progress(self, topic: str) -> Progress:
        """Up to where the topic has been taken in."""
        rows = tables.progress
        async with self._connection.begin():
            found = (await self._connection.execute(select(rows).where(rows.c.topic == topic))).all()
        return Progress(topic, found[0].topic_id if found else None, {row.partition: row.next_offset for row in found})

    async def apply(self, learnt: Learnt, progress: Progress, recorded_at: int) -> None:
        """All of it or none. `recorded_at` (ms): the time events say they were written at."""
        async with self._connection.begin():
            await self._put(tables.contacts, [_contact_row(contact) for contact in learnt.contacts])
            addresses = [row for contact in learnt.contacts for row in _address_rows(contact)]
            await self._put(tables.addresses, addresses)
            await self._put(tables.carried, [_carried_row(carried) for carried in learnt.done])
            if events := [_work_row(event, recorded_at) for event in learnt.events]:
                await self._connection.execute(insert(tables.work), events)
            rows = tables.progress
            former = and_(rows.c.topic == progress.topic, rows.c.topic_id != progress.topic_id)
            await self._connection.execute(delete(rows).where(former))
            await self._put(rows, _progress_rows(progress))

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
        statement = _upsert(table, self._connection.dialect.name)
        for start in range(0, len(rows), ROWS_AT_ONCE):
            await self._connection.execute(statement, list(rows[start : start + ROWS_AT_ONCE]))


def _upsert(table: Table, dialect: str) -> Insert:
    """Both databases know it, under one name in two places."""
    statement: Any = postgresql.insert(table) if dialect == "postgresql" else sqlite.insert(table)
    key = [column.name for column in table.primary_key]
    rest = {column.name: statement.excluded[column.name] for column in table.columns if column.name not in key}
    if not rest:
        done: Insert = statement.on_conflict_do_nothing(index_elements=key)
    else:
        done = statement.on_conflict_do_update(index_elements=key, set_=rest)
    return done


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


def _progress_rows(progress: Progress) -> list[dict[str, object]]:
    return [
        {"topic": progress.topic, "partition": partition, "topic_id": progress.topic_id, "next_offset": next_offset}
        for partition, next_offset in progress.offsets.items()
    ]
