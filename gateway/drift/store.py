"""The store of drift, in the database the directory is in.

The state of a list is one JSON text, written together with the entries of the page that was read last: a process that
dies goes on behind the last page done. Entries are kept until the list's next round is through, in the database and not
in memory, for a list may have millions.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from contextlib import AbstractAsyncContextManager

import msgspec
from sqlalchemy import (
    URL,
    BigInteger,
    Column,
    Insert,
    Integer,
    MetaData,
    Table,
    Text,
    and_,
    case,
    delete,
    select,
    update,
)
from sqlalchemy.ext.asyncio import AsyncConnection

from gateway.database import Database, Work, database_url, inserting, upsert, with_tables
from gateway.drift.model import ListState, MissingThere
from gateway.settings import Settings

metadata = MetaData()

lists = Table(
    "drift_lists",
    metadata,
    Column("list", Text, primary_key=True),
    Column("state", Text, nullable=False),
    Column("asked_at", BigInteger),
)
"""`asked_at` (ms): when somebody asked for a round out of turn; the role alone writes the rest."""

entries = Table(
    "drift_entries",
    metadata,
    Column("list", Text, primary_key=True),
    Column("entry", Text, primary_key=True),
    Column("round", Integer, nullable=False),
    Column("at", BigInteger, nullable=False),
)
"""`entry`: an address as we compare it, or a subject. `at` (ms): the newest date it has."""

missing_there = Table(
    "drift_missing_there",
    metadata,
    Column("location_id", Text, primary_key=True),
    Column("provider", Text, primary_key=True),
    Column("listed", Text, primary_key=True),
    Column("state", Text, nullable=False),
)

AT_ONCE = 500
"""Values of one question: SQLite takes some ten thousand."""

_decode_state = msgspec.json.Decoder(ListState).decode
_decode_missing = msgspec.json.Decoder(MissingThere).decode


class DriftStore:
    """Connects when first asked. Everything raises SQLAlchemyError, OSError or TimeoutError."""

    def __init__(self, url: URL) -> None:
        self._database = Database(url, with_tables(metadata))

    @classmethod
    def of(cls, settings: Settings) -> DriftStore:
        """SettingsError: not a database we know."""
        return cls(database_url(settings.database_url, settings.data_dir))

    def sole_worker(self) -> AbstractAsyncContextManager[AsyncConnection]:
        """For the one process that reads the lists. AnotherWorkerError."""
        return self._database.sole_worker(Work.RECONCILE)

    async def states(self) -> list[ListState]:
        """Of all lists."""
        async with self._database.connected() as connection:
            found = await connection.execute(select(lists.c.state))
            return [_decode_state(row.state) for row in found]

    async def asked(self) -> dict[str, int]:
        """When somebody asked for a round of a list out of turn, by its key."""
        wanted = select(lists.c.list, lists.c.asked_at).where(lists.c.asked_at.is_not(None))
        async with self._database.connected() as connection:
            return {row.list: row.asked_at for row in await connection.execute(wanted)}

    async def ask(self, at: int) -> int:
        """Ask for a round of every list; how many there are."""
        async with self._database.writing() as connection:
            return (await connection.execute(update(lists).values(asked_at=at))).rowcount

    async def keep(self, state: ListState, read: Mapping[str, int] | None = None) -> None:
        """The state, and the entries (with their dates) that were read on the way to it, or neither."""
        async with self._database.writing() as connection:
            await _keep(connection, state, read or {})

    async def finish(self, state: ListState, read: Mapping[str, int]) -> None:
        """The same with the last page of a round: entries of former rounds are not on the list any more."""
        former = and_(entries.c.list == state.key, entries.c.round != state.round)
        async with self._database.writing() as connection:
            await _keep(connection, state, read)
            await connection.execute(delete(entries).where(former))

    async def entries_of(self, keys: Collection[str], wanted: Sequence[str]) -> dict[str, int]:
        """Those of the wanted entries that one of the lists has, with the newest date."""
        found: dict[str, int] = {}
        async with self._database.connected() as connection:
            for start in range(0, len(wanted), AT_ONCE):
                question = select(entries.c.entry, entries.c.at).where(
                    entries.c.list.in_(list(keys)), entries.c.entry.in_(wanted[start : start + AT_ONCE])
                )
                for entry, at in await connection.execute(question):
                    found[entry] = max(at, found.get(entry, at))
        return found

    async def keep_missing(self, found: Sequence[MissingThere]) -> None:
        rows = [
            {
                "location_id": each.location_id,
                "provider": each.provider,
                "listed": each.listed,
                "state": msgspec.json.encode(each).decode(),
            }
            for each in found
        ]
        if rows:
            async with self._database.writing() as connection:
                await connection.execute(upsert(connection, missing_there), rows)

    async def missing(self) -> list[MissingThere]:
        async with self._database.connected() as connection:
            return [_decode_missing(row.state) for row in await connection.execute(select(missing_there.c.state))]

    async def drop(self, keys: Collection[str]) -> None:
        """Lists that nobody sends with any more."""
        async with self._database.writing() as connection:
            for table in (entries, lists):
                await connection.execute(delete(table).where(table.c.list.in_(list(keys))))

    async def close(self) -> None:
        """Let go of the connections. Twice is once."""
        await self._database.close()


async def _keep(connection: AsyncConnection, state: ListState, read: Mapping[str, int]) -> None:
    if rows := [{"list": state.key, "entry": entry, "round": state.round, "at": at} for entry, at in read.items()]:
        await connection.execute(_newest(connection), rows)
    row = {"list": state.key, "state": msgspec.json.encode(state).decode()}
    await connection.execute(upsert(connection, lists, replaced=["state"]), row)


def _newest(connection: AsyncConnection) -> Insert:
    """Of an entry that is there the newer date stays: pages come newest first."""
    statement = inserting(connection, entries)
    new = statement.excluded
    at = case((entries.c.at > new.at, entries.c.at), else_=new.at)
    done: Insert = statement.on_conflict_do_update(
        index_elements=["list", "entry"], set_={"round": new.round, "at": at}
    )
    return done
