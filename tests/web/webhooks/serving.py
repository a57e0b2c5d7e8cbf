"""The webhooks on a real server, with a door that remembers what it was told instead of a Kafka."""

from __future__ import annotations

import asyncio
import tomllib
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import aiohttp

from gateway.accounts import Accounts
from gateway.metrics import Metrics
from gateway.providers.signals import Signal
from gateway.settings import Settings
from gateway.signals.door import Accepted, Receipt
from gateway.web.server import HttpServer
from gateway.web.webhooks import add_webhooks
from gateway.web.webhooks.reception import Door
from tests.running import sample
from tests.web.webhooks.calling import ACCOUNTS, Provider


@dataclass
class RemembersAll:
    """A door behind which everything is safe."""

    told: list[Signal] = field(default_factory=list)

    async def accept(self, signals: Sequence[Signal], received_at: int) -> Receipt:
        self.told += signals
        return Accepted(len(signals))


@dataclass
class FailsAtFirst(RemembersAll):
    """The first call finds neither Kafka nor a disk, or whatever else is wrong."""

    error: Exception | None = None

    async def accept(self, signals: Sequence[Signal], received_at: int) -> Receipt:
        error, self.error = self.error, None
        if error is not None:
            raise error
        return await super().accept(signals, received_at)


@dataclass
class TakesItsTime(RemembersAll):
    """Nothing is safe before somebody says so."""

    inside: int = 0
    go_on: asyncio.Event = field(default_factory=asyncio.Event)

    async def accept(self, signals: Sequence[Signal], received_at: int) -> Receipt:
        self.inside += 1
        await self.go_on.wait()
        return await super().accept(signals, received_at)


@dataclass(frozen=True, slots=True)
class Served:
    provider: Provider
    port: int
    metrics: Metrics

    def counted(self, name: str, **labels: str) -> float:
        return sample(self.metrics.exposition().decode(), f"sendguard_{name}", **labels) or 0.0


@asynccontextmanager
async def served(door: Door, accounts: str = ACCOUNTS) -> AsyncIterator[Served]:
    metrics = Metrics("test")
    found = Accounts.parse(tomllib.loads(accounts), "accounts")
    server = HttpServer(
        Settings.of(http_port=0).http, list, metrics, [lambda app: add_webhooks(app, found, door, metrics)]
    )
    await server.start()
    try:
        connector = aiohttp.TCPConnector(limit=0)
        async with aiohttp.ClientSession(connector=connector) as session:
            yield Served(Provider(f"http://127.0.0.1:{server.port}", session), server.port, metrics)
    finally:
        await server.stop()
