"""The service with the sandbox providers around it: ready, played on, audited.

Everything in it runs on one event loop: the service with all its roles, the providers it calls by HTTP and that call it
back, and the ledger that reads the topics for the screen.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aiohttp
from rich.console import Console

from gateway.accounts import Accounts
from gateway.app import Service
from gateway.contract.topics import Topics
from gateway.demo.accounts_file import Keys
from gateway.demo.audit.audit import audit
from gateway.demo.audit.faults import Report
from gateway.demo.audit.reading import read_history
from gateway.demo.campaign import make_campaign
from gateway.demo.honour import honour_times
from gateway.demo.ledger import Ledger
from gateway.demo.outside import Outside
from gateway.demo.player import Player
from gateway.demo.providers.sandbox import SandboxProviders
from gateway.demo.screen import Moment
from gateway.demo.setup import HTTP_HOST, DemoError, Options
from gateway.demo.summary import busy
from gateway.demo.watching import watched
from gateway.settings import Settings
from gateway.streams.clients import Clients

READY_DEADLINE_S = 60.0
"""The service needs a few seconds."""

READY_PAUSE_S = 0.05
"""Between two looks whether it is ready, and whether everything is through."""

SETTLE_DEADLINE_S = 30.0
"""For the last requests to be decided and sent; longer, and something is wrong."""

SETTLE_PAUSE_S = 0.3
"""Between two audits."""

CHALLENGE = "1158201444"
"""What Meta asks the webhook to repeat."""


class Stage:
    """One campaign. SettingsError, UnknownRoleError: the service cannot be made."""

    def __init__(
        self, options: Options, settings: Settings, console: Console, providers: SandboxProviders, keys: Keys
    ) -> None:
        self._options = options
        self._settings = settings
        self._console = console
        self._providers = providers
        self._keys = keys
        self._topics = Topics(settings.topics.prefix)
        self._clients = Clients(settings.kafka, "sendguard-demo")
        self.service = Service(settings)
        self.ledger = Ledger(self._clients, self._topics)
        self._begun: float | None = None

    async def play(self) -> Report:
        """Wait for the service, play the campaign on it, and audit it. DemoError."""
        await self._until_ready()
        async with self._player() as player:
            with busy(self._console, "Importing contacts ..."):
                await player.set_up()
            playing = asyncio.create_task(self._played(player), name="campaign")
            try:
                return await watched(self._console, lambda: self._moment(player), playing)
            finally:
                playing.cancel()
                await asyncio.gather(playing, return_exceptions=True)

    def honour_times(self) -> tuple[float | None, float | None]:
        """p50 and p99 in seconds."""
        p50, p99 = honour_times(self.service.metrics, 0.5, 0.99)
        return p50, p99

    async def _until_ready(self) -> None:
        with busy(self._console, "Starting the service ..."):
            try:
                async with asyncio.timeout(READY_DEADLINE_S):
                    while self.service.problems():  # noqa: ASYNC110 - readiness is asked for, as /readyz does
                        await asyncio.sleep(READY_PAUSE_S)
            except TimeoutError:
                reasons = "; ".join(problem.reason for problem in self.service.problems())
                raise DemoError(f"the service is not ready: {reasons}") from None
        url = self._providers.service_url = f"http://{HTTP_HOST}:{self.service.port}"
        if not await self._providers.shake_hands(CHALLENGE):
            raise DemoError(f"{url}/webhooks/meta does not answer Meta's challenge")
        ready = f"Service ready, {url}/readyz and /metrics, all roles in one process"
        self._console.print(ready, highlight=False, soft_wrap=True)
        providers = f"Sandbox Twilio, Mailgun, Meta and a hook on {self._providers.url}"
        self._console.print(providers, highlight=False, soft_wrap=True)

    @asynccontextmanager
    async def _player(self) -> AsyncIterator[Player]:
        async with aiohttp.ClientSession() as session:
            outside = Outside(self._providers, self._keys, session)
            campaign = make_campaign(self._options.seed)
            player = Player(self._clients, self._topics, outside, campaign, self._options.duration_s)
            try:
                yield player
            finally:
                await player.close()

    async def _played(self, player: Player) -> Report:
        self._begun = time.monotonic()
        await player.play()
        return await self._settled()

    async def _settled(self) -> Report:
        """The audit, once it looks as if everything were through; and again while something may be on its way."""
        region = Accounts.load(self._settings.accounts).default_region
        deadline = time.monotonic() + SETTLE_DEADLINE_S
        while not self.ledger.figures.is_settled and time.monotonic() < deadline:  # noqa: ASYNC110 - Kafka says it
            await asyncio.sleep(READY_PAUSE_S)
        while True:
            history = await read_history(self._clients, self._topics, self._providers.log, self.ledger.seen)
            report = audit(history, region)
            if report.is_settled or time.monotonic() > deadline:
                return report
            await asyncio.sleep(SETTLE_PAUSE_S)

    def _moment(self, player: Player) -> Moment:
        p50, p99 = self.honour_times()
        log = self._providers.log
        return Moment(
            title=f"Kafka {self._settings.kafka.bootstrap_servers}  {self._providers.service_url}",
            progress=player.progress,
            elapsed_s=0.0 if self._begun is None else time.monotonic() - self._begun,
            figures=self.ledger.figures,
            honour_p50_s=p50,
            honour_p99_s=p99,
            provider_calls=log.count,
            calls=list(log.latest),
            refused=list(self.ledger.latest),
            problems=[problem.reason for problem in self.service.problems()],
        )
