"""A gateway on topics of its own, and a PostgreSQL where its programs are installed."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from gateway.localkafka import LocalKafka
from gateway.settings import Settings
from gateway.streams.topics import apply
from tests.bench.postgres import postgres
from tests.contacts.scene import Gateway, gateway_on
from tests.running import settings_for


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


@pytest.fixture(scope="session")
def postgres_url() -> Iterator[str]:
    """A server of its own. Skipped where there is none to be had."""
    directory = Path(tempfile.mkdtemp(prefix="sendguard-bench-"))
    try:
        with postgres(directory / "server") as url:
            if url is None:
                pytest.skip("PostgreSQL's programs are not installed")
            yield url
    finally:
        shutil.rmtree(directory, ignore_errors=True)
