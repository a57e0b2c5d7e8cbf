"""One service for all: every role in one process, a real Kafka, SQLite. Each test has locations of its own."""

from __future__ import annotations

import uuid
from collections.abc import Iterator

import pytest

from gateway.localkafka import LocalKafka
from tests.requirements.accounts import Kind, accounts_file, location_ids
from tests.requirements.location import Location, NewLocation
from tests.requirements.mailgun_api import mailgun_api
from tests.requirements.outside import Outside
from tests.requirements.process import environment, running, sendguard


@pytest.fixture(scope="session")
def outside(kafka: LocalKafka, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Outside]:
    """The service as users run it. At its end every request has one decision, and went out or did not as that says."""
    folder = tmp_path_factory.mktemp("requirements")
    prefix = f"requirements-{uuid.uuid4().hex[:8]}."
    accounts = folder / "accounts.toml"
    with mailgun_api() as api:
        accounts.write_text(accounts_file(api.url), encoding="utf-8")
        given = environment(kafka, prefix, folder, ACCOUNTS=str(accounts))
        sendguard(given, "topics", "apply")
        with running(given, folder) as service:
            found = Outside.of(service, kafka.bootstrap_servers, prefix, api)
            try:
                yield found
                found.reader.balance()
            finally:
                found.reader.close()


@pytest.fixture(scope="session")
def new_location(outside: Outside) -> NewLocation:
    """A location that nobody has used."""
    left = {kind: iter(location_ids(kind)) for kind in Kind}
    return lambda kind: Location(next(left[kind]), outside)


@pytest.fixture
def location(new_location: NewLocation) -> Location:
    return new_location(Kind.PLAIN)
