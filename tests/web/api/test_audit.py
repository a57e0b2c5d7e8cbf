"""The audit is only ever added to."""

from __future__ import annotations

import pytest
from sqlalchemy.exc import IntegrityError

from tests.web.api.serving import Api


@pytest.mark.parametrize("statement", ["UPDATE api_audit SET actor_id = 'me'", "DELETE FROM api_audit"])
async def test_the_database_refuses_to_change_what_is_recorded(quick: Api, statement: str) -> None:
    await quick.call("PUT", "contacts/c1/dnd", {"dnd": True})
    with pytest.raises(IntegrityError, match="only added to"):
        async with quick.engine.begin() as connection:
            await connection.exec_driver_sql(statement)
    assert [row["actor_id"] for row in await quick.audited()] == ["key:user", "key:user"]
