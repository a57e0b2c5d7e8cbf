"""Mailgun's webhook. Its signature covers a time and a token, not the event: each signed pair counts once.

Mailgun takes 200 for done and 406 for "never again", and comes again for 8 hours after any other answer. So 406 is
never said: what cannot be read is done, and what is not safe must come again.
"""

from __future__ import annotations

from aiohttp import web

from gateway.accounts import Lookups
from gateway.metrics import Metrics
from gateway.providers.mailgun.webhooks import PROVIDER, parse, verify
from gateway.web.webhooks.nobody import NOBODYS_SECRETS
from gateway.web.webhooks.reception import Door, Limits, Reception, Told

PATH = "/webhooks/mailgun/{location_id}"

LIMITS = Limits(body_bytes=256 * 1024, calls=256)
"""An event has some KiB; what the sender attaches to it as variables is at most 16 KiB."""


class MailgunWebhooks:
    def __init__(self, accounts: Lookups, door: Door, metrics: Metrics) -> None:
        self._accounts = accounts
        self._reception = Reception(PROVIDER, LIMITS, door, metrics)

    def add_to(self, app: web.Application) -> None:
        app.router.add_post(PATH, self._event)

    async def _event(self, request: web.Request) -> web.Response:
        location_id = request.match_info["location_id"]
        account = self._accounts.mailgun(location_id)
        keys = NOBODYS_SECRETS if account is None else [key.reveal() for key in account.signing_keys]

        def read(body: bytes) -> Told:
            envelope = verify(body, keys)
            # With the location: two may share an account, and each has a webhook that is called.
            return Told(parse(envelope, location_id), f"{envelope.replay_key} {location_id}")

        known = "" if account is None else location_id
        return await self._reception.receive(request, known, read, web.Response)
