"""Twilio's messages, asked for one by one: when Twilio took in what a person wrote.

https://www.twilio.com/docs/messaging/api/message-resource#fetch-a-message-resource. No HTTP here: who sends the call
adds the account's base URL and credentials, and must not let its URL library decode the path again.

Two opposite replies are compared by `date_created`. `date_sent` of an inbound message is when Twilio called our
webhook: that is what may have been in the wrong order, and it says nothing of what the person wrote last. Both have
whole seconds, so that two messages of one second cannot be told apart.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC
from email.utils import parsedate_to_datetime
from enum import StrEnum
from types import MappingProxyType

from gateway.providers.reading import answered_object, moment, path_segment, shown, text


class Answered(StrEnum):
    """What an answer means for who asked."""

    DONE = "done"
    NOT_FOUND = "not_found"  # deleted, or of another account
    DENIED = "denied"  # the account's SID and token do not open the API: for its owner to repair
    BUSY = "busy"  # too many calls, or broken: later it may be answered
    FAILED = "failed"  # nothing of the above, or nothing that could be read


BY_CODE: Mapping[str, Answered] = MappingProxyType(
    {
        "20003": Answered.DENIED,
        "20005": Answered.DENIED,  # the account is not active
        "20404": Answered.NOT_FOUND,
        "20429": Answered.BUSY,
    }
)
"""Twilio's own codes (twilio.com/docs/api/errors), which say more than the status they come with."""

BY_STATUS: Mapping[int, Answered] = MappingProxyType(
    {
        200: Answered.DONE,
        401: Answered.DENIED,
        403: Answered.DENIED,
        404: Answered.NOT_FOUND,
        408: Answered.BUSY,
        410: Answered.NOT_FOUND,
        429: Answered.BUSY,
        500: Answered.BUSY,
        502: Answered.BUSY,
        503: Answered.BUSY,
        504: Answered.BUSY,
    }
)
"""A status that is not here has failed; redirects too, which are not followed."""


@dataclass(frozen=True, slots=True)
class FetchedMessage:
    """How a question ended. `why` says it to an operator; `created_at` (ms, whole seconds) is None unless done."""

    answered: Answered
    why: str
    created_at: int | None = None


def message_path(account_sid: str, message_sid: str) -> str:
    """The path of GET, encoded already."""
    return f"/2010-04-01/Accounts/{path_segment(account_sid)}/Messages/{path_segment(message_sid)}.json"


def read_message(status: int, body: bytes, message_sid: str) -> FetchedMessage:
    """The answer to the question for this message."""
    answer = answered_object(body)
    code = "" if status == 200 else text(answer, "code")
    answered = BY_CODE.get(code) or BY_STATUS.get(status, Answered.FAILED)
    if answered is not Answered.DONE:
        said = shown(text(answer, "message"))
        return FetchedMessage(answered, f"Twilio answered {status}" + (f" ({code}): {said}" if code else ""))
    if text(answer, "sid") != message_sid:
        return FetchedMessage(Answered.FAILED, "the answer is not about the message that was asked for")
    created_at = _moment(text(answer, "date_created"))
    if created_at is None:
        return FetchedMessage(Answered.FAILED, "the answer does not say when the message was created")
    return FetchedMessage(Answered.DONE, "answered", created_at)


def _moment(date: str) -> int | None:
    """RFC 2822 as Twilio writes it ("Fri, 24 May 2019 17:44:46 +0000") -> ms; a date without a zone is GMT."""
    try:
        found = parsedate_to_datetime(date)
        seconds = (found if found.tzinfo else found.replace(tzinfo=UTC)).timestamp()
    except (ValueError, TypeError, OverflowError, IndexError):
        return None
    return moment({"date": seconds}, "date")
