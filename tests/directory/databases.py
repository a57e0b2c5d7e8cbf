"""Both databases, for real: a SQLite file, and a PostgreSQL server of the test session's own."""

from __future__ import annotations

import asyncio
import tempfile
import uuid
from collections.abc import Iterator
from pathlib import Path

import asyncpg
import pytest
from sqlalchemy import URL

from gateway.database import database_url
from gateway.settings import Secret
from tests.bench.postgres import postgres


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[str]:
    """The URL of a server's first database."""
    with (
        tempfile.TemporaryDirectory(prefix="sendguard-bench-") as folder,
        postgres(Path(folder) / "postgres") as url,
    ):
        if url is None:
            pytest.skip("initdb and pg_ctl are not installed, so there is no PostgreSQL to test with")
        yield url


@pytest.fixture
def postgres_url(postgres_server: str) -> str:
    """A database of the test's own, as one writes it in the settings."""
    name = f"t{uuid.uuid4().hex}"

    async def create() -> None:
        connection = await asyncpg.connect(postgres_server)
        try:
            await connection.execute(f"CREATE DATABASE {name}")
        finally:
            await connection.close()

    asyncio.run(create())
    return f"{postgres_server.rpartition('/')[0]}/{name}"


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> URL:
    if request.param == "sqlite":
        return database_url(None, tmp_path)
    return database_url(Secret(request.getfixturevalue("postgres_url")), tmp_path)


@pytest.fixture(params=["sqlite", "postgresql"])
def database_values(request: pytest.FixtureRequest) -> dict[str, object]:
    """The same as settings."""
    return {} if request.param == "sqlite" else {"database_url": request.getfixturevalue("postgres_url")}
