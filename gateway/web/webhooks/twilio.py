"""Twilio's webhooks: inbound messages, answered with an empty TwiML document, and statuses of messages we sent."""

from __future__ import annotations

from aiohttp import web

from gateway.accounts import LocationSettings, Lookups
from gateway.metrics import Metrics
from gateway.providers.twilio.webhooks import INBOUND_PATH, STATUS_PATH, Call, parse_inbound, parse_status, verify
from gateway.web.webhooks.nobody import NOBODYS_SECRETS, NOBODYS_URL
from gateway.web.webhooks.reception import Door, Limits, Reception, Told

LIMITS = Limits(body_bytes=256 * 1024, calls=256)
"""An inbound message of 1,600 characters with ten media has below 64 KiB as a form."""

SIGNATURE_HEADER = "X-Twilio-Signature"
IDEMPOTENCY_HEADER = "I-Twilio-Idempotency-Token"

NO_REPLY = b'<?xml version="1.0" encoding="UTF-8"?><Response/>'
"""TwiML for: do not answer the message."""


class TwilioWebhooks:
    def __init__(self, accounts: Lookups, door: Door, metrics: Metrics) -> None:
        self._accounts = accounts
        self._reception = Reception("twilio", LIMITS, door, metrics)

    def add_to(self, app: web.Application) -> None:
        app.router.add_post(INBOUND_PATH, self._inbound)
        app.router.add_post(STATUS_PATH, self._status)

    async def _inbound(self, request: web.Request) -> web.Response:
        location_id, location = self._called(request)

        def read(body: bytes) -> Told:
            call = _verified(request, body, location)
            token = request.headers.get(IDEMPOTENCY_HEADER)
            return Told(parse_inbound(call.form, location_id, location, token))

        return await self._reception.receive(request, _known(location_id, location), read, _no_reply)

    async def _status(self, request: web.Request) -> web.Response:
        location_id, location = self._called(request)

        def read(body: bytes) -> Told:
            call = _verified(request, body, location)
            return Told(parse_status(call.form, call.query, location_id, location))

        return await self._reception.receive(request, _known(location_id, location), read, web.Response)

    def _called(self, request: web.Request) -> tuple[str, LocationSettings]:
        location_id = request.match_info["location_id"]
        return location_id, self._accounts.location(location_id)


def _known(location_id: str, location: LocationSettings) -> str:
    return "" if location.twilio is None else location_id


def _verified(request: web.Request, body: bytes, location: LocationSettings) -> Call:
    """The raw path and query, as Twilio wrote and signed them. Who has no account gets the same work and answer."""
    account = location.twilio
    return verify(
        NOBODYS_URL if account is None else account.public_url,
        request.raw_path,
        body,
        request.headers.get("Content-Type", ""),
        request.headers.get(SIGNATURE_HEADER),
        NOBODYS_SECRETS if account is None else [token.reveal() for token in account.auth_tokens],
    )


def _no_reply() -> web.Response:
    return web.Response(body=NO_REPLY, content_type="text/xml", charset="utf-8")
