"""A Kafka that the tests of this directory may break, and a spool."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from gateway.localkafka import LocalKafka, LocalKafkaConfig
from gateway.signals.spool import Spool
from tests.signals.scene import spool_in


@pytest.fixture(scope="session")
def own_kafka() -> Iterator[LocalKafka]:
    """One broker, apart from the one that all tests share."""
    with LocalKafka(LocalKafkaConfig()) as running:
        yield running


@pytest.fixture
def breakable(own_kafka: LocalKafka) -> Iterator[LocalKafka]:
    """It may be stopped and frozen; afterwards it runs again."""
    yield own_kafka
    if own_kafka.brokers[0].is_running():
        own_kafka.brokers[0].thaw()
    own_kafka.start_all()


@pytest.fixture
async def spool(tmp_path: Path) -> AsyncIterator[Spool]:
    async with spool_in(tmp_path) as opened:
        yield opened
