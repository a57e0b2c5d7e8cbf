"""The databases, and the store in each."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from sqlalchemy import URL

from gateway.drift import DriftStore
from tests.directory.databases import database, postgres_server, postgres_url

__all__ = ["database", "postgres_server", "postgres_url"]


@pytest.fixture
async def store(database: URL) -> AsyncIterator[DriftStore]:
    store = DriftStore(database)
    yield store
    await store.close()
