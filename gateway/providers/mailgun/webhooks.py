"""Mailgun's event webhooks: verify, tables, parse (R9, R10).

https://documentation.mailgun.com/docs/mailgun/user-manual/webhooks/webhooks and .../securing-webhooks.

Theory of operation. The signature stands inside the JSON body and covers only `timestamp` and `token`, not the event.
Who captured one call can put another event behind its signature: therefore each signed pair counts once
(`Envelope.replay_key`, remembered elsewhere), and a Mailgun event can only place holds, never lift one. Everything in
the event is a claim: the address is held in the location whose URL was called, and what the sender of the message had
put into `user-variables` is kept as a hint for people, not acted upon.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from types import MappingProxyType

from gateway.dnd.addresses import canonical
from gateway.dnd.model import Actor, ActorKind, Cause, Scope, Subject, SubjectKind
from gateway.providers.reading import (
    Json,
    event_id,
    evidence,
    is_signed,
    json_object,
    member,
    moment,
    shown,
    text,
    word,
)
from gateway.providers.signals import BadSignature, Note, OptOut, Parsed, Unparsable

PROVIDER = "mailgun"

REASONS: Mapping[str, Cause | Note] = MappingProxyType(
    {
        "bounce": Cause.BOUNCE,
        "generic": Cause.BOUNCE,
        "suppress-bounce": Cause.BOUNCE,
        "suppress-unsubscribe": Cause.UNSUBSCRIBE,
        "suppress-complaint": Cause.SUPPRESSED_COMPLAINT,
        "old": Note.NO_EFFECT,  # given up after too many tries
        "espblock": Note.NO_EFFECT,  # the receiving provider's opinion of the sender
        "greylisted": Note.NO_EFFECT,
        "hardfail": Note.NO_EFFECT,  # the collective word of webhooks before 2018
    }
)
"""`reason` of a permanent failure (R9). Mailgun publishes no list; what is not here is counted as unknown."""

EVENTS: Mapping[str, Cause | Note] = MappingProxyType(
    {
        "unsubscribed": Cause.UNSUBSCRIBE,
        "complained": Cause.COMPLAINT,
        "accepted": Note.NOT_A_FAILURE,
        "delivered": Note.NOT_A_FAILURE,
        "opened": Note.NOT_A_FAILURE,
        "clicked": Note.NOT_A_FAILURE,
        "stored": Note.NOT_A_FAILURE,
        "rejected": Note.NO_EFFECT,  # Mailgun refused the message, not the recipient
    }
)
"""`event`, but for `failed`, where severity and reason decide (R10)."""

_SAID_BY_PERSON = frozenset({"unsubscribed", "complained"})

HINT_LIMIT = 128
"""Characters of a contact id; a longer one is none of ours and is left out rather than cut."""


@dataclass(frozen=True, slots=True)
class Envelope:
    """A call whose signature is good. `signed_at` (ms): when Mailgun says it signed; None = unreadable."""

    replay_key: str
    """The signed text. Not the token alone: with the border to the timestamp moved, another token has the same text."""
    signed_at: int | None
    event: Json


def verify(body: bytes, signing_keys: Iterable[str]) -> Envelope:
    """The call, signed under one of the keys; raises BadSignature, or Unparsable for a signed call without an event.

    The event of a subaccount carries the signature of the primary account besides its own; either will do.
    """
    keys = tuple(signing_keys)
    try:
        given = json_object(body)
    except Unparsable:
        raise BadSignature("the body is not a JSON object, so it holds no signature") from None
    signature = member(given, "signature")
    timestamp, token = text(signature, "timestamp"), text(signature, "token")
    if not timestamp or not token:
        raise BadSignature("signature.timestamp or signature.token is missing")
    signed = (timestamp + token).encode()
    own = is_signed(text(signature, "signature"), signed, keys)
    parent = is_signed(text(signature, "parent-signature"), signed, keys)
    if not own and not parent:
        raise BadSignature("signature.signature is not that of a key we know")
    event = given.get("event-data")
    if not isinstance(event, dict):
        raise Unparsable("expected an object in event-data")
    return Envelope(timestamp + token, moment(signature, "timestamp"), event)


def parse(envelope: Envelope, location_id: str) -> Parsed:
    """What the event means for the recipient's Email DND in the location. Never raises."""
    event = envelope.event
    if member(event, "flags").get("is-test-mode") is True:
        return Parsed(notes=(Note.TEST_MODE,))
    meaning = _meaning(event)
    if isinstance(meaning, Note):
        return Parsed(notes=(meaning,))
    recipient = text(event, "recipient").strip()
    if not recipient:
        return Parsed(notes=(Note.BAD_ADDRESS,))
    # Never `message.headers.to`: it may name somebody else (a list, several people).
    subject = canonical(Subject(location_id, SubjectKind.EMAIL, recipient))
    return Parsed(
        (
            OptOut(
                event_id=_event_id(envelope),
                subject=subject,
                scopes=(Scope.EMAIL,),
                cause=meaning,
                at=moment(event, "timestamp"),
                actor=_actor(event, subject),
                evidence=_evidence(event),
                message_id=_message_id(event) or None if word(event, "event") == "failed" else None,
            ),
        )
    )


def _meaning(event: Json) -> Cause | Note:
    kind = word(event, "event")
    if kind != "failed":
        return EVENTS.get(kind, Note.UNKNOWN_EVENT)
    match word(event, "severity"):
        case "permanent":
            return REASONS.get(word(event, "reason"), Note.UNKNOWN_CODE)
        case "temporary":
            return Note.TEMPORARY_FAILURE  # before the reason is looked at: `generic` comes with both
        case _:
            return Note.UNKNOWN_CODE


def _event_id(envelope: Envelope) -> str:
    """The event's own id, which is promised to be unique only within a day, with that day.

    Not the token: the same event comes with another one when it goes to a domain's webhook and to the account's, and
    it is not documented whether a repeated call keeps it. It serves only for an event that names itself by nothing.
    """
    own, at = text(envelope.event, "id"), moment(envelope.event, "timestamp")
    if not own:
        return event_id(PROVIDER, envelope.replay_key)
    day = datetime.fromtimestamp(at / 1000, UTC).date().isoformat() if at is not None else "undated"
    return event_id(PROVIDER, own, day)


def _actor(event: Json, subject: Subject) -> Actor:
    if word(event, "event") in _SAID_BY_PERSON:
        return Actor(ActorKind.CONTACT, subject.id)
    return Actor(ActorKind.PROVIDER, PROVIDER)


def _message_id(event: Json) -> str:
    """As sent, without the brackets that the answer to a send has around it."""
    return text(member(member(event, "message"), "headers"), "message-id").strip().strip("<>")


def _evidence(event: Json) -> dict[str, object]:
    """What a person needs to understand the hold. The SMTP answer is kept without the addresses it repeats."""
    status = member(event, "delivery-status")
    message = text(status, "message") or text(status, "description")
    contact_id = text(member(event, "user-variables"), "contact_id")
    return evidence(
        provider=PROVIDER,
        event=shown(word(event, "event")),
        reason=shown(word(event, "reason")),
        code=shown(text(status, "code")),
        enhanced_code=shown(text(status, "enhanced-code")),
        message=shown(message),
        provider_message_id=_message_id(event)[:HINT_LIMIT],
        contact_id=contact_id if len(contact_id) <= HINT_LIMIT else "",
    )
