"""What the directory's tables know, asked for many at once."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Coroutine, Iterable, Iterator, Mapping, Sequence
from typing import Any, Protocol, TypeVar

from sqlalchemy import Column, Connection, Executable, Row, Select, Table, and_, bindparam, select, tuple_

from gateway.directory import tables
from gateway.directory.merging import Carried
from gateway.directory.succession import Contact
from gateway.dnd.model import Subject, SubjectKind

ASKED_AT_ONCE = 500
"""Rows named in one statement, with three values each: far below what either database takes."""

Item = TypeVar("Item")
Parameters = Mapping[str, Any]


def _among(rows: Table, *key: Column[Any]) -> Select[Any]:
    """Rows of which the key is among `keys`. Made once: making a statement takes as long as running it."""
    return select(rows).where(tuple_(*key).in_(bindparam("keys", expanding=True)))


_held_by, _known, _brought = tables.addresses, tables.contacts, tables.carried
_CONTACTS = _among(_known, _known.c.location_id, _known.c.contact_id)
_THEIR_ADDRESSES = _among(_held_by, _held_by.c.location_id, _held_by.c.contact_id)
_HOLDERS = _among(_held_by, _held_by.c.location_id, _held_by.c.kind, _held_by.c.address).order_by(_held_by.c.contact_id)
_CARRIED = _among(_brought, _brought.c.location_id, _brought.c.contact_id)


class Executes(Protocol):
    """What look-ups need of a connection: an `AsyncConnection`, or `Blocking`."""

    async def execute(self, statement: Executable, parameters: Parameters | None = None, /) -> Iterable[Row[Any]]: ...


class Blocking:
    """A connection whose answers are there at once; for a thread."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def execute(self, statement: Executable, parameters: Parameters | None = None, /) -> Iterable[Row[Any]]:
        return self._connection.execute(statement, parameters)


def without_waiting(question: Coroutine[Any, Any, Item]) -> Item:
    """The answer of a question to `Lookups` on a `Blocking` connection, which never waits."""
    try:
        question.send(None)
    except StopIteration as answered:
        answer: Item = answered.value
        return answer
    raise RuntimeError("a question on a blocking connection has waited")


class Lookups:
    """On one connection, which one task uses at a time. SQLAlchemyError, OSError."""

    def __init__(self, connection: Executes) -> None:
        self._connection = connection

    async def contacts(self, wanted: Collection[Subject]) -> dict[Subject, Contact]:
        """Those that are known, with all they have and had."""
        found: dict[Subject, Contact] = {}
        for some in _chunks([contact for contact in wanted if _can_be_stored(contact)]):
            keys = [(contact.location_id, contact.id) for contact in some]
            has, had = await self._addresses(keys)
            for row in await self._connection.execute(_CONTACTS, {"keys": keys}):
                subject = Subject(row.location_id, SubjectKind.CONTACT, row.contact_id)
                found[subject] = Contact(
                    row.location_id,
                    row.contact_id,
                    frozenset(has[subject]),
                    frozenset(had[subject]),
                    row.merged_into,
                    row.merge_said_at,
                    row.deleted,
                    row.updated_at,
                )
        return found

    async def holders(self, addresses: Collection[Subject]) -> dict[Subject, list[Contact]]:
        """Every contact that has or had each address, in the order of their ids."""
        ids: dict[Subject, list[Subject]] = defaultdict(list)
        for some in _chunks([address for address in addresses if _can_be_stored(address)]):
            keys = [tuple(each) for each in some]
            for row in await self._connection.execute(_HOLDERS, {"keys": keys}):
                address = Subject(row.location_id, SubjectKind(row.kind), row.address)
                ids[address].append(Subject(row.location_id, SubjectKind.CONTACT, row.contact_id))
        known = await self.contacts({contact for contacts in ids.values() for contact in contacts})
        return {
            address: [known[contact] for contact in contacts if contact in known] for address, contacts in ids.items()
        }

    async def carried(self, contacts: Collection[Subject]) -> set[Carried]:
        """What merges have brought to these contacts."""
        found: set[Carried] = set()
        for some in _chunks([contact for contact in contacts if _can_be_stored(contact)]):
            keys = [(contact.location_id, contact.id) for contact in some]
            for row in await self._connection.execute(_CARRIED, {"keys": keys}):
                found.add(Carried(Subject(row.location_id, SubjectKind.CONTACT, row.contact_id), row.origin))
        return found

    async def current(self, location_id: str, contact_id: str) -> tuple[Subject, ...]:
        """The contact's addresses now."""
        if not _can_be_stored(Subject(location_id, SubjectKind.CONTACT, contact_id)):
            return ()
        rows = tables.addresses
        mine = and_(rows.c.location_id == location_id, rows.c.contact_id == contact_id, rows.c.current)
        found = await self._connection.execute(select(rows.c.kind, rows.c.address).where(mine))
        return tuple(sorted(Subject(location_id, SubjectKind(kind), address) for kind, address in found))

    async def who_has(self, address: Subject) -> list[str]:
        """Ids of the contacts that have the address now."""
        if not _can_be_stored(address):
            return []
        rows = tables.addresses
        its = and_(*(column == part for column, part in zip(_ADDRESS, address, strict=True)), rows.c.current)
        found = await self._connection.execute(select(rows.c.contact_id).where(its).order_by(rows.c.contact_id))
        return [contact_id for (contact_id,) in found]

    async def _addresses(self, keys: Sequence[tuple[str, str]]) -> tuple[_Addresses, _Addresses]:
        """What contacts have, and what they had."""
        has: _Addresses = defaultdict(set)
        had: _Addresses = defaultdict(set)
        for row in await self._connection.execute(_THEIR_ADDRESSES, {"keys": keys}):
            contact = Subject(row.location_id, SubjectKind.CONTACT, row.contact_id)
            (has if row.current else had)[contact].add(Subject(row.location_id, SubjectKind(row.kind), row.address))
        return has, had


_Addresses = defaultdict[Subject, set[Subject]]

_ADDRESS = (tables.addresses.c.location_id, tables.addresses.c.kind, tables.addresses.c.address)


def _can_be_stored(subject: Subject) -> bool:
    """PostgreSQL takes no NUL, which anybody may write to `dnd.events`; nothing with one is ever in the tables."""
    return "\x00" not in subject.location_id and "\x00" not in subject.id


def _chunks(items: Sequence[Item]) -> Iterator[Sequence[Item]]:
    for start in range(0, len(items), ASKED_AT_ONCE):
        yield items[start : start + ASKED_AT_ONCE]
