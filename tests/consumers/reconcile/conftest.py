"""Databases and stores."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest

from gateway.database import database_url
from gateway.drift import DriftStore
from tests.directory.databases import database, database_values, postgres_server, postgres_url

__all__ = ["database", "database_values", "postgres_server", "postgres_url"]


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[DriftStore]:
    store = DriftStore(database_url(None, tmp_path))
    yield store
    await store.close()


@pytest.fixture
async def session() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as session:
        yield session
