"""The store: messages by location, provider and the provider's id, and up to where the receipts have been taken in.

Theory of operation. Rows and the position in `outbound.receipts` are committed together, so that after a crash the
receipts are read on from exactly behind the last row. A receipt read twice changes nothing: the first row of an id
stays. What is older than the retention is deleted by its end, some thousand rows at a time, so that nobody waits long
for the right to write.

It is read and written by different roles, maybe in different processes; whoever comes first makes the tables.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import msgspec
from sqlalchemy import URL, BigInteger, Column, Index, Insert, Integer, MetaData, Table, Text, and_, delete, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from gateway.database import connected, create_tables, database_url, engine_for
from gateway.sent.message import SentMessage
from gateway.settings import Settings
from gateway.sole_worker import Work, sole_worker

metadata = MetaData()

messages = Table(
    "sent_messages",
    metadata,
    Column("location_id", Text, primary_key=True),
    Column("provider", Text, primary_key=True),
    Column("provider_message_id", Text, primary_key=True),
    Column("decision_id", Text, nullable=False),
    Column("request_id", Text),
    Column("contact_id", Text),
    Column("channel", Text),
    Column("recipients", Text, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("finished_at", BigInteger, nullable=False),
)
"""`recipients`: a JSON array. With the location in the key, what is told for one finds no message of another."""

Index("sent_messages_by_end", messages.c.finished_at)

progress = Table(
    "sent_progress",
    metadata,
    Column("topic", Text, primary_key=True),
    Column("partition", Integer, primary_key=True),
    Column("topic_id", Text, nullable=False),
    Column("next_offset", BigInteger, nullable=False),
)
"""`topic_id`: Kafka's, another one after the topic was created again."""

_decode_recipients = msgspec.json.Decoder(tuple[str, ...]).decode


@dataclass(frozen=True, slots=True)
class Positions:
    """The next offset to take in, by partition. `topic_id`: None = nothing was taken in."""

    topic: str
    topic_id: str | None
    offsets: Mapping[int, int] = field(default_factory=dict)


class SentMessages:
    """Connects when first asked. Everything raises SQLAlchemyError, OSError or TimeoutError when it cannot answer."""

    def __init__(self, url: URL) -> None:
        self._url = url
        self._engine: AsyncEngine | None = None
        self._opening = asyncio.Lock()

    @classmethod
    def of(cls, settings: Settings) -> SentMessages:
        """SettingsError: not a database we know."""
        return cls(database_url(settings.database_url, settings.data_dir))

    async def find(self, location_id: str, provider: str, provider_message_id: str) -> SentMessage | None:
        """None: the location has sent no such message, or it is not known yet, or not any more."""
        row = messages.c
        wanted = select(messages).where(
            row.location_id == location_id,
            row.provider == provider,
            row.provider_message_id == provider_message_id,
        )
        async with connected(await self._open()) as connection:
            found = (await connection.execute(wanted)).mappings().first()
        return None if found is None else _message(found)

    @asynccontextmanager
    async def writer(self) -> AsyncIterator[SentWriter]:
        """The one that may write. AnotherWorkerError: another process does."""
        await self._open()
        async with sole_worker(self._url, Work.RECEIPTS) as connection:
            yield SentWriter(connection)

    async def _open(self) -> AsyncEngine:
        async with self._opening:
            if self._engine is None:
                engine = engine_for(self._url)
                try:
                    await create_tables(engine, metadata)
                except BaseException:
                    await engine.dispose()
                    raise
                self._engine = engine
            return self._engine

    async def close(self) -> None:
        """Let go of the connections. Twice is once."""
        engine, self._engine = self._engine, None
        if engine is not None:
            await engine.dispose()


class SentWriter:
    """Made by `SentMessages.writer`; one task uses it. SQLAlchemyError, OSError."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def positions(self, topic: str) -> Positions:
        """Up to where the topic has been taken in."""
        async with self._connection.begin():
            found = (await self._connection.execute(select(progress).where(progress.c.topic == topic))).all()
        return Positions(topic, found[0].topic_id if found else None, {row.partition: row.next_offset for row in found})

    async def keep(self, sent: Sequence[SentMessage], positions: Positions) -> None:
        """Both or neither. An id that is there stays as it is."""
        former = and_(progress.c.topic == positions.topic, progress.c.topic_id != positions.topic_id)
        async with self._connection.begin():
            if sent:
                await self._connection.execute(self._insert(messages), [_row(each) for each in sent])
            await self._connection.execute(delete(progress).where(former))
            await self._connection.execute(self._insert(progress, "next_offset"), _progress_rows(positions))

    async def forget(self, before: int, limit: int) -> int:
        """Delete messages that were finished before that time (ms): the `limit` oldest, and those of the same moment
        as the last of these. How many there were."""
        ended = messages.c.finished_at
        last = select(ended).where(ended < before).order_by(ended).offset(limit - 1).limit(1)
        async with self._connection.begin():
            through = (await self._connection.execute(last)).scalar()
            old = ended < before if through is None else ended <= through
            return (await self._connection.execute(delete(messages).where(old))).rowcount

    def _insert(self, table: Table, *replaced: str) -> Insert:
        """Where the key is there: replaces these columns, or nothing. Both databases know it under one name."""
        postgres = self._connection.dialect.name == "postgresql"
        statement: Any = postgresql.insert(table) if postgres else sqlite.insert(table)
        key = [column.name for column in table.primary_key]
        if replaced:
            values = {name: statement.excluded[name] for name in replaced}
            done: Insert = statement.on_conflict_do_update(index_elements=key, set_=values)
        else:
            done = statement.on_conflict_do_nothing(index_elements=key)
        return done


def _row(sent: SentMessage) -> dict[str, object]:
    return {
        "location_id": sent.location_id,
        "provider": sent.provider,
        "provider_message_id": sent.provider_message_id,
        "decision_id": sent.decision_id,
        "request_id": sent.request_id,
        "contact_id": sent.contact_id,
        "channel": sent.channel,
        "recipients": msgspec.json.encode(sent.recipients).decode(),
        "created_at": sent.created_at,
        "finished_at": sent.finished_at,
    }


def _message(row: Mapping[Any, Any]) -> SentMessage:
    return SentMessage(**{**row, "recipients": _decode_recipients(row["recipients"])})


def _progress_rows(positions: Positions) -> list[dict[str, object]]:
    return [
        {
            "topic": positions.topic,
            "partition": partition,
            "topic_id": positions.topic_id,
            "next_offset": next_offset,
        }
        for partition, next_offset in positions.offsets.items()
    ]
