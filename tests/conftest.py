"""The real Kafkas of the test session. They start with the first test that asks, so pure unit tests do not wait."""

import re
import uuid
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, settings

from gateway.localkafka import LocalKafka, LocalKafkaConfig

# Random tests have no time limit of their own: on a busy machine it would fail what is right.
settings.register_profile("unhurried", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("unhurried")

LONGEST_NAME = 100
"""Kafka allows 249 characters; tests add to the name."""


@pytest.fixture(scope="session")
def kafka() -> Iterator[LocalKafka]:
    """One broker for the whole session: use fresh names, and leave it running."""
    with LocalKafka(LocalKafkaConfig()) as running:
        yield running


@pytest.fixture(scope="session")
def cluster() -> Iterator[LocalKafka]:
    """Three brokers (replication 3, min ISR 2) for the whole session, for faults: leave all of them running."""
    with LocalKafka(LocalKafkaConfig(brokers=3, quick_failover=True)) as running:
        yield running


@pytest.fixture
def fresh_name(request: pytest.FixtureRequest) -> str:
    """A prefix for topics, groups and transactional ids that no other test has."""
    test = re.sub(r"[^a-z0-9]+", "-", request.node.name.lower())[:LONGEST_NAME].strip("-")
    return f"{test}-{uuid.uuid4().hex[:8]}"
