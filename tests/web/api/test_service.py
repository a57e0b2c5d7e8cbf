"""The contact API as the role `http` serves it: with the guard beside it, and through the command line."""

from __future__ import annotations

import asyncio
import hashlib
import json
from pathlib import Path

import aiohttp
import pytest

from gateway.localkafka import LocalKafka
from gateway.settings import load
from tests.cli.shell import Ran, sendguard
from tests.running import Outside, environment_for, request, running

KEY = "sk-live"


@pytest.fixture
def environment(kafka: LocalKafka, tmp_path: Path, fresh_name: str) -> dict[str, str]:
    digest = hashlib.sha256(KEY.encode()).hexdigest()
    accounts = tmp_path / "accounts.toml"
    accounts.write_text(f'[[api_keys]]\nid = "crm"\nsha256 = "{digest}"\nrole = "user"\nlocations = ["loc1"]\n')
    return environment_for(kafka, tmp_path, fresh_name, accounts=accounts)


async def test_a_hold_set_over_the_api_drops_the_next_request_and_lifted_forwards_it(
    environment: dict[str, str],
) -> None:
    """R2, R3: API in, Kafka, the guard's decision out."""
    settings = load(environment)
    outside = Outside.of(settings)
    headers = {"Authorization": f"Bearer {KEY}"}
    async with running(settings, "guard", "http") as service, aiohttp.ClientSession(headers=headers) as session:
        url = f"http://127.0.0.1:{service.port}/v1/locations/loc1/contacts/c1/dnd"
        for number, on in enumerate((True, False, True)):
            async with session.put(url, json={"dnd": on}) as answer:
                assert answer.status == 200, await answer.text()
            await asyncio.to_thread(outside.send, [request(number, contact_id="c1")])
            decisions = await asyncio.to_thread(outside.decisions, number + 1)
    assert [decision["outcome"] for decision in decisions] == ["dropped", "forwarded", "dropped"]


async def test_the_command_line_goes_through_the_api_when_it_is_told_where_it_is(
    environment: dict[str, str], tmp_path: Path
) -> None:
    asked = tmp_path / "request.json"
    asked.write_text(json.dumps(request(1, contact_id="c1")))
    async with running(load(environment), "http") as service:
        told = {"SENDGUARD_API_URL": f"http://127.0.0.1:{service.port}", "SENDGUARD_API_KEY": KEY}

        async def dnd(*arguments: str, **changes: str) -> Ran:
            # Kafka cannot be reached from this shell: whatever works goes through the API
            apart = environment | told | {"SENDGUARD_KAFKA_BOOTSTRAP_SERVERS": "127.0.0.1:9"} | changes
            return await asyncio.to_thread(sendguard, apart, "dnd", *arguments)

        contact = ("loc1", "--contact", "c1")
        held = await dnd("set", *contact, "--channel", "sms")
        assert held.code == 0, held
        shown = await dnd("show", *contact, "--json")
        assert (shown.code, shown.json["status"], shown.json["channels"]["SMS"]) == (0, "Partial", "active")
        (hold,) = shown.json["holds"]
        assert hold["placed_by"] == {"kind": "user", "id": "key:crm"}
        assert hold["subject"] == ["loc1", "contact", "c1"]
        explained = await dnd("explain", "loc1", str(asked))
        assert (explained.code, explained.out.splitlines()[0]) == (1, "dropped")
        assert (await dnd("lift", *contact, "--channel", "SMS")).code == 0
        explained = await dnd("explain", "loc1", str(asked), "--json")
        assert (explained.code, explained.json["outcome"]) == (0, "forwarded")
        assert (await dnd("show", "loc1", "--phone", "+14155552671")).out == "DND Off\n"

        assert (await dnd("set", *contact, "--channel", "SMS", "--actor", "support")).code == 2
        assert (await dnd("set", "loc1", "--phone", "+14155552671", "--channel", "SMS")).code == 2
        assert (await dnd("show", *contact, SENDGUARD_API_KEY="")).code == 2
        assert (await dnd("show", *contact, SENDGUARD_API_KEY="other")).code == 1
        assert (await dnd("show", "loc2", "--contact", "c1")).code == 1
        assert (await dnd("show", *contact, SENDGUARD_API_URL="http://127.0.0.1:9")).code == 3


async def test_without_any_key_the_api_is_closed_and_health_is_not(
    kafka: LocalKafka, tmp_path: Path, fresh_name: str
) -> None:
    settings = load(environment_for(kafka, tmp_path, fresh_name))
    async with running(settings, "http") as service, aiohttp.ClientSession() as session:
        base = f"http://127.0.0.1:{service.port}"
        async with session.get(f"{base}/v1/locations/loc1/contacts/c1/dnd") as answer:
            assert (answer.status, (await answer.json(content_type=None))["type"]) == (
                401,
                "urn:sendguard:problem:api-closed",
            )
        for path in ("/readyz", "/openapi.json"):
            async with session.get(base + path) as answer:
                assert answer.status == 200


def test_explain_without_the_api_reads_the_log_itself(environment: dict[str, str]) -> None:
    assert sendguard(environment, "topics", "apply").code == 0
    asked = json.dumps(request(1, contact_id="c1"))
    assert sendguard(environment, "dnd", "explain", "loc1", "-", stdin=asked).code == 0
    sendguard(environment, "dnd", "set", "loc1", "--contact", "c1", "--channel", "ALL")
    explained = sendguard(environment, "dnd", "explain", "loc1", "-", "--json", stdin=asked)
    assert (explained.code, explained.json["outcome"]) == (1, "dropped")
    assert [reason["cause"] for reason in explained.json["reasons"]] == ["manual"]
