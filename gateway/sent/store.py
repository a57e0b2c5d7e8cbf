"""The store: messages by location, provider and the provider's id, and up to where the receipts have been taken in.

Theory of operation. Rows and the position in `outbound.receipts` are committed together, so that after a crash the
receipts are read on from exactly behind the last row. A receipt read twice changes nothing: the first row of an id
stays. What is older than the retention is deleted by its end, some thousand rows at a time, so that nobody waits long
for the right to write.

It is read and written by different roles, maybe in different processes; whoever comes first makes the tables.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any

import msgspec
from sqlalchemy import URL, BigInteger, Column, Index, MetaData, Table, Text, delete, select
from sqlalchemy.ext.asyncio import AsyncConnection

from gateway.database import (
    Database,
    Positions,
    Work,
    database_url,
    keep_positions,
    positions_of,
    positions_table,
    upsert,
    with_tables,
)
from gateway.sent.message import SentMessage
from gateway.settings import Settings

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

progress = positions_table("sent_progress", metadata)

_decode_recipients = msgspec.json.Decoder(tuple[str, ...]).decode


class SentMessages:
    """Connects when first asked. Everything raises SQLAlchemyError, OSError or TimeoutError when it cannot answer."""

    def __init__(self, url: URL) -> None:
        self._database = Database(url, with_tables(metadata))

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
        async with self._database.connected() as connection:
            found = (await connection.execute(wanted)).mappings().first()
        return None if found is None else _message(found)

    @asynccontextmanager
    async def writer(self) -> AsyncIterator[SentWriter]:
        """The one that may write. AnotherWorkerError: another process does."""
        async with self._database.sole_worker(Work.RECEIPTS) as connection:
            yield SentWriter(connection)

    async def close(self) -> None:
        """Let go of the connections. Twice is once."""
        await self._database.close()


class SentWriter:
    """Made by `SentMessages.writer`; one task uses it. SQLAlchemyError, OSError."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def positions(self, topic: str) -> Positions:
        """Up to where the topic has been taken in."""
        async with self._connection.begin():
            return await positions_of(self._connection, progress, topic)

    async def keep(self, sent: Sequence[SentMessage], positions: Positions) -> None:
        """Both or neither. An id that is there stays as it is."""
        connection = self._connection
        async with connection.begin():
            if sent:
                await connection.execute(upsert(connection, messages, replaced=()), [_row(each) for each in sent])
            await keep_positions(connection, progress, positions)

    async def forget(self, before: int, limit: int) -> int:
        """Delete messages that were finished before that time (ms): the `limit` oldest, and those of the same moment
        as the last of these. How many there were."""
        ended = messages.c.finished_at
        last = select(ended).where(ended < before).order_by(ended).offset(limit - 1).limit(1)
        async with self._connection.begin():
            through = (await self._connection.execute(last)).scalar()
            old = ended < before if through is None else ended <= through
            return (await self._connection.execute(delete(messages).where(old))).rowcount


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
