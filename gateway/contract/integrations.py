"""The messages of `integrations`: whether a channel of a location is connected to its provider (R7, R8).

Read with tolerance for what does not decide: spelling of words, further fields, a time that is missing. A message with
a location, channel or status that we cannot tell says nothing, and what was said before stays.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import msgspec

from gateway.contract.forgiving import Unreadable
from gateway.dnd.model import Channel


class IntegrationStatus(StrEnum):
    """What the integration of a channel is."""

    CONNECTED = "connected"
    DISCONNECTED = "disconnected"


FOUND_BY_DISPATCH = "dispatch"

IntegrationId = tuple[str, Channel]
"""Location and channel."""


@dataclass(frozen=True, slots=True)
class Integration:
    """One message. `status` is None when the record was withdrawn (a null value): unknown again. `updated_at` in ms.

    `found_by`: FOUND_BY_DISPATCH where it was found out by sending; what somebody else says is theirs to take back.
    """

    location_id: str
    channel: Channel
    status: IntegrationStatus | None
    provider: str = ""
    updated_at: int = 0
    found_by: str = ""


_SPELLINGS: dict[str, Channel] = {channel.value.lower(): channel for channel in Channel} | {
    "facebook": Channel.FB,
    "messenger": Channel.FB,
}
"""Not those of requests that are a part of a channel: without MMS, SMS still goes out."""

_STATUSES = {status.value: status for status in IntegrationStatus}
_encode = msgspec.json.Encoder().encode


class _Message(msgspec.Struct):
    location_id: str
    channel: str
    status: str
    provider: Any = None
    updated_at: Any = None
    found_by: Any = None


_decode = msgspec.json.Decoder(_Message).decode
_decode_key = msgspec.json.Decoder(tuple[str, str]).decode


def integration_key(location_id: str, channel: Channel) -> bytes:
    """The key of a record: the array as JSON without spaces, raw UTF-8."""
    return _encode((location_id, channel))


def encode_integration(integration: Integration) -> bytes | None:
    """The value of a record."""
    if integration.status is None:
        return None
    return _encode(
        {
            "location_id": integration.location_id,
            "channel": integration.channel,
            "status": integration.status,
            "provider": integration.provider,
            "updated_at": integration.updated_at,
        }
        | ({"found_by": integration.found_by} if integration.found_by else {})
    )


def read_integration(key: bytes | None, value: bytes | None, timestamp: int) -> Integration:
    """The message of a record written at `timestamp` (ms); raises Unreadable."""
    if value is None:
        return _withdrawn(key, timestamp)
    try:
        message = _decode(value)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Unreadable("value", f"a JSON object with location_id, channel and status ({error})") from None
    status = _STATUSES.get(_word(message.status))
    if status is None:
        raise Unreadable("status", f"one of {', '.join(IntegrationStatus)}")
    location_id, channel = _identity(message.location_id, message.channel)
    provider = message.provider if isinstance(message.provider, str) else ""
    updated_at = message.updated_at if type(message.updated_at) is int else timestamp
    found_by = message.found_by if isinstance(message.found_by, str) else ""
    return Integration(location_id, channel, status, provider, updated_at, found_by)


def _withdrawn(key: bytes | None, timestamp: int) -> Integration:
    try:
        location_id, word = _decode_key(key or b"")
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise Unreadable("key", "[location_id, channel] where the value is null") from None
    return Integration(*_identity(location_id, word), None, "", timestamp)


def _identity(location_id: str, word: str) -> IntegrationId:
    channel = _SPELLINGS.get(_word(word))
    if channel is None:
        raise Unreadable("channel", f"one of {', '.join(Channel)}")
    if not location_id:
        raise Unreadable("location_id", "an id that is not empty")
    return location_id, channel


def _word(found: str) -> str:
    return found.strip().lower()
