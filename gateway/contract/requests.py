"""Outbound requests: reading the value of `outbound.requests`, and naming what is wrong with one that cannot be read.

Only what decides is decoded into objects; the original bytes are what is forwarded. The other known fields are checked
for their type, so that a worker behind the guard can rely on it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import Annotated, Any

import msgspec

from gateway.dnd.model import Channel

VALUE_LIMIT_BYTES = 1024 * 1024
"""Largest request taken; senders put bigger content behind a link."""

RECIPIENTS_LIMIT = 1_000
"""Most recipients of one email over to, cc and bcc; what Mailgun takes in one call."""

ID_LIMIT = 128
"""Longest id of a request, location or contact, in characters."""

_Id = Annotated[str, msgspec.Meta(min_length=1, max_length=ID_LIMIT)]
_Addresses = str | list[str] | None
_Time = Annotated[int, msgspec.Meta(ge=0)] | None

SPELLINGS: dict[str, Channel] = {
    **{channel.value: channel for channel in Channel},
    **{channel.value.lower(): channel for channel in Channel},
    "mms": Channel.SMS,
    "rcs": Channel.SMS,
    "voicemail": Channel.CALL,
    "manual_call": Channel.CALL,
    "facebook": Channel.FB,
    "messenger": Channel.FB,
}
"""What senders may call a channel, folded to lower case (R1). Everything else is refused."""


class Request(msgspec.Struct, gc=False):
    """An outbound request as it came. `channel` is the sender's spelling; `to` is not yet known to be an address."""

    request_id: _Id
    location_id: _Id
    contact_id: _Id
    channel: str
    to: str | list[str]
    cc: _Addresses = None
    bcc: _Addresses = None
    not_after: _Time = None
    created_at: _Time = None
    from_: str | None = msgspec.field(default=None, name="from")
    body: str | None = None
    subject: str | None = None
    html: str | None = None
    attachments: list[msgspec.Raw] | None = None
    source: str | None = None
    workflow_id: str | None = None
    user_id: str | None = None
    metadata: dict[str, msgspec.Raw] | None = None


class InvalidRequestError(Exception):
    """A request that cannot be decided: `field` as a path into the value ("value" = all of it), `expected` in words."""

    def __init__(self, field: str, expected: str) -> None:
        super().__init__(f"{field}: expected {expected}")
        self.field = field
        self.expected = expected


_decode = msgspec.json.Decoder(Request).decode
_NAMES = frozenset(field.encode_name for field in msgspec.structs.fields(Request))
_REQUIRED = tuple(f'"{name}"'.encode() for name in ("request_id", "location_id", "contact_id", "channel", "to"))
_RECIPIENTS = (b'"cc"', b'"bcc"')
_NOT_AFTER = b'"not_after"'
_DECIDING = (*_REQUIRED, *_RECIPIENTS, _NOT_AFTER)
_ESCAPE_IN_KEY = re.compile(rb'\\u[0-9a-fA-F]{4}(?:[^"\\]|\\.)*"\s*:')
_FAULT = re.compile(r"^(?P<what>.*?)(?: - at `\$?\.?(?P<path>.*)`)?$", re.DOTALL)
_MISSING = re.compile(r"Object missing required field `(?P<name>.*)`")
_EXPECTED = re.compile(r"Expected (?P<what>.*)")


def channel_of(request: Request) -> Channel:
    """The channel meant; InvalidRequestError for one we do not know (R1: refused, never forwarded)."""
    channel = SPELLINGS.get(request.channel)
    if channel is None:
        channel = SPELLINGS.get(request.channel.casefold())
    if channel is None:
        raise InvalidRequestError("channel", f"one of {', '.join(Channel)}")
    return channel


def read_request(value: bytes | None) -> Request:
    """Decode one value. InvalidRequestError names the field; a repeated name is for `repeated_names` to find."""
    if value is None:
        raise InvalidRequestError("value", "a JSON object, not null")
    if len(value) > VALUE_LIMIT_BYTES:
        raise InvalidRequestError("value", f"at most {VALUE_LIMIT_BYTES} bytes")
    try:
        return _decode(value)
    except msgspec.ValidationError as error:
        raise _named(str(error)) from None
    except msgspec.DecodeError as error:
        raise InvalidRequestError("value", f"a JSON object ({error})") from None
    except UnicodeDecodeError as error:
        raise InvalidRequestError("value", f"UTF-8 (byte {error.start} is not)") from None
    except RecursionError:
        raise InvalidRequestError("value", "JSON that is not nested so deeply") from None


def _named(message: str) -> InvalidRequestError:
    fault = _FAULT.match(message)
    what, path = (fault["what"], fault["path"]) if fault else (message, None)
    if missing := _MISSING.match(what):
        return InvalidRequestError(missing["name"], "a value, it is required")
    expected = _EXPECTED.match(what)
    return InvalidRequestError(path or "value", expected["what"] if expected else what)


def repeated_names(values: Sequence[bytes | None]) -> dict[int, str]:
    """The values that name a known field twice at their top level, by index, with the first such field.

    Readers differ in which of two values they take, so what we decided on may not be what is sent: such a request is
    refused. Counting the quoted names over the whole batch at once is quick and finds every one of them, unless a name
    is spelt with escapes, which is looked for apart. Only a batch that counts wrong is looked at value by value.
    """
    given = [value for value in values if value is not None]
    joined = b"\n".join(given)
    expected = len(given)
    if (
        all(joined.count(name) == expected for name in _REQUIRED)
        and not any(name in joined for name in _RECIPIENTS)
        and joined.count(_NOT_AFTER) in (0, expected)
        and not (b"\\" in joined and _ESCAPE_IN_KEY.search(joined))
    ):
        return {}
    found = ((index, _repeated_name(value)) for index, value in enumerate(values) if value is not None)
    return {index: name for index, name in found if name is not None}


def _repeated_name(value: bytes) -> str | None:
    if all(value.count(name) < 2 for name in _DECIDING) and not _ESCAPE_IN_KEY.search(value):
        return None
    top: list[tuple[str, Any]] = []

    def keep(pairs: list[tuple[str, Any]]) -> None:
        nonlocal top
        top = pairs  # objects are closed from the inside out: the last one is the whole

    try:
        json.loads(value, object_pairs_hook=keep)
    except (ValueError, RecursionError):
        return None  # not JSON: refused for that
    seen: set[str] = set()
    for name, _ in top:
        if name in seen and name in _NAMES:
            return name
        seen.add(name)
    return None


class _Readable(msgspec.Struct):
    request_id: Any = None
    location_id: Any = None
    contact_id: Any = None
    channel: Any = None


def readable_fields(value: bytes | None) -> tuple[str | None, str | None, str | None, str | None]:
    """What can still be told of an invalid request: request, location and contact id, and channel as spelt."""
    if value is None or len(value) > VALUE_LIMIT_BYTES:
        return None, None, None, None
    try:
        found = msgspec.json.decode(value, type=_Readable)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None, None, None, None
    fields = (found.request_id, found.location_id, found.contact_id, found.channel)
    request_id, location_id, contact_id, channel = (
        field if isinstance(field, str) and len(field) <= ID_LIMIT else None for field in fields
    )
    return request_id, location_id, contact_id, channel
