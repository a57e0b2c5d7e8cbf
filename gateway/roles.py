"""What a role is, and what it is given.

A role is a program that `sendguard run` starts in the service's process: the guard, the HTTP interface, each program in
`consumers/`. It is named by an entry point of the group `sendguard.roles`, whose function takes `Services` and returns
a `Role`. That function is called before anything connects; the role's `run` when topics are checked and what it asked
for is open.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from importlib.metadata import entry_points
from typing import Protocol

from aiohttp import web

from gateway.accounts import Lookups
from gateway.contract.topics import Topics
from gateway.fresh import FreshState
from gateway.integrations import Integrations
from gateway.metrics import Metrics
from gateway.settings import Settings
from gateway.streams.clients import Clients

ENTRY_POINTS = "sendguard.roles"


class Role(Protocol):
    """One program of the service."""

    async def run(self, stop: asyncio.Event) -> None:
        """Work until `stop` is set, then finish what is at hand and return. An exception ends the process."""

    def problems(self) -> list[str]:
        """Why this role does not do its work at present; empty = it is ready."""


class Services:
    """What roles share. One per process."""

    def __init__(self, settings: Settings, accounts: Lookups, metrics: Metrics) -> None:
        """SettingsError when the TLS files cannot be used. Nothing connects."""
        self.settings = settings
        self.accounts = accounts
        """Asked each time, never kept: the file may change."""
        self.metrics = metrics
        self.clients = Clients(settings.kafka)
        self.topics = Topics(settings.topics.prefix)
        self.fresh: FreshState | None = None
        """Not None once a role has asked for it."""
        self.integrations: Integrations | None = None
        """Not None once a role has asked for them."""
        self.web: list[Callable[[web.Application], None]] = []
        """What roles add to the service's HTTP server: called with its application before it starts."""

    def fresh_state(self) -> FreshState:
        """The view, its follower and the barrier. It is open before any role's `run`."""
        if self.fresh is None:
            self.fresh = FreshState(self.settings, self.clients, self.topics, self.metrics)
        return self.fresh

    def integrations_state(self) -> Integrations:
        """What channels are connected. It is followed from before any role's `run`."""
        if self.integrations is None:
            self.integrations = Integrations(self.clients, self.topics.integrations, self.accounts, self.metrics)
        return self.integrations


Build = Callable[[Services], Role]


class UnknownRoleError(Exception):
    """The message names the role and those there are."""


def role_names() -> list[str]:
    """Every role that is installed."""
    return sorted({found.name for found in entry_points(group=ENTRY_POINTS)})


def find_roles(names: Sequence[str] = ()) -> dict[str, Build]:
    """What builds the named roles; all there are when none is named."""
    known = {found.name: found for found in entry_points(group=ENTRY_POINTS)}
    unknown = [name for name in names if name not in known]
    if unknown:
        raise UnknownRoleError(f"there is no role {', '.join(unknown)}; roles are {', '.join(sorted(known))}")
    chosen = dict.fromkeys(names or sorted(known))
    return {name: known[name].load() for name in chosen}
