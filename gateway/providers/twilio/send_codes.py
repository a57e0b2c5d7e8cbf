"""What Twilio's answers to a create mean for the message and for the account. Data; `send_answers` walks it.

Codes: twilio.com/docs/api/errors/<code>; a string of digits, as in a callback's `ErrorCode`. Only what is more than its
HTTP status says has a row, and a row counts for an answer of 4xx alone: on a 5xx Twilio does not know itself. Codes
that hold the recipient are not here but in `codes`, for they mean the same at create and in a callback.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType


class Means(StrEnum):
    """What becomes of the message, and of the account."""

    SENT = "sent"  # if the answer names the message
    REFUSED = "refused"  # this message never
    LATER = "later"  # not taken, may be tried again
    THROTTLED = "throttled"  # not taken, and the account is to be slower
    BROKEN = "broken"  # the account does not open the API
    UNCLEAR = "unclear"  # perhaps taken


BY_CODE: Mapping[str, Means] = MappingProxyType(
    {
        "10001": Means.BROKEN,  # the account is not active
        "10004": Means.THROTTLED,  # too many calls at a time
        "20003": Means.BROKEN,  # our credentials are refused
        "20005": Means.BROKEN,  # the account is not active
        "20403": Means.BROKEN,  # forbidden
        "20429": Means.THROTTLED,  # too many requests at a time; never processed, Twilio says
        "21611": Means.THROTTLED,  # ten hours of messages wait for this sender
        "21730": Means.LATER,  # maintenance
        "22005": Means.THROTTLED,  # 24 hours of calls wait
        "30001": Means.THROTTLED,  # the sender's queue is full
        "30002": Means.BROKEN,  # the account is suspended
        "63017": Means.THROTTLED,  # above the account's messages per second
        "63018": Means.THROTTLED,  # the channel's rate limit
        "63038": Means.THROTTLED,  # above the account's messages per day
        "70051": Means.BROKEN,  # authorization failed
        "90010": Means.BROKEN,  # the account is not active
    }
)

ABOUT_ONE_MESSAGE = (range(21_200, 22_000), range(30_000, 40_000), range(60_000, 64_000))
"""Codes of calls, messages and channels: a 403 with one of them (21408: not to this region) is not the account's."""

BY_STATUS: Mapping[int, Means] = MappingProxyType(
    {
        **dict.fromkeys(range(200, 300), Means.SENT),
        **dict.fromkeys(range(400, 500), Means.REFUSED),
        401: Means.BROKEN,
        403: Means.BROKEN,
        408: Means.LATER,  # our request did not come in whole
        429: Means.THROTTLED,
        503: Means.LATER,
    }
)
"""A status that is not here is unclear: 500, 502 and 504 may come after the message was taken."""
