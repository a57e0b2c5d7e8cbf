"""The sandbox providers for two locations, and the service's own webhooks behind them."""

from __future__ import annotations

import tomllib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from gateway.accounts import Accounts
from gateway.demo.accounts_file import Keys, accounts_toml
from gateway.demo.people import LOCATIONS
from gateway.demo.providers.accounts import make_accounts
from gateway.demo.providers.request_log import RequestLog
from gateway.demo.providers.sandbox import SandboxProviders
from tests.web.webhooks.serving import RemembersAll, Served, served

PUBLIC_URL = "https://sendguard.example.com"
PERSON = "+14155550123"
TWO = LOCATIONS[:2]


@asynccontextmanager
async def sandbox(folder: Path) -> AsyncIterator[SandboxProviders]:
    accounts = make_accounts([location.id for location in TWO], PUBLIC_URL)
    async with SandboxProviders(accounts, RequestLog(folder / "requests.ndjson")).served() as running:
        yield running


def accounts_of(running: SandboxProviders) -> str:
    """The accounts file a service has to work with the sandbox."""
    return accounts_toml(TWO, running.accounts, running.url, Keys("user-key", "support-key"), 8.0)


def parsed_accounts(running: SandboxProviders) -> Accounts:
    return Accounts.parse(tomllib.loads(accounts_of(running)), "accounts")


@asynccontextmanager
async def called_back(running: SandboxProviders) -> AsyncIterator[tuple[Served, RemembersAll]]:
    """The service's webhooks, where the sandbox delivers to, and what they were told."""
    door = RemembersAll()
    async with served(door, accounts_of(running)) as service:
        running.service_url = f"http://127.0.0.1:{service.port}"
        yield service, door
