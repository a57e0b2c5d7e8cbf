"""Meta's webhook, one for all pages and numbers of the app: the handshake that sets it up, and its posts."""

from __future__ import annotations

from functools import partial

from aiohttp import web

from gateway.accounts import Accounts, Lookups
from gateway.dnd.keywords import classify
from gateway.metrics import Metrics
from gateway.providers.meta.webhooks import SIGNATURE_HEADER, Destinations, handshake, parse, verify
from gateway.providers.meta.whatsapp import PROVIDER, WhatsAppNumber
from gateway.providers.signals import BadSignature
from gateway.web.problems import problem
from gateway.web.webhooks.nobody import NOBODYS_SECRETS
from gateway.web.webhooks.reception import Door, Limits, Reception, Told

PATH = "/webhooks/meta"

LIMITS = Limits(body_bytes=3 * 1024 * 1024, calls=32)
"""Meta says that a post has up to 3 MB. It comes again for days."""


class MetaWebhooks:
    def __init__(self, accounts: Lookups, door: Door, metrics: Metrics) -> None:
        self._accounts = accounts
        self._reception = Reception(PROVIDER, LIMITS, door, metrics)
        self._of: Accounts | None = None
        self._destinations = Destinations()

    def add_to(self, app: web.Application) -> None:
        app.router.add_get(PATH, self._handshake, allow_head=False)
        app.router.add_post(PATH, self._post)

    async def _handshake(self, request: web.Request) -> web.Response:
        meta = self._accounts.meta
        token = NOBODYS_SECRETS[0] if meta is None else meta.verify_token.reveal()
        try:
            challenge = handshake(request.query, token)
        except BadSignature:
            return problem(403, "this is not the handshake that is expected")
        headers = {"X-Content-Type-Options": "nosniff"}  # it is what the caller sent
        return web.Response(body=challenge.encode(errors="replace"), content_type="text/plain", headers=headers)

    async def _post(self, request: web.Request) -> web.Response:
        meta = self._accounts.meta
        secrets = NOBODYS_SECRETS if meta is None else [secret.reveal() for secret in meta.app_secrets]

        def read(body: bytes) -> Told:
            verify(body, request.headers.get(SIGNATURE_HEADER), secrets)
            return Told(parse(body, self._destinations_now()))

        # The app stands for all its locations.
        return await self._reception.receive(request, "" if meta is None else "*", read, web.Response)

    def _destinations_now(self) -> Destinations:
        """Of the accounts in force, made anew when they have changed."""
        accounts = self._accounts.current
        if accounts is not self._of:
            self._of, self._destinations = accounts, _destinations(accounts)
        return self._destinations


def _destinations(accounts: Accounts) -> Destinations:
    if accounts.meta is None:
        return Destinations()
    numbers = {id_: _number(accounts, sender.location_id) for id_, sender in accounts.meta.whatsapp.items()}
    return Destinations(frozenset(accounts.meta.pages), numbers)


def _number(accounts: Accounts, location_id: str) -> WhatsAppNumber:
    location = accounts.location(location_id)
    return WhatsAppNumber(
        location_id,
        partial(classify, profile=location.keyword_profile, extra_opt_out_words=location.extra_opt_out_words),
        location.whatsapp_marketing_optout,
        location.opt_out_channels,
    )
