"""The appeals' table, on SQLite and on PostgreSQL."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest
from sqlalchemy import URL, make_url
from sqlalchemy.ext.asyncio import create_async_engine

import gateway.contacts.store
from gateway.contacts import NotAvailable
from gateway.contacts.appeal import Appeal, AppealStatus, Evidence
from gateway.contacts.log import answering
from gateway.contacts.store import AppealStore, metadata
from gateway.database import create_tables
from gateway.dnd.model import Cause, Channel, LiftTerm, Scope
from tests.contacts.databases import engine_on
from tests.contacts.people import AGENCY, CONTACT, PHONE, SUPPORT

FILED = Appeal(
    id="a1",
    location_id="loc1",
    contact_id="c1 ü",
    channel=Channel.SMS,
    evidence=Evidence(("+1", "0-1"), 'Ann "Ö"', "https://loom.example/v"),
    filed_by=AGENCY,
    filed_at=1_790_000_000_000,
    terms={
        CONTACT: (LiftTerm(Scope.SMS, Cause.KEYWORD_OPT_OUT, 5),),
        PHONE: (LiftTerm(Scope.SMS, Cause.KEYWORD_OPT_OUT, 5), LiftTerm(Scope.SMS, Cause.CARRIER_OPT_OUT, 7)),
    },
)


@pytest.fixture
async def store(database: URL) -> AsyncIterator[AppealStore]:
    async with engine_on(database) as engine:
        await asyncio.gather(*(create_tables(engine, metadata) for _ in range(3)))  # as when processes start at once
        yield AppealStore(engine)


def filed(name: str, **changes: object) -> Appeal:
    """One of a location that no other test has."""
    return replace(FILED, id=f"{name}", location_id=f"loc-{name}", **changes)  # type: ignore[arg-type]  # fields by name


async def test_an_appeal_is_read_as_it_was_written(store: AppealStore, fresh_name: str) -> None:
    appeal = filed(fresh_name)
    await store.add(appeal)
    assert await store.get(appeal.location_id, appeal.id) == appeal
    assert await store.of_location(appeal.location_id) == [appeal]
    assert await store.count_open(appeal.location_id, appeal.contact_id) == 1
    assert await store.get("loc2", appeal.id) is None
    assert await store.of_location("loc2 \x00") == []
    assert await store.get(appeal.location_id, "\x00") is None


async def test_of_those_who_decide_at_once_one_does(store: AppealStore, fresh_name: str) -> None:
    appeal = filed(fresh_name)
    await store.add(appeal)
    statuses = [AppealStatus.APPROVING, AppealStatus.REJECTED] * 5
    decided = await asyncio.gather(
        *(store.decide(appeal, status, SUPPORT, 7 + nth, "why") for nth, status in enumerate(statuses))
    )
    assert decided.count(True) == 1
    found = await store.get(appeal.location_id, appeal.id)
    winner = decided.index(True)
    assert found == replace(appeal, status=statuses[winner], decided_by=SUPPORT, decided_at=7 + winner, note="why")


async def test_only_what_is_being_approved_becomes_approved(store: AppealStore, fresh_name: str) -> None:
    appeal = filed(fresh_name)
    await store.add(appeal)
    await store.approved(appeal)
    assert await store.of_location(appeal.location_id, AppealStatus.OPEN) == [appeal]
    assert appeal.id not in [each.id for each in await store.approving()]
    await store.decide(appeal, AppealStatus.APPROVING, SUPPORT, 7, "")
    assert appeal.id in [each.id for each in await store.approving()]
    await store.approved(appeal)
    await store.approved(appeal)
    assert appeal.id not in [each.id for each in await store.approving()]
    (found,) = await store.of_location(appeal.location_id, AppealStatus.APPROVED)
    assert (found.status, found.decided_by) == (AppealStatus.APPROVED, SUPPORT)


async def test_the_newest_are_listed_first_and_not_without_end(
    store: AppealStore, fresh_name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gateway.contacts.store, "LIST_LIMIT", 4)
    location = f"loc-{fresh_name}"
    for number in range(6):
        await store.add(replace(FILED, id=f"{fresh_name}-{number}", location_id=location, filed_at=number))
    assert [each.filed_at for each in await store.of_location(location)] == [5, 4, 3, 2]


async def test_a_database_that_refuses_the_connection_is_not_available(postgres_url: str) -> None:
    """The driver's own error comes out, and the caller is told to ask again."""
    refused = make_url(postgres_url).set(drivername="postgresql+asyncpg", database="no such database")
    engine = create_async_engine(refused)
    try:
        with pytest.raises(NotAvailable, match="the database does not answer"):
            async with answering(60.0):
                await AppealStore(engine).of_location("loc1")
    finally:
        await engine.dispose()
