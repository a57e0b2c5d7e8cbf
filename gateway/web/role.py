"""The role `http`: webhooks and the contact API. Health is served whatever roles run.

Theory of operation. Providers do not come again for most of what they tell, so the door is open for as long as the
server listens, and not only while the role runs: before that Kafka may be away, and after that there is a moment until
the server stops. The server starts and ends what is behind the door (`_behind`).

1. With the server: the spool is opened; whatever is told goes there.
2. With the role, when the topics are known to be as they must: what is told goes to Kafka, and the spool is drained.
3. When the server has stopped listening and every call is answered: the producers and the spool are closed.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

from aiohttp import web

from gateway.clock import now_ms
from gateway.directory.directory import Directory
from gateway.directory.following import ContactsOfAddresses
from gateway.roles import Services
from gateway.sent import SentLookup, SentMessages
from gateway.signals.known import FreshRecords
from gateway.signals.service import Signals
from gateway.signals.spool import SpoolUnavailable
from gateway.signals.start_check import TwilioStartCheck
from gateway.web.api.building import ApiService
from gateway.web.webhooks import add_webhooks

SPOOL_OPEN_AGAIN_S = 1.0
"""Between two tries to open the spool."""

SPOOL_OLD_S = 15 * 60
"""Other processes have not honoured an opt-out for so long: above what Kafka takes to be repaired by itself."""


def build(services: Services) -> HttpRole:
    return HttpRole(services)


class HttpRole:
    """Owns the signals: their door, their producers and their spool."""

    def __init__(self, services: Services) -> None:
        """SettingsError: the database's URL is none."""
        self._services = services
        self._start_check = TwilioStartCheck(services.accounts, services.metrics)
        self._directory = Directory.of(services.settings)
        contacts = ContactsOfAddresses(self._directory, FreshRecords(services.fresh_state()).in_view)
        self._sent = SentMessages.of(services.settings)
        lookup = SentLookup(self._sent, services.metrics)
        self._signals = Signals(services, contacts=contacts, start_check=self._start_check, sent=lookup)
        self._api = ApiService(services, self._signals.publisher)
        self._topics_checked = asyncio.Event()
        self._working: asyncio.Task[None] | None = None
        services.web.append(self._extend)

    async def run(self, stop: asyncio.Event) -> None:
        """Until `stop`. What is behind the door works on; if it dies, this raises."""
        if self._working is None:
            raise RuntimeError("the role http needs the service's server, and that has not started")
        self._topics_checked.set()
        stopping = asyncio.create_task(stop.wait(), name="stop signal")
        try:
            await asyncio.wait([self._working, stopping], return_when=asyncio.FIRST_COMPLETED)
        finally:
            stopping.cancel()
        if self._working.done():
            await self._working

    def problems(self) -> list[str]:
        oldest_at = self._signals.spool.oldest_at
        age_s = 0 if oldest_at is None else (now_ms() - oldest_at) // 1000
        old = [f"spool: the oldest signal has waited for Kafka for {age_s} s"] if age_s > SPOOL_OLD_S else []
        return [*self._signals.problems(), *old, *self._api.problems()]

    def _extend(self, app: web.Application) -> None:
        services = self._services
        add_webhooks(app, services.accounts, self._signals.door, services.metrics)
        self._api.add_to(app)
        app.cleanup_ctx.append(self._behind)

    async def _behind(self, _: web.Application) -> AsyncIterator[None]:
        async with self._start_check.opened():
            self._working = asyncio.create_task(self._work(), name="behind the door")
            yield
            self._working.cancel()
            await asyncio.wait([self._working])

    async def _work(self) -> None:
        try:
            await self._open_spool()
            await self._topics_checked.wait()
            async with asyncio.TaskGroup() as group:
                group.create_task(self._signals.run(), name="signals")
                group.create_task(self._api.run(), name="contact API")
        finally:
            await self._signals.spool.close()
            await self._directory.close()
            await self._sent.close()

    async def _open_spool(self) -> None:
        """Until it is open, or somebody else (the drainer) goes on trying."""
        while not self._topics_checked.is_set():
            try:
                await self._signals.spool.open()
            except SpoolUnavailable:  # `problems` says it
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._topics_checked.wait(), SPOOL_OPEN_AGAIN_S)
            else:
                return
