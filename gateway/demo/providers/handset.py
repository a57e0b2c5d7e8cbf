"""A phone in the hand of whoever watches: what is posted here is texted to a business, as any other person's reply.

`POST /phones/{number}/texts` with a form of `business` (a location's id) and `body`. Twilio has no such thing; it is
the other end of its network. The answer says how the service answered Twilio's webhook.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping

from aiohttp import web

from gateway.demo.providers.accounts import TwilioAccount
from gateway.demo.providers.answering import Reply, read_form
from gateway.demo.providers.twilio import TwilioSandbox
from gateway.demo.providers.webhooks import Webhook

Deliver = Callable[[Webhook], Awaitable[int]]


class Handset:
    """Any phone."""

    def __init__(self, twilio: TwilioSandbox, accounts: Mapping[str, TwilioAccount], deliver: Deliver) -> None:
        """`accounts` by location."""
        self._twilio = twilio
        self._accounts = accounts
        self._deliver = deliver

    def add_to(self, app: web.Application) -> None:
        app.router.add_post("/phones/{number}/texts", self._text)

    async def _text(self, request: web.Request) -> web.Response:
        form = await read_form(request)
        account = self._accounts.get(form.get("business"))
        if account is None:
            return Reply(404, f"expected business to be one of {', '.join(self._accounts)}\n").response()
        webhook = self._twilio.wrote(account, request.match_info["number"], form.get("body"))
        status = await self._deliver(webhook)
        return Reply(200, f"texted to {account.number}; the webhook was answered with {status}\n").response()
