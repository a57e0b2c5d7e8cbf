"""What most tests of the command line start from."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway.localkafka import LocalKafka
from gateway.settings import Settings, load
from tests.cli.shell import sendguard
from tests.running import Outside, environment_for


@pytest.fixture
def bare(kafka: LocalKafka, tmp_path: Path, fresh_name: str) -> dict[str, str]:
    """An environment with no topics yet."""
    return environment_for(kafka, tmp_path, fresh_name)


@pytest.fixture
def environment(bare: dict[str, str]) -> dict[str, str]:
    """An environment with all topics."""
    assert sendguard(bare, "topics", "apply").code == 0
    return bare


@pytest.fixture
def settings(environment: dict[str, str]) -> Settings:
    return load(environment)


@pytest.fixture
def outside(settings: Settings) -> Outside:
    return Outside.of(settings)
