"""Gateways as processes: to be killed, cut off from Kafka, or run with a wrong clock; and providers to call them."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp

from gateway.app import Service
from gateway.settings import Settings
from tests.cli.test_run import Process
from tests.running import Outside, sample, until
from tests.web.webhooks.calling import Provider

AWAY = "127.0.0.1:1"
"""Where no Kafka is."""


def phone(number: int) -> str:
    return f"+1415555{number:04d}"


@asynccontextmanager
async def calling(gateway: Service | int) -> AsyncIterator[Provider]:
    """A provider that calls the service, or the port."""
    if isinstance(gateway, Service):
        listening = gateway
        await until(lambda: listening.port)
    port = gateway if isinstance(gateway, int) else gateway.port
    async with aiohttp.ClientSession() as session:
        yield Provider(f"http://127.0.0.1:{port}", session)


async def port_of(process: Process) -> int:
    return int((await process.says(re.compile(r"health on http://\S+:(\d+)/readyz")))[1])


async def spooled(provider: Provider) -> float | None:
    """How many signals wait on its disk; None before anything is known of them."""
    async with provider.session.get(f"{provider.url}/metrics") as answer:
        return sample(await answer.text(), "sendguard_spool_signals")


async def drained(provider: Provider) -> bool:
    return await spooled(provider) == 0


async def keys(settings: Settings, at_least: int) -> list[Any]:
    """Subjects of the events in the log, one for each."""
    outside = Outside.of(settings)
    records = await asyncio.to_thread(outside.committed, outside.topics.dnd_events, at_least)
    return [json.loads(record.key()) for record in records]
