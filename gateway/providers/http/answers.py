"""What an answer over HTTP says where a provider's own table has no row for it.

A code counts before the status: providers put refusals of one message and of a whole account behind the same 400 or
403. Nothing here raises, whatever comes.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from datetime import UTC
from email.utils import parsedate_to_datetime
from enum import StrEnum
from types import MappingProxyType
from typing import assert_never

from gateway.providers.reading import shown
from gateway.providers.sending import AccountBroken, Answer, Outcome, Refused, TryLater, Unclear
from gateway.providers.signals import OptOut


class Means(StrEnum):
    """What becomes of a message that was not taken, and of the account."""

    REFUSED = "refused"  # this message never
    LATER = "later"  # not taken, may be tried again
    THROTTLED = "throttled"  # not taken, and the account is to be slower
    BROKEN = "broken"  # the account sends nothing until somebody repairs it
    UNCLEAR = "unclear"  # perhaps taken


BY_STATUS: Mapping[int, Means] = MappingProxyType(
    {
        **dict.fromkeys(range(400, 500), Means.REFUSED),
        401: Means.BROKEN,
        403: Means.BROKEN,
        408: Means.LATER,  # our request did not come in whole
        429: Means.THROTTLED,
        503: Means.LATER,
    }
)
"""A status that is not here is unclear: 500, 502 and 504 may come after the message was taken, and some answer a post
that was with a redirect."""

LONGEST_WAIT_S = 86_400.0
"""Seconds of a `Retry-After` that are believed: a day, after which most messages are given up anyway."""

_SECONDS = re.compile(r"[0-9]{1,9}(?:\.[0-9]{1,9})?")


def succeeded(answer: Answer) -> bool:
    """Whether the status says so; what was taken stands in the body."""
    return 200 <= answer.status < 300


def by_status(answer: Answer) -> Means:
    """What the status alone says of an answer that names nothing that was taken."""
    return BY_STATUS.get(answer.status, Means.UNCLEAR)


def not_sent(
    means: Means,
    answer: Answer,
    code: str,
    said: str,
    *,
    checked_at: int | None = None,
    opt_outs: tuple[OptOut, ...] = (),
) -> Outcome:
    """The outcome. `code`: the provider's own, or empty; `said`: its words, kept without the addresses in them."""
    code = code or f"http_{answer.status}"
    why = f"answered {answer.status}" + (f": {shown(said)}" if said else "")
    match means:
        case Means.REFUSED:
            return Refused(code, why, opt_outs)
        case Means.LATER:
            return TryLater(code, why, retry_after_s(answer.headers, checked_at))
        case Means.THROTTLED:
            return TryLater(code, why, retry_after_s(answer.headers, checked_at), throttled=True)
        case Means.BROKEN:
            return AccountBroken(code, why)
        case Means.UNCLEAR:
            return Unclear(code, why)
        case never:
            assert_never(never)


def unreadable(answer: Answer) -> Unclear:
    """A success that does not name what was taken: no callback could be matched with it."""
    return Unclear("unreadable_answer", f"answered {answer.status} without the id of what was taken")


def retry_after_s(headers: Mapping[str, str], checked_at: int | None) -> float | None:
    """Seconds from now that `Retry-After` asks for; None = it does not say, or nothing that can be read.

    It may be a date (RFC 9110, 10.2.3). The provider's clock counts, if it is in `Date`; else `checked_at` (ms), which
    is a try old at most.
    """
    asked = headers.get("retry-after", "").strip()
    if _SECONDS.fullmatch(asked):
        return min(float(asked), LONGEST_WAIT_S)
    at, now = _timestamp(asked), _timestamp(headers.get("date", ""))
    if now is None and checked_at is not None:
        now = checked_at / 1000
    if at is None or now is None:
        return None
    return min(max(at - now, 0.0), LONGEST_WAIT_S)


def _timestamp(date: str) -> float | None:
    try:
        found = parsedate_to_datetime(date)
        at = (found if found.tzinfo else found.replace(tzinfo=UTC)).timestamp()
    except (ValueError, TypeError, OverflowError, IndexError):
        return None
    return at if math.isfinite(at) else None
