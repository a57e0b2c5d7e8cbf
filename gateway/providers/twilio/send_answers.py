"""What Twilio's answer to a create says, by the tables of `send_codes`: whatever comes is read."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC
from email.utils import parsedate_to_datetime
from typing import assert_never

from gateway.dnd.model import Actor, ActorKind, Channel, Scope
from gateway.providers.reading import answered_object, event_id, shown, text
from gateway.providers.sending import AccountBroken, Answer, Message, Outcome, Refused, Sent, TryLater, Unclear
from gateway.providers.signals import OptOut, Unparsable
from gateway.providers.twilio.codes import SMS_CAUSES
from gateway.providers.twilio.fields import kept, message_sid, subject_of
from gateway.providers.twilio.send_codes import ABOUT_ONE_MESSAGE, BY_CODE, BY_STATUS, Means

LONGEST_WAIT_S = 86_400.0
"""Seconds of a `Retry-After` that are believed: a day, after which most messages are given up anyway."""

_CODE = re.compile(r"[0-9]{1,6}")

_SECONDS = re.compile(r"[0-9]{1,9}(?:\.[0-9]{1,9})?")

_TWILIO = Actor(ActorKind.PROVIDER, "twilio")


def outcome_of(message: Message, sender: Mapping[str, str], answer: Answer) -> Outcome:
    """What became of a message that was sent from `sender` (its field or fields in the call)."""
    found = answered_object(answer.body)
    given = text(found, "code")
    code = given if _CODE.fullmatch(given) else ""
    named, why = code or f"http_{answer.status}", _why(answer.status, text(found, "message"))
    match means(answer.status, code):
        case Means.SENT:
            return _sent(answer.status, text(found, "sid"))
        case Means.REFUSED:
            return Refused(named, why, _opt_outs(message, sender, code))
        case Means.LATER:
            return TryLater(named, why, retry_after_s(answer.headers, message.checked_at))
        case Means.THROTTLED:
            return TryLater(named, why, retry_after_s(answer.headers, message.checked_at), throttled=True)
        case Means.BROKEN:
            return AccountBroken(named, why)
        case Means.UNCLEAR:
            return Unclear(named, why)
        case never:
            assert_never(never)


def means(status: int, code: str) -> Means:
    """By the code where it says more than the status, else by the status. `code`: digits, or empty."""
    by_status = BY_STATUS.get(status, Means.UNCLEAR)
    if not (code and 400 <= status < 500):
        return by_status
    if status == 403 and any(int(code) in codes for codes in ABOUT_ONE_MESSAGE):
        by_status = Means.REFUSED
    return BY_CODE.get(code, by_status)


def retry_after_s(headers: Mapping[str, str], now: int | None) -> float | None:
    """Seconds from now that `Retry-After` asks for; None = it does not say, or nothing that can be read.

    It may be a date (RFC 9110, 10.2.3). The sender's own clock counts, if it is in `Date`, else `now` (ms).
    """
    asked = headers.get("retry-after", "").strip()
    if _SECONDS.fullmatch(asked):
        return min(float(asked), LONGEST_WAIT_S)
    at, sent_at = _timestamp(asked), _timestamp(headers.get("date", ""))
    if sent_at is None and now is not None:
        sent_at = now / 1000
    if at is None or sent_at is None:
        return None
    return min(max(at - sent_at, 0.0), LONGEST_WAIT_S)


def _timestamp(date: str) -> float | None:
    try:
        found = parsedate_to_datetime(date)
        return (found if found.tzinfo else found.replace(tzinfo=UTC)).timestamp()
    except (ValueError, TypeError, OverflowError, IndexError):
        return None


def _why(status: int, said: str) -> str:
    return f"Twilio answered {status}" + (f": {shown(said)}" if said else "")


def _sent(status: int, sid: str) -> Sent | Unclear:
    """Named as the callbacks will name it: what they could not be read with is no name."""
    try:
        return Sent(message_sid({"MessageSid": sid}))
    except Unparsable:
        return Unclear("unreadable_answer", f"Twilio answered {status} without the id of what it took")


def _opt_outs(message: Message, sender: Mapping[str, str], code: str) -> tuple[OptOut, ...]:
    """A refusal that holds the recipient: the event that `twilio.parse_status` makes of a callback with the code.

    No message was made, so no callback will tell the same, and its place in the event's id is the decision's. It was
    true when we tried, not just when the message was created: a START between the two does not end it.
    """
    if message.channel is not Channel.SMS or code not in SMS_CAUSES:
        return ()
    subject = subject_of(message.to[0], message.location_id, None)
    if subject is None:
        return ()
    evidence = {
        "code": code,
        "status": "refused",
        "from": sender.get("From"),
        "messaging_service_sid": sender.get("MessagingServiceSid"),
        "contact_id": message.contact_id,
        "decision_id": message.decision_id,
    }
    told = event_id("twilio", message.decision_id, code)
    return (OptOut(told, subject, (Scope.SMS,), SMS_CAUSES[code], message.checked_at, _TWILIO, kept(evidence)),)
