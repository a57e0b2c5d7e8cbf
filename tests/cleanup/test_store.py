"""The clean-ups' table, on SQLite and on PostgreSQL."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import msgspec
import pytest
from sqlalchemy import URL

from gateway.cleanup.model import Cleanup, CleanupStatus, Starter, Step
from gateway.cleanup.store import CleanupStore, metadata
from gateway.database import create_tables, engine_for
from gateway.dnd.model import ActorKind, Cause, Scope, Subject, SubjectKind

EMAIL = Subject("loc1", SubjectKind.EMAIL, "ü@example.com")
STARTED = Cleanup(
    id="u1",
    location_id="loc1",
    contact_id="c1 ü",
    address="ü@example.com",
    started_by=Starter(ActorKind.USER, "key:user"),
    started_at=1_790_000_000_000,
    terms=[(EMAIL, [(Scope.EMAIL, Cause.BOUNCE, 1_790_000_000_000), (Scope.EMAIL, Cause.UNSUBSCRIBE, 7)])],
)
STEP = Step("bounces mg.example.com", 1_790_000_000_001, "key:user", "was not on it\x00 ü")


@pytest.fixture
async def store(database: URL) -> AsyncIterator[CleanupStore]:
    engine = engine_for(database)
    try:
        await asyncio.gather(*(create_tables(engine, metadata) for _ in range(3)))  # as when processes start at once
        yield CleanupStore(engine)
    finally:
        await engine.dispose()


def at(started_at: int, **changes: object) -> Cleanup:
    return msgspec.structs.replace(STARTED, id=f"u{started_at}", started_at=started_at, **changes)


async def running(store: CleanupStore) -> Cleanup | None:
    return await store.running(STARTED.location_id, STARTED.contact_id, STARTED.address)


async def test_a_clean_up_goes_on_behind_the_last_step_that_was_written(store: CleanupStore) -> None:
    """R12."""
    await store.add(STARTED)
    assert await running(store) == STARTED
    done = STARTED.with_step(STEP)
    await store.keep(done)
    assert await running(store) == done
    await store.keep(done.with_status(CleanupStatus.DONE))
    assert await running(store) is None


async def test_the_newest_of_the_address_goes_on_and_no_other_s(store: CleanupStore) -> None:
    for cleanup in (at(2), at(3), at(1), at(4, status=CleanupStatus.ABANDONED)):
        await store.add(cleanup)
    for number, other in enumerate(({"location_id": "loc2"}, {"contact_id": "c2"}, {"address": "b@example.com"})):
        await store.add(at(10 + number, **other))
    assert await running(store) == at(3)


async def test_many_at_once_are_all_kept(store: CleanupStore) -> None:
    started = [at(number, contact_id=f"c{number}") for number in range(20)]
    await asyncio.gather(*(store.add(each) for each in started))
    await asyncio.gather(*(store.keep(each.with_step(STEP)) for each in started))
    found = [await store.running("loc1", each.contact_id, each.address) for each in started]
    assert found == [each.with_step(STEP) for each in started]
