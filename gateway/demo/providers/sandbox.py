"""The sandbox's server: every provider on one loopback port, at the paths they have themselves; and their webhooks.

The service calls in: its accounts file names this server as `api_base` of every account. The providers call back: who
plays a person or a carrier makes a webhook (`twilio.wrote`, `mailgun.told`, ...) and has it delivered. It is signed for
the URL that the provider was told; `deliver` posts it to where the service listens, as a proxy in front would.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aiohttp
from aiohttp import web
from yarl import URL

from gateway.demo.providers.accounts import ProviderAccounts
from gateway.demo.providers.answering import Counter
from gateway.demo.providers.handset import Handset
from gateway.demo.providers.hooks import HookSandbox
from gateway.demo.providers.mailgun import MailgunSandbox
from gateway.demo.providers.meta import MetaSandbox
from gateway.demo.providers.request_log import RequestLog
from gateway.demo.providers.twilio import TwilioSandbox
from gateway.demo.providers.webhooks import Webhook, meta_handshake

HOST = "127.0.0.1"

BODY_LIMIT_BYTES = 32 * 1024 * 1024
"""Above what any provider takes."""

DELIVERY_TIMEOUT_S = 15.0
"""How long Twilio waits for an answer to a webhook."""


SHUTDOWN_S = 1.0
"""What calls at hand get to be answered when it ends; each is in the log already."""


class SandboxProviders:
    """All providers. `url` is known while it is served."""

    def __init__(self, accounts: ProviderAccounts, log: RequestLog, latency_s: float = 0.0) -> None:
        """`latency_s`: how long an answer takes, without which a call is over before the next one begins."""
        self.accounts = accounts
        self.log = log
        counter, public_url = Counter(log, latency_s), accounts.public_url
        self.twilio = TwilioSandbox({each.sid: each for each in accounts.twilio}, public_url, counter)
        self.mailgun = MailgunSandbox({each.name: each for each in accounts.mailgun}, public_url, counter)
        self.meta = MetaSandbox(accounts.meta, public_url, counter)
        self.hooks = HookSandbox({each.name: each for each in accounts.hooks}, counter)
        self._handset = Handset(self.twilio, {each.location_id: each for each in accounts.twilio}, self.deliver)
        self.service_url = public_url
        """Where the service listens in truth; to be set when that is somewhere else."""
        self._session: aiohttp.ClientSession | None = None
        self._url = ""

    @property
    def url(self) -> str:
        """The base of all APIs."""
        if not self._url:
            raise RuntimeError("the sandbox is not served")
        return self._url

    @asynccontextmanager
    async def served(self, port: int = 0) -> AsyncIterator[SandboxProviders]:
        """From here on calls are answered and webhooks can be delivered. OSError when the port is in use."""
        app = web.Application(client_max_size=BODY_LIMIT_BYTES)
        for provider in (self.twilio, self.mailgun, self.meta, self.hooks, self._handset):
            provider.add_to(app)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=SHUTDOWN_S)
        await runner.setup()
        try:
            await web.TCPSite(runner, HOST, port).start()
            self._url = f"http://{HOST}:{runner.addresses[0][1]}"
            timeout = aiohttp.ClientTimeout(total=DELIVERY_TIMEOUT_S)
            with self.log:
                async with aiohttp.ClientSession(timeout=timeout) as self._session:
                    yield self
        finally:
            self._url = ""
            await runner.cleanup()

    async def deliver(self, webhook: Webhook) -> int:
        """The status of the service's answer. The same webhook again is a repeated delivery. aiohttp.ClientError."""
        url = URL(self._located(webhook.url), encoded=True)  # byte for byte as it was signed
        async with self._caller().post(url, data=webhook.body, headers=webhook.headers) as answer:
            await answer.read()
            return answer.status

    async def shake_hands(self, challenge: str) -> bool:
        """Meta's question whether the webhook is the service's own."""
        meta = self.accounts.meta
        url = meta_handshake(f"{self.accounts.public_url}/webhooks/meta", meta.verify_token, challenge)
        async with self._caller().get(URL(self._located(url), encoded=True)) as answer:
            return answer.status == 200 and await answer.text() == challenge

    def _located(self, url: str) -> str:
        return self.service_url + url.removeprefix(self.accounts.public_url)

    def _caller(self) -> aiohttp.ClientSession:
        if self._session is None:
            raise RuntimeError("the sandbox is not served")
        return self._session
