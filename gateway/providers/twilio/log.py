"""Twilio's message log: what people wrote, for STOPs that never reached our webhook.

https://www.twilio.com/docs/messaging/api/message-resource#read-multiple-message-resources. Newest first; the log cannot
be asked for inbound messages alone, so it is read as a whole and the others are passed over. Dates are whole seconds.
Advanced Opt-Out's verdict is not in the log: words that only Twilio knows are not found. No HTTP here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from urllib.parse import quote, urlsplit

from gateway.providers.dates import rfc2822
from gateway.providers.reading import json_object, objects, path_segment, text, word
from gateway.providers.signals import OptIn, Signal, Unparsable
from gateway.providers.twilio.fields import LocationSettings
from gateway.providers.twilio.inbound import parse_inbound

PAGE_LIMIT = 1_000
"""Messages Twilio gives at most."""

LAST_OF_SECOND_MS = 999
"""Added to the date of an opt-out: of an opt-out and an opt-in of one second nobody knows which came last, and the
person stays held."""


@dataclass(frozen=True, slots=True)
class Inbound:
    """A message by a person. `at` (ms): the second in which Twilio took it in."""

    sid: str
    sender: str
    to: str
    body: str
    at: int


@dataclass(frozen=True, slots=True)
class LogPage:
    """`messages`: how many there were in all. `unusable`: inbound ones without id or date. `newest_at`: of all."""

    inbound: tuple[Inbound, ...]
    messages: int
    unusable: int
    newest_at: int | None
    next_path: str | None


def first_path(account_sid: str, since: int, limit: int) -> str:
    """The path of GET for the newest messages of those sent at or after `since` (ms)."""
    date = datetime.fromtimestamp(since // 1000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return f"{_path(account_sid)}?DateSent%3E={quote(date, safe='')}&PageSize={limit}"


def read_page(body: bytes, account_sid: str) -> LogPage:
    """A page, from an answer 200. Raises `Unparsable`."""
    answer = json_object(body)
    messages = answer.get("messages")
    if not isinstance(messages, list) or "next_page_uri" not in answer:
        raise Unparsable("expected a list in messages, and next_page_uri")
    next_path = None
    if following := text(answer, "next_page_uri"):
        split = urlsplit(following)
        if not split.path.endswith(_path(account_sid)) or not split.query:
            raise Unparsable("expected the same log's next page in next_page_uri")
        next_path = f"{_path(account_sid)}?{split.query}"
    found = objects(answer, "messages")
    theirs = [each for each in found if word(each, "direction") == "inbound"]
    inbound = tuple(each for each in map(_inbound, theirs) if each is not None)
    dates = [date for each in found if (date := rfc2822(text(each, "date_created"))) is not None]
    unusable = len(messages) - len(found) + len(theirs) - len(inbound)
    return LogPage(inbound, len(messages), unusable, max(dates, default=None), next_path)


def signals_of(message: Inbound, location_id: str, settings: LocationSettings) -> tuple[Signal, ...]:
    """What the message says by the rules of the webhook, under the same ids, dated by Twilio."""
    form = {"MessageSid": message.sid, "From": message.sender, "To": message.to, "Body": message.body}
    try:
        parsed = parse_inbound(form, location_id, settings)
    except Unparsable:
        return ()
    return tuple(_dated(signal, message.at) for signal in parsed.signals)


def _dated(signal: Signal, at: int) -> Signal:
    if isinstance(signal, OptIn):
        return replace(signal, at=at)
    return replace(signal, at=at + LAST_OF_SECOND_MS, evidence={**signal.evidence, "found_in": "message log"})


def _path(account_sid: str) -> str:
    return f"/2010-04-01/Accounts/{path_segment(account_sid)}/Messages.json"


def _inbound(message: Mapping[str, object]) -> Inbound | None:
    sid, at = text(message, "sid"), rfc2822(text(message, "date_created"))
    if not sid or at is None:
        return None
    return Inbound(sid, text(message, "from"), text(message, "to"), text(message, "body"), at)
