"""Meta's webhooks (WhatsApp, Messenger): handshake, verify, tables, parse.

https://developers.facebook.com/docs/graph-api/webhooks/getting-started.

Theory of operation. One URL serves every page and number of the app. The signature covers the raw bytes; JSON that was
decoded and encoded again is another text. A post holds entries of any number of pages and numbers, each belonging to
some location: an entry that says nothing to us, or that belongs to none of ours, is noted and the others count. What
WhatsApp says is read in `gateway.providers.meta.whatsapp`. Messenger has no opt-out from the channel, only from single
topics of a page, so nothing of it is held.
"""

from __future__ import annotations

import hmac
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from gateway.providers.meta.whatsapp import WhatsAppNumber, read_change
from gateway.providers.reading import Json, is_signed, json_object, member, objects, text, word
from gateway.providers.signals import BadSignature, Note, Parsed, Signal, Unparsable

SIGNATURE_HEADER = "X-Hub-Signature-256"

CHALLENGE_LIMIT = 256
"""Characters of a challenge that are given back; Meta's is a number."""

_PREFIX = "sha256="

MESSENGER: Mapping[str, Note] = MappingProxyType(
    {
        "message": Note.NO_KEYWORD,
        "postback": Note.NO_KEYWORD,
        "message_edit": Note.NO_KEYWORD,
        "delivery": Note.NOT_A_FAILURE,
        "read": Note.NOT_A_FAILURE,
        "reaction": Note.NOT_A_FAILURE,
        "referral": Note.NOT_A_FAILURE,
        "account_linking": Note.NOT_A_FAILURE,
    }
)
"""The member of a Messenger item that says what it is, but for `optin`."""

OPTINS: Mapping[str, Note] = MappingProxyType(
    {
        "stop_notifications": Note.PARTIAL_OPT_OUT,
        "resume_notifications": Note.NOT_A_FAILURE,
        "": Note.NOT_A_FAILURE,  # a plain opt-in
    }
)
"""`optin.notification_messages_status`."""


@dataclass(frozen=True, slots=True)
class Destinations:
    """Whose entries count: Messenger pages by their id, WhatsApp numbers by their phone_number_id."""

    pages: Collection[str] = ()
    whatsapp: Mapping[str, WhatsAppNumber] = field(default_factory=dict)


def handshake(query: Mapping[str, str], verify_token: str) -> str:
    """The challenge to answer with, as plain text; raises BadSignature. An empty verify token lets nobody in."""
    if query.get("hub.mode") != "subscribe":
        raise BadSignature("hub.mode is not subscribe")
    given = query.get("hub.verify_token", "").encode("utf-8", errors="replace")
    if not hmac.compare_digest(given, verify_token.encode()) or not verify_token:
        raise BadSignature("hub.verify_token is not ours")
    challenge = query.get("hub.challenge", "")
    if not 0 < len(challenge) <= CHALLENGE_LIMIT:
        raise BadSignature("hub.challenge is missing or too long")
    return challenge


def verify(body: bytes, header: str | None, app_secrets: Iterable[str]) -> None:
    """Whether the raw body is signed under one of the app's secrets; raises BadSignature."""
    if not header:
        raise BadSignature(f"the header {SIGNATURE_HEADER} is missing")
    if not header.startswith(_PREFIX):
        raise BadSignature(f"the header {SIGNATURE_HEADER} does not begin with {_PREFIX}")
    if not is_signed(header.removeprefix(_PREFIX), body, app_secrets):
        raise BadSignature(f"the header {SIGNATURE_HEADER} is not the body's signature under a secret we know")


def parse(body: bytes, destinations: Destinations) -> Parsed:
    """All that a verified post says, in its order; raises Unparsable for what is not a post of Meta's."""
    post = json_object(body)
    if not isinstance(post.get("entry"), list):
        raise Unparsable("expected a list in entry")
    read = _OBJECTS.get(word(post, "object"), _unknown)
    signals: list[Signal] = []
    notes: list[Note] = []
    for entry in objects(post, "entry"):
        for told in read(entry, destinations):
            if isinstance(told, Note):
                notes.append(told)
            else:
                signals.append(told)
    return Parsed(tuple(signals), tuple(notes))


def _whatsapp(entry: Json, destinations: Destinations) -> Iterator[Signal | Note]:
    for change in objects(entry, "changes"):
        yield from read_change(member(change, "value"), destinations.whatsapp)


def _messenger(entry: Json, destinations: Destinations) -> Iterator[Signal | Note]:
    if text(entry, "id") not in destinations.pages:
        yield Note.UNKNOWN_ACCOUNT
        return
    for item in objects(entry, "messaging"):
        if "optin" in item:
            yield OPTINS.get(word(member(item, "optin"), "notification_messages_status"), Note.UNKNOWN_EVENT)
        else:
            yield next((note for name, note in MESSENGER.items() if name in item), Note.UNKNOWN_EVENT)
    if not isinstance(entry.get("messaging"), list):
        yield Note.UNKNOWN_EVENT  # `standby`, `changes` of the page's wall


def _unknown(_: Json, __: Destinations) -> Iterator[Signal | Note]:
    """Another product of the app; Instagram is no channel of ours."""
    yield Note.UNKNOWN_EVENT


_OBJECTS = MappingProxyType({"whatsapp_business_account": _whatsapp, "page": _messenger})
