"""Which channels of a location are connected: the topic `integrations` in memory, for all roles of a process (R7, R8).

A channel nobody has said anything about counts as enlisted, unless its location demands a record
(`require_integration`). It is no DND: nothing here places, lifts or hides a hold, so a channel that comes back finds
the holds as they are. There is no barrier either: a message counts when it is read, within a second.

What cannot be sent on is kept as one mapping, so that the guard looks up one key for a request, and none when it is
empty. It changes with each message, and as a whole when the accounts file changes.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Collection, Mapping, Sequence
from typing import Protocol

from gateway.accounts import Accounts
from gateway.contract.decisions import Unavailability
from gateway.contract.forgiving import Unreadable
from gateway.contract.integrations import FOUND_BY_DISPATCH, IntegrationId, IntegrationStatus, read_integration
from gateway.contract.log import LogRecord
from gateway.dnd.model import Channel
from gateway.metrics import INTEGRATIONS, INTEGRATIONS_UNREADABLE, Metrics, Samples
from gateway.stopping import set_before_stop
from gateway.streams.clients import Clients
from gateway.streams.compacted import CompactedTopic

log = logging.getLogger(__name__)


class HasAccounts(Protocol):
    """Where the settings of locations are now; another object when they have changed."""

    @property
    def current(self) -> Accounts: ...


class IntegrationTable:
    """The newest status of each channel of each location, as far as it is known."""

    def __init__(self, accounts: HasAccounts, metrics: Metrics) -> None:
        self._accounts = accounts
        self._metrics = metrics
        self._statuses: dict[IntegrationId, IntegrationStatus] = {}
        self._unavailable: dict[IntegrationId, Unavailability] = {}
        self.found_broken: set[IntegrationId] = set()
        """Those disconnected because dispatch found that the provider does not know the account."""
        self._settings: Accounts | None = None
        """What `_unavailable` was made with."""

    def apply(self, records: Sequence[LogRecord]) -> None:
        for record in records:
            try:
                found = read_integration(record.key, record.value, record.timestamp)
            except Unreadable as error:
                log.warning("integrations: the record at offset %d says nothing: %s", record.offset, error)
                self._metrics.count(INTEGRATIONS_UNREADABLE)
                continue
            identity = found.location_id, found.channel
            if found.status is IntegrationStatus.DISCONNECTED and found.found_by == FOUND_BY_DISPATCH:
                self.found_broken.add(identity)
            else:
                self.found_broken.discard(identity)
            if found.status is None:
                self._statuses.pop(identity, None)
            else:
                self._statuses[identity] = found.status
            if self._settings is not None:
                self._judge(identity, self._settings)

    def status(self, location_id: str, channel: Channel) -> IntegrationStatus | None:
        return self._statuses.get((location_id, channel))

    def unavailable(self) -> Mapping[IntegrationId, Unavailability]:
        settings = self._accounts.current
        if settings is not self._settings:
            self._settings = settings
            self._unavailable.clear()
            for identity in self._statuses:
                self._judge(identity, settings)
            for location_id, location in settings.locations.items():
                if location.require_integration:
                    for channel in Channel:
                        self._judge((location_id, channel), settings)
        return self._unavailable

    def count(self, status: IntegrationStatus) -> int:
        return sum(1 for found in self._statuses.values() if found is status)

    def _judge(self, identity: IntegrationId, settings: Accounts) -> None:
        status = self._statuses.get(identity)
        if status is IntegrationStatus.DISCONNECTED:
            self._unavailable[identity] = Unavailability.DISCONNECTED
        elif status is None and settings.location(identity[0]).require_integration:
            self._unavailable[identity] = Unavailability.UNKNOWN
        else:
            self._unavailable.pop(identity, None)


class Integrations:
    """Look things up from any role once `loaded`; `run` keeps it going, through outages with what was known last."""

    def __init__(self, clients: Clients, topic: str, accounts: HasAccounts, metrics: Metrics) -> None:
        self._table = IntegrationTable(accounts, metrics)
        self._followed = CompactedTopic(clients, topic, lambda: IntegrationTable(accounts, metrics), self._install)
        metrics.watch(INTEGRATIONS, self._counts)

    def _install(self, table: IntegrationTable) -> None:
        self._table = table

    async def run(self) -> None:
        """Follow the topic, until cancelled."""
        await self._followed.run()

    async def loaded(self, stop: asyncio.Event) -> bool:
        """Wait until the topic has been read once; False when `stop` is set before."""
        return await set_before_stop(self._followed.loaded, stop)

    def problems(self) -> list[str]:
        """Why nothing can be looked up yet. An outage later is none: what was known stays in force."""
        if self._followed.loaded.is_set():
            return []
        return [f"loading: {self._followed.problem or 'the integrations are read'}"]

    def status(self, location_id: str, channel: Channel) -> IntegrationStatus | None:
        """None = nobody has said anything about it."""
        return self._table.status(location_id, channel)

    def found_broken(self) -> Collection[IntegrationId]:
        """Channels that dispatch has found disconnected, in whatever process, and that wait to be found connected."""
        return self._table.found_broken

    def enlisted(self, location_id: str) -> frozenset[Channel]:
        """The channels that can be sent on and switched (R7)."""
        unavailable = self._table.unavailable()
        return frozenset(channel for channel in Channel if (location_id, channel) not in unavailable)

    def unavailable(self) -> Mapping[IntegrationId, Unavailability]:
        """Every channel that cannot be sent on, and why. Of this moment: ask again for the next batch."""
        return self._table.unavailable()

    def _counts(self) -> Samples:
        return {(status.value,): self._table.count(status) for status in IntegrationStatus}
