"""The doors that providers knock at: one file each, and `reception` for what they share."""

from __future__ import annotations

from aiohttp import web

from gateway.accounts import Lookups
from gateway.metrics import Metrics
from gateway.web.webhooks.mailgun import MailgunWebhooks
from gateway.web.webhooks.meta import MetaWebhooks
from gateway.web.webhooks.reception import Door
from gateway.web.webhooks.twilio import TwilioWebhooks


def add_webhooks(app: web.Application, accounts: Lookups, door: Door, metrics: Metrics) -> None:
    """All of them."""
    for provider in (TwilioWebhooks, MailgunWebhooks, MetaWebhooks):
        provider(accounts, door, metrics).add_to(app)
