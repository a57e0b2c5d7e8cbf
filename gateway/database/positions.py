"""Up to where topics have been taken in, kept in one transaction with what was: a crash leaves them in step."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from sqlalchemy import BigInteger, Column, Integer, MetaData, Table, Text, and_, delete, select
from sqlalchemy.ext.asyncio import AsyncConnection

from gateway.database.connections import upsert


@dataclass(frozen=True, slots=True)
class Positions:
    """The next offset to take in, by partition of a topic. `topic_id`: Kafka's, of the one topic the offsets are of:
    another one after the topic was created again. None = nothing was taken in."""

    topic: str
    topic_id: str | None
    offsets: Mapping[int, int] = field(default_factory=dict)


def positions_table(name: str, metadata: MetaData) -> Table:
    return Table(
        name,
        metadata,
        Column("topic", Text, primary_key=True),
        Column("partition", Integer, primary_key=True),
        Column("topic_id", Text, nullable=False),
        Column("next_offset", BigInteger, nullable=False),
    )


async def positions_of(connection: AsyncConnection, table: Table, topic: str) -> Positions:
    """In the caller's transaction, as the next."""
    found = (await connection.execute(select(table).where(table.c.topic == topic))).all()
    return Positions(topic, found[0].topic_id if found else None, {row.partition: row.next_offset for row in found})


async def keep_positions(connection: AsyncConnection, table: Table, positions: Positions) -> None:
    """Those of a topic that was created again replace the former one's."""
    former = and_(table.c.topic == positions.topic, table.c.topic_id != positions.topic_id)
    await connection.execute(delete(table).where(former))
    rows = [
        {
            "topic": positions.topic,
            "partition": partition,
            "topic_id": positions.topic_id,
            "next_offset": next_offset,
        }
        for partition, next_offset in positions.offsets.items()
    ]
    if rows:
        await connection.execute(upsert(connection, table), rows)
