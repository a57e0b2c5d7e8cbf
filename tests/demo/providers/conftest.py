from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from gateway.demo.providers.sandbox import SandboxProviders
from tests.demo.providers.serving import sandbox


@pytest.fixture(name="running")
async def _running(tmp_path: Path) -> AsyncIterator[SandboxProviders]:
    async with sandbox(tmp_path) as running:
        yield running
