"""What the accounts file says, typed. A key is a row; a limit's reason stands beside it.

Where several secrets may be given, the first one is used for calls of ours; what a provider has signed may be signed
with any of them. So a secret is exchanged without a gap: add the new one behind, change it at the provider, take the
old one out.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated

from gateway.accounts.forms import At, Form, Row, listed, named, simple, table
from gateway.accounts.values import (
    BASE_URL,
    BOOLEAN,
    DIGEST,
    DIGITS,
    DOMAIN,
    ID,
    REGION,
    SECRET,
    TEXT,
    URL,
    matching,
    number,
    one_of,
    word,
)
from gateway.dnd.causes import CAUSES
from gateway.dnd.keywords import MOST_WORDS, KeywordProfile, problems_with_extra_words
from gateway.dnd.model import ActorKind, Cause, Channel, Scope
from gateway.providers.meta.whatsapp import MarketingOptOut
from gateway.settings import Secret

SECRETS_LIMIT = 8
"""Valid at a time: two while one is exchanged; each is tried on every webhook with a bad signature."""

DOMAINS_LIMIT = 100
"""Sending domains of a location: the clean-up (R12) calls the provider for each."""

RATE_LIMIT_PER_S = 10_000
"""Above what any provider grants one account."""

START_CHECK_LIMIT_S = 3_600
"""A START later than this after a STOP was meant."""

EVERYWHERE = "*"
"""As the only location of an API key: all of them."""

LOCATIONS_LIMIT = 10_000
"""Of one API key; what is for more is for all."""

API_ROLES = (ActorKind.USER, ActorKind.AGENCY, ActorKind.SUPPORT)
"""Whom an API key may speak for."""

KEYWORD_CHANNELS = tuple(channel for channel in Channel if Scope(channel) in CAUSES[Cause.KEYWORD_OPT_OUT].scopes)
"""What a keyword may opt out of: SMS always (R13), the others by setting."""

_SENDERS = matching("a phone number as E.164 (+14155550100) or a short code", r"\+[1-9][0-9]{6,14}|[0-9]{3,8}")
_SECRETS = listed(SECRET, least=1, most=SECRETS_LIMIT, single=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class TwilioAccount:
    """For SMS, calls, and WhatsApp through Twilio."""

    account_sid: Annotated[str, Row(matching("an account SID, AC...", r"AC[0-9A-Za-z]{1,64}"), "The account.")]
    auth_tokens: Annotated[tuple[Secret, ...], Row(_SECRETS, "Signs webhooks, opens the API.", "auth_token")]
    public_url: Annotated[str, Row(BASE_URL, "Base of our webhooks' URLs as Twilio calls, and signs, them.")]
    from_number: Annotated[str | None, Row(_SENDERS, "Sends what names no sender.")] = None
    messaging_service_sid: Annotated[
        str | None,
        Row(matching("a messaging service SID, MG...", r"MG[0-9A-Za-z]{1,64}"), "Sends instead of a number."),
    ] = None
    api_base: Annotated[str, Row(BASE_URL, "Base of Twilio's API.")] = "https://api.twilio.com"


@dataclass(frozen=True, slots=True, kw_only=True)
class MailgunAccount:
    """For email."""

    signing_keys: Annotated[tuple[Secret, ...], Row(_SECRETS, "Signs webhooks.", "signing_key")]
    api_key: Annotated[Secret, Row(SECRET, "Opens the API.")]
    domains: Annotated[
        tuple[str, ...], Row(listed(DOMAIN, least=1, most=DOMAINS_LIMIT), "Sending domains; the first one sends.")
    ]
    api_base: Annotated[str, Row(BASE_URL, "Base of Mailgun's API, another one in the EU.")] = "https://api.mailgun.net"


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpProvider:
    """A provider without an adapter of its own: messages are posted to a URL."""

    url: Annotated[str, Row(URL, "Where messages are posted.")] = field(repr=False)


def _channel(name: object) -> Channel | None:
    by_spelling = {channel.casefold(): channel for channel in Channel}
    return by_spelling.get(name.casefold()) if isinstance(name, str) else None


def _opt_out_channels() -> Form[frozenset[Channel]]:
    form = listed(one_of(KEYWORD_CHANNELS), least=1, most=len(KEYWORD_CHANNELS))

    def read(value: object, at: At) -> frozenset[Channel]:
        channels = frozenset(form.read(value, at))
        if Channel.SMS not in channels:
            raise at.refused("expected SMS in it: a keyword always opts out of SMS")
        return channels

    return Form(form.words, read)


@dataclass(frozen=True, slots=True, kw_only=True)
class LocationSettings:
    """One location's. Without anything: what a location has that is not in the file."""

    default_region: Annotated[str | None, Row(REGION, "Of phone numbers without a country code.")] = None
    keyword_profile: Annotated[KeywordProfile, Row(word(KeywordProfile), "Which words opt out and in (R14).")] = (
        KeywordProfile.AS_SPECIFIED
    )
    extra_opt_out_words: Annotated[
        tuple[str, ...], Row(listed(TEXT, least=0, most=MOST_WORDS), "Further words that opt out (R13).")
    ] = ()
    max_per_second: Annotated[float, Row(number(0.01, RATE_LIMIT_PER_S), "Messages a second to one provider.")] = 50.0
    require_integration: Annotated[bool, Row(BOOLEAN, "Whether only channels known to be connected send (R8).")] = False
    opt_out_channels: Annotated[
        frozenset[Channel], Row(_opt_out_channels(), "What a keyword opts out of; SMS among them (R13).")
    ] = frozenset({Channel.SMS})
    whatsapp_marketing_optout: Annotated[
        MarketingOptOut, Row(word(MarketingOptOut), 'What "no marketing", said in WhatsApp, does.')
    ] = MarketingOptOut.BLOCK
    start_check_window_s: Annotated[
        float, Row(number(0, START_CHECK_LIMIT_S), "A START so soon after a STOP is checked with the provider.")
    ] = 10.0
    twilio: Annotated[TwilioAccount | None, Row(table(TwilioAccount), "Account at Twilio.")] = None
    mailgun: Annotated[MailgunAccount | None, Row(table(MailgunAccount), "Account at Mailgun.")] = None
    http: Annotated[
        Mapping[Channel, HttpProvider],
        Row(
            named(
                simple("one of " + ", ".join(Channel), _channel, shown=True),
                table(HttpProvider),
                "a table for each channel",
            ),
            "Generic providers, by channel.",
        ),
    ] = field(default_factory=dict)


def words_fit_the_profile(location: LocationSettings, at: At) -> None:
    """R13: a location may add words, and not turn the opt-in words round."""
    words = at.below("extra_opt_out_words")
    problems = list(problems_with_extra_words(location.extra_opt_out_words, location.keyword_profile))
    for problem in problems:
        refused = words.refused(problem)
    if problems:
        raise refused


@dataclass(frozen=True, slots=True, kw_only=True)
class MetaSender:
    """A Messenger page or a WhatsApp number: whose it is, and what opens the API for it."""

    location_id: Annotated[str, Row(ID, "The location it belongs to.", "location")]
    token: Annotated[Secret, Row(SECRET, "Opens the API.")]


@dataclass(frozen=True, slots=True, kw_only=True)
class MetaApp:
    """The one app at Meta that all pages and numbers are subscribed to. Its webhooks are verified by its secrets."""

    app_secrets: Annotated[tuple[Secret, ...], Row(_SECRETS, "Signs webhooks.", "app_secret")]
    verify_token: Annotated[Secret, Row(SECRET, "What Meta repeats when the webhook is set up.")]
    api_base: Annotated[str, Row(BASE_URL, "Base of the Graph API, with its version.")] = (
        "https://graph.facebook.com/v21.0"
    )
    pages: Annotated[
        Mapping[str, MetaSender],
        Row(named(DIGITS, table(MetaSender), "a table for each page"), "Messenger pages by id."),
    ] = field(default_factory=dict)
    whatsapp: Annotated[
        Mapping[str, MetaSender],
        Row(named(DIGITS, table(MetaSender), "a table for each number"), "WhatsApp numbers by phone_number_id."),
    ] = field(default_factory=dict)

    def page_of(self, location_id: str) -> str | None:
        """The page the location sends from: its first in the file."""
        return _first(self.pages, location_id)

    def number_of(self, location_id: str) -> str | None:
        """The phone_number_id the location sends WhatsApp messages from: its first in the file."""
        return _first(self.whatsapp, location_id)


def _first(senders: Mapping[str, MetaSender], location_id: str) -> str | None:
    return next((id_ for id_, sender in senders.items() if sender.location_id == location_id), None)


def pages_are_no_numbers(meta: MetaApp, at: At) -> None:
    """An id stands for one thing at Meta: in both tables it is a slip of the hand."""
    both = sorted(meta.pages.keys() & meta.whatsapp.keys())
    for id_ in both:
        refused = at.below("whatsapp").below(id_).refused("is a page too")
    if both:
        raise refused


def _valid_at() -> Form[frozenset[str]]:
    form = listed(ID, least=1, most=LOCATIONS_LIMIT)

    def read(value: object, at: At) -> frozenset[str]:
        locations = form.read(value, at)
        if EVERYWHERE in locations and len(locations) > 1:
            raise at.refused(f'expected either ["{EVERYWHERE}"] or ids of locations')
        return frozenset(locations)

    return Form(form.words, read)


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiKey:
    """Who may use the contact API, as whom, and where. The key itself is nowhere; `digest` is its SHA-256."""

    id: Annotated[str, Row(ID, "Name in the audit.")]
    digest: Annotated[bytes, Row(DIGEST, "SHA-256 of the key.", "sha256")] = field(repr=False)
    role: Annotated[ActorKind, Row(one_of(API_ROLES), "Whom it speaks for.")]
    locations: Annotated[frozenset[str], Row(_valid_at(), f'Where it is valid; ["{EVERYWHERE}"]: everywhere.')]

    def is_for(self, location_id: str) -> bool:
        return EVERYWHERE in self.locations or location_id in self.locations
