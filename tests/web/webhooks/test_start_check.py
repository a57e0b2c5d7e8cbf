"""STOP and START a moment apart, from the signed calls to the guard's decision, with Twilio's API to ask (R13, R18)."""

from __future__ import annotations

import asyncio
import re
import tomllib
from pathlib import Path

import aiohttp
import pytest

from gateway.localkafka import LocalKafka
from tests.running import Outside, get, request, running, sample, settings_for
from tests.signals.twilio_api import TwilioApi, serving
from tests.web.webhooks.calling import ACCOUNTS, PUBLIC_URL, TOKEN, Provider

NOON = 1_763_900_000_000


def accounts_with(api: TwilioApi, folder: Path) -> Path:
    """Those of the other tests, but with somebody to ask, and a window that no test outlasts."""
    text = re.sub("start_check_window_s = 0", "start_check_window_s = 3600", ACCOUNTS)
    text = text.replace(f'public_url = "{PUBLIC_URL}"', f'public_url = "{PUBLIC_URL}"\napi_base = "{api.url}"')
    location = tomllib.loads(text)["locations"]["loc1"]
    assert (location["start_check_window_s"], location["twilio"]["api_base"]) == (3600, api.url)
    path = folder / "accounts.toml"
    path.write_text(text, encoding="utf-8")
    return path


async def test_r13_r18_the_role_asks_twilio_which_of_stop_and_start_came_last(
    kafka: LocalKafka, fresh_name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By location, once for each START; its connections are closed with the server."""
    monkeypatch.setattr("gateway.signals.known.BARRIER_DEADLINE_S", 20.0)  # a busy machine is no fault
    monkeypatch.setattr("gateway.signals.service.PUBLISH_DEADLINE_S", 20.0)
    later, earlier, lost = "+14155550001", "+14155550002", "+14155550003"
    api = TwilioApi("AC1", TOKEN, created={"SMa1": NOON, "SMa2": NOON + 1_000, "SMb1": NOON, "SMb2": NOON - 1_000})
    async with serving(api):
        settings = settings_for(kafka, tmp_path / "data", fresh_name, accounts=str(accounts_with(api, tmp_path)))
        async with running(settings, "guard", "http") as service, aiohttp.ClientSession() as session:
            provider = Provider(f"http://127.0.0.1:{service.port}", session)
            for person, sid in ((later, "SMa"), (earlier, "SMb"), (lost, "SMc")):
                for word, number in (("STOP", 1), ("START", 2)):
                    assert (await provider.text(word, person, sid=f"{sid}{number}")).status == 200
            outside = Outside.of(settings)
            made = [request(number, to=person) for number, person in enumerate((later, earlier, lost))]
            await asyncio.to_thread(outside.send, made)
            decided = await asyncio.to_thread(outside.decisions, len(made))
            outcomes = {each["request_id"]: each["outcome"] for each in decided}
            assert outcomes == {"r-0": "forwarded", "r-1": "dropped", "r-2": "dropped"}
            _, text = await get(service, "/metrics")
    found = [sample(text, "sendguard_start_checks_total", result=each) for each in ("later", "not_later", "unknown")]
    assert found == [1, 1, 1]
    assert len(api.asked) == 6
