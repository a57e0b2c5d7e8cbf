"""Providers as they call us: signed with what the accounts file says, Twilio's by its own SDK."""

from __future__ import annotations

import io
import json
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import aiohttp
from twilio.request_validator import RequestValidator  # type: ignore[import-untyped]  # ships no py.typed
from yarl import URL

from gateway.providers.meta.webhooks import SIGNATURE_HEADER as META_SIGNATURE
from tests.providers.calls import APP_SECRET, MAILGUN_KEY, hex_hmac, payload
from tests.providers.meta.whatsapp import NUMBER_ID, PAGE_ID
from tests.providers.twilio.calls import form as twilio_form

PUBLIC_URL = "https://gw.example.com/sg"
"""What the provider calls: another host, port, scheme and path than ours."""

TOKEN, OLD_TOKEN = "twilio-token", "twilio-token-of-last-year"
VERIFY_TOKEN = "handshake"  # noqa: S105

ACCOUNTS = f"""
[locations.loc1]
default_region = "US"
start_check_window_s = 0  # what was received last was sent last: there is no Twilio to ask
[locations.loc1.twilio]
account_sid = "AC1"
auth_token = ["{TOKEN}", "{OLD_TOKEN}"]
public_url = "{PUBLIC_URL}"
[locations.loc1.mailgun]
signing_key = "{MAILGUN_KEY}"
api_key = "unused"
domains = ["mg.example.com"]
[locations.loc2.twilio]
account_sid = "AC2"
auth_token = "token-of-loc2"
public_url = "{PUBLIC_URL}"
[locations.loc3]
keyword_profile = "twilio_aligned"
[meta]
app_secret = "{APP_SECRET}"
verify_token = "{VERIFY_TOKEN}"
[meta.pages]
"{PAGE_ID}" = {{ location = "loc1", token = "unused" }}
[meta.whatsapp]
"{NUMBER_ID}" = {{ location = "loc1", token = "unused" }}
"""

Headers = Mapping[str, str]


def accounts_in(folder: Path) -> Path:
    path = folder / "accounts.toml"
    path.write_text(ACCOUNTS, encoding="utf-8")
    return path


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    body: bytes
    headers: Mapping[str, str]

    @property
    def problem(self) -> dict[str, Any]:
        assert self.headers["Content-Type"] == "application/problem+json"
        found: dict[str, Any] = json.loads(self.body)
        return found


@dataclass(frozen=True, slots=True)
class Provider:
    """Calls the door at `url`."""

    url: str
    session: aiohttp.ClientSession

    async def post(self, path: str, body: bytes | None, headers: Headers, **more: Any) -> Answer:
        url = URL(f"{self.url}{path}", encoded=True)  # as it was signed
        data = None if body is None else io.BytesIO(body)
        async with self.session.post(url, data=data, headers=headers, **more) as answer:
            return Answer(answer.status, await answer.read(), answer.headers)

    async def twilio(
        self, path: str, fields: Mapping[str, str], *, key: str = TOKEN, signed_as: str = PUBLIC_URL
    ) -> Answer:
        """`path` with its query, below the public URL."""
        return await self.post(path, *twilio_call(path, fields, key=key, signed_as=signed_as))

    async def text(self, said: str, phone: str, *, sid: str | None = None, **fields: str) -> Answer:
        """A person writes an SMS to loc1."""
        changed = {"Body": said, "From": phone, "MessageSid": sid or f"SM{uuid.uuid4().hex}"} | fields
        return await self.twilio("/webhooks/twilio/loc1/inbound", twilio_form("inbound_text", **changed))

    async def failed(self, code: str, phone: str, created_at: int | None = None, *, sid: str | None = None) -> Answer:
        """A message of loc1 to a person could not be delivered."""
        query = "" if created_at is None else f"?created_at={created_at}"
        fields = twilio_form(
            "status_undelivered_30003", ErrorCode=code, To=phone, MessageSid=sid or f"SM{uuid.uuid4().hex}"
        )
        return await self.twilio(f"/webhooks/twilio/loc1/status{query}", fields)

    async def mailgun(self, event: Mapping[str, Any], *, once: str | None = None, location: str = "loc1") -> Answer:
        return await self.post(f"/webhooks/mailgun/{location}", *mailgun_call(event, once=once))

    async def meta(self, post: Mapping[str, Any]) -> Answer:
        return await self.post("/webhooks/meta", *meta_call(json.dumps(post).encode()))


Call = tuple[bytes, dict[str, str]]
"""A body and its headers."""


def twilio_call(path: str, fields: Mapping[str, str], *, key: str = TOKEN, signed_as: str = PUBLIC_URL) -> Call:
    """Signed by Twilio's SDK, over the URL as Twilio knows it."""
    signature = RequestValidator(key).compute_signature(f"{signed_as}{path}", dict(fields))
    headers = {"X-Twilio-Signature": signature, "Content-Type": "application/x-www-form-urlencoded"}
    return urlencode(fields).encode(), headers


def mailgun_event(name: str, recipient: str, **changed: Any) -> dict[str, Any]:
    event: dict[str, Any] = payload("mailgun", name)["event-data"]
    return event | {"recipient": recipient, "id": uuid.uuid4().hex} | changed


def mailgun_call(event: Mapping[str, Any] | None, *, once: str | None = None, key: str = MAILGUN_KEY) -> Call:
    timestamp, token = "1763900000", once or uuid.uuid4().hex
    signature = {"timestamp": timestamp, "token": token, "signature": hex_hmac(key, (timestamp + token).encode())}
    body = {"signature": signature} | ({} if event is None else {"event-data": event})
    return json.dumps(body).encode(), {"Content-Type": "application/json"}


def meta_call(body: bytes, *, secret: str = APP_SECRET) -> Call:
    return body, {"Content-Type": "application/json", META_SIGNATURE: f"sha256={hex_hmac(secret, body)}"}
