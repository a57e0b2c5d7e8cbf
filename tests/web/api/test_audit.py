"""The audit is only ever added to, on SQLite and on PostgreSQL."""

from __future__ import annotations

import asyncio
import contextlib
from urllib.parse import quote

import pytest
from sqlalchemy.exc import IntegrityError

from gateway.contract.requests import ID_LIMIT
from tests.web.api.serving import Api


@pytest.mark.parametrize("statement", ["UPDATE api_audit SET actor_id = 'me'", "DELETE FROM api_audit"])
async def test_the_database_does_not_change_what_is_recorded(on_both: Api, statement: str) -> None:
    """SQLite says so, PostgreSQL does nothing."""
    await on_both.call("PUT", "contacts/c1/dnd", {"dnd": True})
    before = await on_both.audited()
    assert [(row["actor_id"], row["stage"]) for row in before] == [("key:user", "asked"), ("key:user", "done")]
    with contextlib.suppress(IntegrityError):
        async with on_both.engine.begin() as connection:
            await connection.exec_driver_sql(statement)
    assert await on_both.audited() == before


async def test_sqlite_says_that_nothing_is_changed(quick: Api) -> None:
    await quick.call("PUT", "contacts/c1/dnd", {"dnd": True})
    with pytest.raises(IntegrityError, match="only added to"):
        async with quick.engine.begin() as connection:
            await connection.exec_driver_sql("DELETE FROM api_audit")


async def test_every_change_of_many_at_once_has_its_two_rows(on_both: Api) -> None:
    """Those that come first make the table. Ids as long and as odd as they may be."""
    contacts = [*(f"c{number}" for number in range(8)), "\N{GRINNING FACE}" * ID_LIMIT, "'; DROP TABLE api_audit; --"]
    changes = [
        on_both.call("PUT", f"contacts/{quote(contact, safe='')}/dnd", {"dnd": True, "dndSettings": {"SMS": SAID}})
        for contact in contacts
    ]
    assert {answer.status for answer in await asyncio.gather(*changes)} == {200}
    rows = await on_both.audited()
    assert sorted((row["contact_id"], row["stage"]) for row in rows) == sorted(
        (contact, stage) for contact in contacts for stage in ("asked", "done")
    )
    assert {row["details"]["after"]["status"] for row in rows if row["stage"] == "done"} == {"On"}
    assert len({row["change_id"] for row in rows}) == len(contacts)


SAID = {"status": "active", "message": "odd \x00 \ud7ff", "code": "\x00"}
