"""Accounts that the sandbox providers know: what they are called, what opens them, and whose they are.

An account belongs to one location here, so that a call tells whose message it is.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field

from gateway.dnd.model import Channel


@dataclass(frozen=True, slots=True, kw_only=True)
class TwilioAccount:
    """Sends from `number`. Its token opens the API and signs webhooks."""

    sid: str
    auth_token: str = field(repr=False)
    number: str
    location_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class MailgunDomain:
    """A sending domain. The key opens the API, the signing key signs webhooks."""

    name: str
    api_key: str = field(repr=False)
    signing_key: str = field(repr=False)
    location_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class MetaNode:
    """A Messenger page or a WhatsApp number, by its id."""

    id: str
    token: str = field(repr=False)
    location_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class MetaApp:
    """All pages and numbers belong to one app; its secret signs webhooks."""

    app_secret: str = field(repr=False)
    verify_token: str = field(repr=False)
    pages: Sequence[MetaNode]
    numbers: Sequence[MetaNode]


@dataclass(frozen=True, slots=True, kw_only=True)
class Hook:
    """A URL that messages of one channel are posted to. Whoever knows its name may post."""

    name: str
    channel: Channel
    location_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ProviderAccounts:
    """Everything there is. `public_url`: the base of the service's webhooks, as all providers were told."""

    public_url: str
    twilio: Sequence[TwilioAccount]
    mailgun: Sequence[MailgunDomain]
    meta: MetaApp
    hooks: Sequence[Hook]


def make_accounts(location_ids: Sequence[str], public_url: str) -> ProviderAccounts:
    """One account of every kind for each location, with names that stay the same and secrets that do not."""
    return ProviderAccounts(
        public_url=public_url,
        twilio=[
            TwilioAccount(
                sid=f"AC{hashlib.sha256(location_id.encode()).hexdigest()[:32]}",
                auth_token=secrets.token_hex(16),
                number=f"+1415555{100 + index:04}",
                location_id=location_id,
            )
            for index, location_id in enumerate(location_ids)
        ],
        mailgun=[
            MailgunDomain(
                name=f"mg.{location_id}.example.com",
                api_key=f"key-{secrets.token_hex(16)}",
                signing_key=secrets.token_hex(16),
                location_id=location_id,
            )
            for location_id in location_ids
        ],
        meta=MetaApp(
            app_secret=secrets.token_hex(16),
            verify_token=secrets.token_hex(16),
            pages=_nodes(location_ids, 1_001),
            numbers=_nodes(location_ids, 2_001),
        ),
        hooks=[
            Hook(name=f"{location_id}-gmb", channel=Channel.GMB, location_id=location_id)
            for location_id in location_ids
        ],
    )


def _nodes(location_ids: Sequence[str], first: int) -> list[MetaNode]:
    return [
        MetaNode(id=str(first + index), token=secrets.token_hex(32), location_id=location_id)
        for index, location_id in enumerate(location_ids)
    ]
