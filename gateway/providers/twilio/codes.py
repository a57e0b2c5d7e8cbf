"""Twilio's error codes and what each means for DND (R15, R16). Data; `gateway.providers.twilio.webhooks` walks it.

A code is a string of digits, as in a callback's `ErrorCode`. Meanings: twilio.com/docs/api/errors/<code>. Twilio says
not to build on the texts, and adds codes without notice: what has no row is counted and changes nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from gateway.dnd.model import Cause

SMS_CAUSES: Mapping[str, Cause] = MappingProxyType(
    {
        "30003": Cause.UNREACHABLE,  # unreachable handset
        "30005": Cause.UNREACHABLE,  # unknown handset, number inactive
        "30006": Cause.UNREACHABLE,  # landline or unreachable carrier
        "30004": Cause.CARRIER_OPT_OUT,  # message blocked by the carrier or the device
        "21610": Cause.CARRIER_OPT_OUT,  # Twilio holds an opt-out of the recipient
    }
)
"""Failures of an SMS that hold its recipient, at create and in a callback alike."""

NO_EFFECT: Mapping[str, str] = MappingProxyType(
    {
        "20003": "our credentials are refused",
        "20429": "too many requests",
        "21211": "the recipient's number is not valid",
        "21408": "the account may not send to this region",
        "21606": "the sender's number cannot send this",
        "21612": "no route from this sender to this recipient",
        "21614": "the recipient's number is no mobile",
        "21617": "the body is too long",
        "21635": "the recipient's number is a landline",
        "21661": "the sender's number cannot send SMS",
        "30001": "the sender's queue is full",
        "30002": "the account is suspended",
        "30007": "filtered as spam, by the carrier or by Twilio",
        "30008": "unknown error",
        "30010": "the price is above the message's limit",
        "30011": "the recipient's number takes no MMS",
        "30019": "the content is too large for the carrier",
        "30022": "A2P 10DLC: rate limit",
        "30023": "A2P 10DLC: daily limit",
        "30027": "A2P 10DLC: daily limit at T-Mobile",
        "30032": "the toll-free sender is not verified",
        "30033": "A2P 10DLC: the campaign is suspended",
        "30034": "A2P 10DLC: the sender is not registered",
        "30036": "the validity period ran out",
        "63003": "channel: recipient not found",
        "63013": "channel: against the channel's policy",
        "63014": "channel: blocked by something the user did",
        "63016": "channel: outside the window for free text",
        "63018": "channel: rate limit",
        "63024": "channel: the recipient is not valid",
        "63032": "WhatsApp: not sent to this user at this time",
        "63033": "WhatsApp: the recipient blocked the sender (no longer reported)",
        "63049": "WhatsApp: Meta chose not to deliver a marketing message",
    }
)
"""Failures that say nothing of the recipient's wish: our mistake, the sender's registration, a limit, bad data."""
