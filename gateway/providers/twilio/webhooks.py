"""Twilio: verify, replies with keywords, and failures of messages we sent (R13-R16, R18).

Here are the failures (twilio.com/docs/messaging/guides/track-outbound-message-status); verifying and replies have files
of their own. A failure may be told long after its message was created, and the callback has no time that could be
relied on. So the creation time travels in the query of the status-callback URL, which Twilio signs with the rest: a
late 30004 of a message older than START holds nothing again. A URL without it names the message all the same, and the
signal says which it is: `gateway.sent` may know when it was sent.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from urllib.parse import quote, urlencode

from gateway.dnd.model import Actor, ActorKind, Channel, Scope
from gateway.providers.signals import Note, OptOut, Parsed
from gateway.providers.twilio.codes import NO_EFFECT, SMS_CAUSES
from gateway.providers.twilio.fields import (
    LONGEST_EVIDENCE,
    LocationSettings,
    channel_of,
    kept,
    message_sid,
    subject_of,
)
from gateway.providers.twilio.inbound import parse_inbound
from gateway.providers.twilio.verify import Call, verify

__all__ = [
    "INBOUND_PATH",
    "STATUS_PATH",
    "Call",
    "LocationSettings",
    "parse_inbound",
    "parse_status",
    "status_callback_url",
    "verify",
]

INBOUND_PATH = "/webhooks/twilio/{location_id}/inbound"
STATUS_PATH = "/webhooks/twilio/{location_id}/status"

EARLIEST_MS, LATEST_MS = 1_199_145_600_000, 4_102_444_800_000
"""2008, Twilio's first year, and 2100: a creation time outside is not one of ours."""

_MILLISECONDS = re.compile(r"[0-9]{12,13}")

_FAILED = frozenset({"failed", "undelivered"})

_NOT_FAILED = frozenset(
    {
        "accepted",
        "canceled",
        "delivered",
        "partially_delivered",
        "queued",
        "read",
        "received",
        "receiving",
        "scheduled",
        "sending",
        "sent",
    }
)

_TWILIO = Actor(ActorKind.PROVIDER, "twilio")


def parse_status(
    form: Mapping[str, str], query: Mapping[str, str], location_id: str, settings: LocationSettings
) -> Parsed:
    """What a message's failure says of its recipient. `query`: of the status-callback URL, which is ours.

    Raises `Unparsable` for a failure that would hold somebody, but names no message.
    """
    status = (form.get("MessageStatus") or form.get("SmsStatus") or "").strip().lower()
    if status not in _FAILED:
        return Parsed(notes=(Note.NOT_A_FAILURE if status in _NOT_FAILED else Note.UNKNOWN_EVENT,))
    code, recipient = form.get("ErrorCode", "").strip(), form.get("To", "")
    if code in NO_EFFECT or (code in SMS_CAUSES and channel_of(recipient) is Channel.WHATSAPP):
        return Parsed(notes=(Note.NO_EFFECT,))
    if code not in SMS_CAUSES:
        return Parsed(notes=(Note.UNKNOWN_CODE,))
    sid, subject = message_sid(form), subject_of(recipient, location_id, settings.default_region)
    if subject is None:
        return Parsed(notes=(Note.BAD_ADDRESS,))
    evidence = {
        "code": code,
        "status": status,
        "message_sid": sid,
        "from": form.get("From"),
        "contact_id": query.get("contact_id"),
        "decision_id": query.get("decision_id"),
    }
    # `failed` and `undelivered` of one message with one code are one fact, so the status is not in the id.
    event_id, at = f"twilio:{sid}:{code}", _created_at(query.get("created_at", ""))
    return Parsed((OptOut(event_id, subject, (Scope.SMS,), SMS_CAUSES[code], at, _TWILIO, kept(evidence), sid),))


def status_callback_url(
    public_url: str, location_id: str, created_at: int, contact_id: str | None, decision_id: str | None
) -> str:
    """The `StatusCallback` of a message created at `created_at` (ms): `parse_status` reads its query back.

    Everything but unreserved characters is escaped, so that nobody on the way writes it in another way: it is signed.
    """
    hints = {"created_at": str(created_at), "contact_id": contact_id, "decision_id": decision_id}
    given = {name: value for name, value in hints.items() if value and len(value) <= LONGEST_EVIDENCE}
    path = STATUS_PATH.format(location_id=quote(location_id, safe=""))
    return f"{public_url.rstrip('/')}{path}?{urlencode(given, quote_via=quote, safe='')}"


def _created_at(text: str) -> int | None:
    if not _MILLISECONDS.fullmatch(text):
        return None
    created_at = int(text)
    return created_at if EARLIEST_MS <= created_at <= LATEST_MS else None
