"""Which account sends a location's messages of a channel, by the accounts file.

For each channel the first of its row that is configured: a generic provider that the location names for the channel is
meant for it, so it comes before the accounts that could send on several. Nothing configured: nobody sends.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from gateway.accounts.accounts import Accounts
from gateway.dnd.model import Channel
from gateway.providers.http.send import HttpSender
from gateway.providers.mailgun.send import MailgunSender
from gateway.providers.meta.messenger_send import MessengerSender
from gateway.providers.meta.whatsapp_send import WhatsAppSender
from gateway.providers.sending import Sender
from gateway.providers.twilio.calls import TwilioCalls
from gateway.providers.twilio.send import TwilioSms, TwilioWhatsApp
from gateway.settings import Secret


@dataclass(frozen=True, slots=True)
class Serving:
    """Who sends. `account`: what limits and the breaker are kept for; other credentials are another account, so that a
    location with a wrong token does not stop those that share its number."""

    sender: Sender
    account: str
    max_per_second: float


def serving(accounts: Accounts, location_id: str, channel: Channel) -> Serving | None:
    """Who sends the location's messages of the channel; None = nothing is configured."""
    for choose in _CHOICES[channel]:
        if (found := choose(accounts, location_id, channel)) is not None:
            sender, secret = found
            account = f"{sender.provider}:{sender.account}:{_digest(secret)}"
            return Serving(sender, account, accounts.location(location_id).max_per_second)
    return None


_Found = tuple[Sender, Secret | None] | None
_Choose = Callable[[Accounts, str, Channel], _Found]


def _http(accounts: Accounts, location_id: str, channel: Channel) -> _Found:
    provider = accounts.location(location_id).http.get(channel)
    return None if provider is None else (HttpSender(url=provider.url), None)


def _twilio(kind: type[TwilioSms | TwilioCalls | TwilioWhatsApp]) -> _Choose:
    def choose(accounts: Accounts, location_id: str, _: Channel) -> _Found:
        account = accounts.twilio(location_id)
        if account is None:
            return None
        token = account.auth_tokens[0]
        sender = kind(
            account_sid=account.account_sid,
            auth_token=token.reveal(),
            public_url=account.public_url,
            from_number=account.from_number,
            messaging_service_sid=account.messaging_service_sid,
            api_base=account.api_base,
        )
        return sender, token

    return choose


def _mailgun(accounts: Accounts, location_id: str, _: Channel) -> _Found:
    account = accounts.mailgun(location_id)
    if account is None:
        return None
    sender = MailgunSender(domain=account.domains[0], api_key=account.api_key.reveal(), api_base=account.api_base)
    return sender, account.api_key


def _messenger(accounts: Accounts, location_id: str, _: Channel) -> _Found:
    meta = accounts.meta
    page_id = None if meta is None else meta.page_of(location_id)
    if meta is None or page_id is None:
        return None
    token = meta.pages[page_id].token
    return MessengerSender(page_id=page_id, token=token.reveal(), api_base=meta.api_base), token


def _whatsapp(accounts: Accounts, location_id: str, _: Channel) -> _Found:
    meta = accounts.meta
    number_id = None if meta is None else meta.number_of(location_id)
    if meta is None or number_id is None:
        return None
    token = meta.whatsapp[number_id].token
    sender = WhatsAppSender(
        phone_number_id=number_id,
        token=token.reveal(),
        api_base=meta.api_base,
        marketing_opt_out=accounts.location(location_id).whatsapp_marketing_optout,
    )
    return sender, token


_CHOICES: Mapping[Channel, tuple[_Choose, ...]] = MappingProxyType(
    {
        Channel.SMS: (_http, _twilio(TwilioSms)),
        Channel.CALL: (_http, _twilio(TwilioCalls)),
        Channel.EMAIL: (_http, _mailgun),
        Channel.FB: (_http, _messenger),
        Channel.WHATSAPP: (_http, _whatsapp, _twilio(TwilioWhatsApp)),
        Channel.GMB: (_http,),
    }
)


def _digest(secret: Secret | None) -> str:
    return "" if secret is None else hashlib.sha256(secret.reveal().encode()).hexdigest()[:8]
