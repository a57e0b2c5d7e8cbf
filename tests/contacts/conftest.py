"""A gateway on topics of its own, and the databases."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from gateway.localkafka import LocalKafka
from gateway.settings import Settings
from gateway.streams.topics import apply
from tests.contacts.scene import Gateway, gateway_on
from tests.directory.databases import database, postgres_server, postgres_url
from tests.running import settings_for

__all__ = ["database", "postgres_server", "postgres_url"]


@pytest.fixture
async def settings(kafka: LocalKafka, tmp_path: Path, fresh_name: str) -> Settings:
    """The topics are there. A round of the barrier may take long: a busy machine is no fault."""
    settings = settings_for(kafka, tmp_path, fresh_name, barrier_deadline_ms=20_000)
    await apply(settings)
    return settings


@pytest.fixture
async def gateway(settings: Settings) -> AsyncIterator[Gateway]:
    async with gateway_on(settings) as at_work:
        yield at_work
