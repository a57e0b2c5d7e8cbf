"""The document that a running `sendguard` serves, and what the same process answers: real HTTP, Kafka and database."""

from __future__ import annotations

import asyncio
import hashlib
import signal
from pathlib import Path

import pytest
import schemathesis
from schemathesis.generation.modes import GenerationMode

from gateway.dnd.model import Cause, Scope
from gateway.localkafka import LocalKafka
from gateway.settings import Settings
from gateway.streams.topics import apply
from tests.cli.test_run import HEALTH, service
from tests.consumers.crm import Crm, contact, phone, snapshot, stop
from tests.contacts.people import EMAIL, place
from tests.running import environment_for, settings_for
from tests.web.api.made_calls import all_operations
from tests.web.api.serving import KEYS

EXAMPLES = 4
"""Of each operation: what it costs here is time. Without Kafka `test_openapi` makes more, by every role."""


@pytest.mark.parametrize(
    ("role", "mode"),
    [("support", GenerationMode.POSITIVE), ("agency", GenerationMode.NEGATIVE)],
    ids=["fits", "does not"],
)
async def test_whatever_is_sent_to_a_running_service_is_answered_as_its_document_says(
    kafka: LocalKafka, tmp_path: Path, fresh_name: str, role: str, mode: GenerationMode
) -> None:
    """Calls that fit the document and calls that do not. It is ready afterwards, has logged no fault, and stops as it
    should."""
    accounts = tmp_path / "accounts.toml"
    digest = hashlib.sha256(KEYS[role].encode()).hexdigest()
    accounts.write_text(f'[[api_keys]]\nid = "{role}"\nsha256 = "{digest}"\nrole = "{role}"\nlocations = ["loc1"]\n')
    given = {"accounts": str(accounts), "api_requests_per_second": 10_000}
    await one_contact_held(settings_for(kafka, tmp_path / "crm", fresh_name))
    environment = environment_for(kafka, tmp_path / "data", fresh_name, **given)
    async with service(environment, "--role", "http", "--role", "directory") as process:
        url = (await process.says(HEALTH))[1]
        await process.ready()
        schema = await asyncio.to_thread(schemathesis.openapi.from_url, f"{url}/openapi.json")
        await asyncio.to_thread(all_operations, schema, url, KEYS[role], mode, EXAMPLES)
        await process.ready()
        process.signal(signal.SIGTERM)
        assert await process.ended() == 0
    assert "Traceback" not in process.said


async def one_contact_held(settings: Settings) -> None:
    """By its number and its address, before the service begins."""
    await apply(settings)
    crm = Crm(settings)
    await crm.contacts(snapshot("c1", 1, email=EMAIL.id))
    await crm.events(
        stop(phone(1)),
        stop(contact("c1"), "s2"),
        place(EMAIL, Scope.EMAIL, Cause.BOUNCE, event_id="b"),
    )
