from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from gateway.localkafka import LocalKafka
from gateway.settings import Settings
from tests.directory.databases import database_values, postgres_server, postgres_url
from tests.running import settings_for
from tests.web.api.memory import InMemoryLog, gateway_in_memory
from tests.web.api.serving import Api, api_of, api_on

__all__ = ["database_values", "postgres_server", "postgres_url"]


@pytest.fixture
def settings(kafka: LocalKafka, tmp_path: Path, fresh_name: str) -> Settings:
    return settings_for(kafka, tmp_path, fresh_name, api_requests_per_second=10_000)


@pytest.fixture
def log() -> InMemoryLog:
    return InMemoryLog()


@pytest.fixture
async def quick(log: InMemoryLog, tmp_path: Path) -> AsyncIterator[Api]:
    """Without Kafka, for what does not depend on it."""
    given = Settings.of(http_port=0, data_dir=str(tmp_path), api_requests_per_second=10_000)
    async with api_of(gateway_in_memory(log), given, deadline_s=0.2) as serving:
        yield serving


@pytest.fixture
async def on_both(log: InMemoryLog, tmp_path: Path, database_values: dict[str, object]) -> AsyncIterator[Api]:
    """The same, once on SQLite and once on PostgreSQL. A busy machine is no fault."""
    given = Settings.of(http_port=0, data_dir=str(tmp_path), api_requests_per_second=10_000, **database_values)
    async with api_of(gateway_in_memory(log), given) as serving:
        yield serving


@pytest.fixture
async def api(settings: Settings) -> AsyncIterator[Api]:
    async with api_on(settings) as serving:
        yield serving
