"""Who changed what, and how it stood before and after: rows that are only ever added, and one line in the log each.

Two rows to a change. The first is written before anything is done: what cannot be recorded is not done. The second says
what came of it; should it not be written, the log line and the events themselves (actor and evidence) still say so, and
the change stands. A change with a first row alone was cut short: parts of it may have been done.

Neither has message bodies or addresses: a hold is named by its channel, cause and the kind of what it is on.
"""

from __future__ import annotations

import asyncio
import logging
import uuid
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import orjson
from sqlalchemy import DDL, JSON, BigInteger, Column, Integer, MetaData, String, Table, event, insert
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlalchemy.schema import ExecutableDDLElement

from gateway.clock import now_ms
from gateway.contacts import Changed, ContactDnd, Hold, NotAvailable
from gateway.database import connected_to_write, create_missing
from gateway.web.api.calls import Call

log = logging.getLogger(__name__)

WRITE_DEADLINE_S = 3.0
"""A row takes milliseconds; another writer of the same SQLite file has it for tens of them."""

ID_LENGTH = 160
"""Of ids of callers, `jwt:` and 128 characters."""

metadata = MetaData()

AUDIT = Table(
    "api_audit",
    metadata,
    Column("number", BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=True),
    Column("change_id", String(64), nullable=False, index=True),
    Column("stage", String(16), nullable=False),
    Column("at", BigInteger, nullable=False),
    Column("actor_kind", String(16), nullable=False),
    Column("actor_id", String(ID_LENGTH), nullable=False),
    Column("location_id", String(ID_LENGTH), nullable=False, index=True),
    Column("contact_id", String(ID_LENGTH), nullable=False, index=True),
    Column("operation", String(64), nullable=False),
    Column("details", JSON, nullable=False),
)
"""`details`: what was asked for (stage `asked`); before, after, refused and ids of events (stage `done`)."""


def _ddl(statement: str, dialect: str) -> ExecutableDDLElement:
    made: ExecutableDDLElement = DDL(statement)  # type: ignore[no-untyped-call]  # its __init__ has no types
    return made.execute_if(dialect=dialect)


for _forbidden in ("UPDATE", "DELETE"):
    _trigger = f"""CREATE TRIGGER api_audit_no_{_forbidden.lower()} BEFORE {_forbidden} ON api_audit
        BEGIN SELECT RAISE(ABORT, 'the audit is only added to'); END"""
    event.listen(AUDIT, "after_create", _ddl(_trigger, "sqlite"))
    _rule = f"CREATE RULE api_audit_no_{_forbidden.lower()} AS ON {_forbidden} TO api_audit DO INSTEAD NOTHING"
    event.listen(AUDIT, "after_create", _ddl(_rule, "postgresql"))


class Stage(StrEnum):
    ASKED = "asked"
    DONE = "done"


@dataclass(frozen=True, slots=True)
class Audited:
    """A change whose first row is written. `id` is that of the change, and of its events."""

    id: str
    row: Mapping[str, Any]


class Audit:
    """Of one process; the tables are made when they are first needed."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine
        self._made = False

    async def begun(self, call: Call[Any], asked: Mapping[str, object]) -> Audited:
        """The first row. NotAvailable: nothing may be done."""
        change_id = f"api:{uuid.uuid4()}"
        row = {
            "change_id": change_id,
            "actor_kind": call.caller.kind.value,
            "actor_id": call.caller.id,
            "location_id": call.location_id,
            "contact_id": call.parameters.get("contact_id", ""),
            "operation": call.route.operation,
        }
        try:
            await self._write(row | {"stage": Stage.ASKED, "details": dict(asked)})
        except (SQLAlchemyError, OSError) as error:
            raise NotAvailable(f"the change cannot be recorded ({type(error).__name__}), so it is not made") from error
        return Audited(change_id, row)

    async def done(self, change: Audited, details: Mapping[str, object]) -> None:
        """The second row, and the line."""
        log.info("audit %s", orjson.dumps({**change.row, **details}).decode())
        try:
            await self._write(dict(change.row) | {"stage": Stage.DONE, "details": dict(details)})
        except (SQLAlchemyError, OSError) as error:
            log.error("audit: the row of %s is not written: %s", change.id, type(error).__name__)  # noqa: TRY400

    async def _write(self, row: Mapping[str, Any]) -> None:
        """TimeoutError is an OSError."""
        async with asyncio.timeout(WRITE_DEADLINE_S):
            async with connected_to_write(self._engine) as connection:
                if not self._made:
                    async with connection.begin():
                        await connection.run_sync(create_missing, metadata)
                    self._made = True
                async with connection.begin():
                    await connection.execute(insert(AUDIT).values(**row, at=now_ms()))


def of_change(done: Changed) -> dict[str, object]:
    """What came of a change, for `Audit.done`."""
    return {
        "before": of_dnd(done.before),
        "after": of_dnd(done.after),
        "refused": [f"{_named(each.hold)}: {each.why}" for each in done.refused],
        "events": sorted({each.event_id for each in done.events}),
    }


def of_dnd(dnd: ContactDnd) -> dict[str, object]:
    return {"status": dnd.status.value, "dnd": dnd.dnd, "holds": _named_all(dnd.holds)}


def _named_all(holds: Iterable[Hold]) -> list[str]:
    return sorted({_named(each) for each in holds})


def _named(held: Hold) -> str:
    return f"{held.scope} {held.cause} on {held.subject.kind}"
