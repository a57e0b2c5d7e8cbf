"""Provider accounts and the settings of locations: one TOML file, checked as a whole, read again when it changes."""

from gateway.accounts.accounts import Accounts, Lookups
from gateway.accounts.live import LiveAccounts
from gateway.accounts.model import (
    ApiKey,
    HttpProvider,
    LocationSettings,
    MailgunAccount,
    MetaApp,
    MetaSender,
    TwilioAccount,
)
from gateway.providers.meta.whatsapp import MarketingOptOut

__all__ = [
    "Accounts",
    "ApiKey",
    "HttpProvider",
    "LiveAccounts",
    "LocationSettings",
    "Lookups",
    "MailgunAccount",
    "MarketingOptOut",
    "MetaApp",
    "MetaSender",
    "TwilioAccount",
]
