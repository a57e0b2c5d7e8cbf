"""What the error codes of Meta's Graph API mean for a message and for its account. Data; `graph` walks it.

developers.facebook.com/docs/messenger-platform/error-codes,
developers.facebook.com/documentation/business-messaging/whatsapp/support/error-codes. Only what is more than its HTTP
status says has a row. What a code says of the person's wish is in `codes`, for it means the same in a webhook.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from gateway.providers.http.answers import Means

ANY = -1
"""Whatever the subcode."""

NONE = 0
"""No subcode."""

Codes = Mapping[tuple[int, int], Means]
"""By code and subcode."""

_OF_BOTH: Codes = {
    (0, ANY): Means.BROKEN,  # we are not authenticated
    (1, ANY): Means.UNCLEAR,  # an unknown error; Meta tells of messages that went out beside it
    (2, ANY): Means.UNCLEAR,  # the service is temporarily unavailable, or was while it sent
    (3, ANY): Means.BROKEN,  # the app lacks the capability
    (4, ANY): Means.THROTTLED,  # the app's calls
    (17, ANY): Means.THROTTLED,  # the user's calls
    (32, ANY): Means.THROTTLED,  # the page's calls
    (102, ANY): Means.BROKEN,  # the session is over
    (190, ANY): Means.BROKEN,  # the token has expired
    (368, ANY): Means.BROKEN,  # blocked for a while, for what was sent before
    (613, ANY): Means.THROTTLED,  # calls to this API
}

MESSENGER: Codes = MappingProxyType(
    {
        **_OF_BOTH,
        (4, 2018354): Means.REFUSED,  # too soon after the person's last marketing message
        # Code 10 and those from 200 on: without a subcode our permission, with one it is most often the recipient.
        (10, NONE): Means.BROKEN,
        (10, ANY): Means.REFUSED,  # 2018278, 2534022: outside the window
        **{(code, NONE): Means.BROKEN for code in range(200, 300)},
        **{(code, ANY): Means.REFUSED for code in range(200, 300)},  # 1545041: the person is unavailable
        (200, 2018028): Means.BROKEN,  # the app may send to its testers only
        (100, ANY): Means.REFUSED,  # a parameter; 2018001: no such person
        (551, ANY): Means.REFUSED,  # the person is not available, for whatever reason
        (1200, ANY): Means.UNCLEAR,  # "temporary send message failure"
        (80006, ANY): Means.THROTTLED,  # the page's messages
    }
)

WHATSAPP: Codes = MappingProxyType(
    {
        **_OF_BOTH,
        (10, ANY): Means.BROKEN,  # permission denied
        **{(code, ANY): Means.BROKEN for code in range(200, 300)},
        (33, ANY): Means.BROKEN,  # our number has been deleted
        (100, 33): Means.BROKEN,  # our number is not there, or not this token's
        (80007, ANY): Means.THROTTLED,  # the account's calls
        (130429, ANY): Means.THROTTLED,  # the number's messages
        (130472, ANY): Means.REFUSED,  # the person is part of an experiment of Meta's
        (130497, ANY): Means.REFUSED,  # not to this country
        (131000, ANY): Means.UNCLEAR,  # an unknown error
        (131005, ANY): Means.BROKEN,  # access denied
        (131016, ANY): Means.LATER,  # the service is unavailable
        (131026, ANY): Means.REFUSED,  # undeliverable; Meta does not say why
        (131031, ANY): Means.BROKEN,  # the account is locked
        (131037, ANY): Means.BROKEN,  # the number's display name is not approved
        (131042, ANY): Means.BROKEN,  # the account is not paid for
        (131045, ANY): Means.BROKEN,  # the number is not registered properly
        (131047, ANY): Means.REFUSED,  # more than 24 h since the person wrote
        (131048, ANY): Means.THROTTLED,  # too many messages were blocked or reported
        (131049, ANY): Means.REFUSED,  # Meta chose not to deliver
        (131050, ANY): Means.REFUSED,  # the person stopped marketing messages
        (131053, ANY): Means.REFUSED,  # the media could not be uploaded
        (131056, ANY): Means.THROTTLED,  # messages to this person
        (131057, ANY): Means.LATER,  # the account is in maintenance
        (131064, ANY): Means.THROTTLED,  # the account's messaging limit
        (133004, ANY): Means.LATER,  # the server is unavailable
        (133010, ANY): Means.BROKEN,  # the number is not registered
        (133016, ANY): Means.THROTTLED,  # registrations of the number
    }
)
