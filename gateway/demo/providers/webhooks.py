"""Webhooks as the providers make them: a body, and the signature that proves whose it is.

Twilio (twilio.com/docs/usage/webhooks/webhooks-security): base64 of HMAC-SHA1 under the auth token, over the URL and
behind it every form field in the order of names, name and value without anything between. Mailgun
(documentation.mailgun.com, "Securing Webhooks"): hex of HMAC-SHA256 under the signing key over timestamp and token,
which stand in the body beside it. Meta (developers.facebook.com/docs/graph-api/webhooks): hex of HMAC-SHA256 under the
app secret over the body's bytes. None of this is taken from the code that verifies it.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import secrets
import time
import uuid
from base64 import b64encode
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import urlencode


@dataclass(frozen=True, slots=True)
class Webhook:
    """One call of the provider's, whole. `url`: as the provider was told it, which may be that of a proxy."""

    url: str
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False)


def twilio_webhook(url: str, fields: Mapping[str, str], auth_token: str) -> Webhook:
    """A form post. The idempotency token is the same however often this one is delivered."""
    signed = url + "".join(f"{name}{value}" for name, value in sorted(fields.items()))
    signature = b64encode(hmac.new(auth_token.encode(), signed.encode(), hashlib.sha1).digest()).decode()
    headers = {
        "Content-Type": "application/x-www-form-urlencoded; charset=UTF-8",
        "X-Twilio-Signature": signature,
        "I-Twilio-Idempotency-Token": str(uuid.uuid4()),
        "User-Agent": "TwilioProxy/1.1",
    }
    return Webhook(url, headers, urlencode(fields).encode())


def mailgun_webhook(url: str, event: Mapping[str, object], signing_key: str) -> Webhook:
    """A JSON post with the event as it stands in Mailgun's log."""
    timestamp, token = str(int(time.time())), secrets.token_hex(25)
    signature = hmac.new(signing_key.encode(), f"{timestamp}{token}".encode(), hashlib.sha256).hexdigest()
    body = {
        "signature": {"timestamp": timestamp, "token": token, "signature": signature},
        "event-data": event,
    }
    headers = {"Content-Type": "application/json", "User-Agent": "mailgun/treq-22.2.0"}
    return Webhook(url, headers, json.dumps(body).encode())


def meta_webhook(url: str, post: Mapping[str, object], app_secret: str) -> Webhook:
    """A JSON post; what is not ASCII is escaped, as Meta does."""
    body = json.dumps(post, separators=(",", ":")).encode()
    signature = hmac.new(app_secret.encode(), body, hashlib.sha256).hexdigest()
    headers = {
        "Content-Type": "application/json",
        "X-Hub-Signature-256": f"sha256={signature}",
        "User-Agent": "facebookexternalua",
    }
    return Webhook(url, headers, body)


def meta_handshake(url: str, verify_token: str, challenge: str) -> str:
    """The URL of the GET by which Meta asks whether the webhook is ours; it must answer with the challenge."""
    query = {"hub.mode": "subscribe", "hub.challenge": challenge, "hub.verify_token": verify_token}
    return f"{url}?{urlencode(query)}"
