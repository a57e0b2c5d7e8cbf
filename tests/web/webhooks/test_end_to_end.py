"""From a provider's signed call to what the guard does with the next request: one service, a real Kafka."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from gateway.app import Service
from gateway.localkafka import LocalKafka
from tests.running import Outside, request, running, settings_for
from tests.web.webhooks.calling import Provider, accounts_in

PERSON = "+14155550001"


@dataclass
class Gateway:
    """The service, its callers and its requests."""

    service: Service
    outside: Outside
    provider: Provider
    sent: int = 0

    async def decides(self, **changes: object) -> dict[str, Any]:
        """What the guard decides on a request made now."""
        self.sent += 1
        made = request(self.sent, **({"contact_id": "somebody", "to": PERSON} | changes))
        await asyncio.to_thread(self.outside.send, [made])
        decisions = await asyncio.to_thread(self.outside.decisions, self.sent)
        (found,) = (each for each in decisions if each["request_id"] == made["request_id"])
        return found

    async def held_for(self, **changes: object) -> list[tuple[str, str]]:
        """Cause and kind of each hold that the decision names; [] = forwarded."""
        decided = await self.decides(**changes)
        assert decided["outcome"] == ("dropped" if decided["reasons"] else "forwarded")
        return [(reason["cause"], reason["kind"]) for reason in decided["reasons"]]


@asynccontextmanager
async def gateway_on(kafka: LocalKafka, folder: Path, name: str) -> AsyncIterator[Gateway]:
    settings = settings_for(kafka, folder / "data", name, accounts=str(accounts_in(folder)))
    async with running(settings, "guard", "http") as service, aiohttp.ClientSession() as session:
        provider = Provider(f"http://127.0.0.1:{service.port}", session)
        yield Gateway(service, Outside.of(settings), provider)


@pytest.fixture
async def gateway(kafka: LocalKafka, tmp_path: Path, fresh_name: str) -> AsyncIterator[Gateway]:
    async with gateway_on(kafka, tmp_path, fresh_name) as found:
        yield found


async def test_r13_a_stop_by_sms_drops_the_next_request_whoever_the_contact_is(gateway: Gateway) -> None:
    answer = await gateway.provider.text("Stop.", PERSON)
    assert (answer.status, answer.headers["Content-Type"]) == (200, "text/xml; charset=utf-8")
    assert answer.body == b'<?xml version="1.0" encoding="UTF-8"?><Response/>'
    assert await gateway.held_for() == [("keyword_opt_out", "permanent")]
    assert await gateway.held_for(to="+14155550002") == []
