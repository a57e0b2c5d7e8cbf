from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from gateway.localkafka import LocalKafka
from gateway.settings import Settings
from tests.running import settings_for
from tests.web.api.serving import Api, api_on


@pytest.fixture
def settings(kafka: LocalKafka, tmp_path: Path, fresh_name: str) -> Settings:
    return settings_for(kafka, tmp_path, fresh_name, api_requests_per_second=10_000)


@pytest.fixture
async def api(settings: Settings) -> AsyncIterator[Api]:
    async with api_on(settings) as serving:
        yield serving
