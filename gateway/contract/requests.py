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
DECIDING = ("request_id", "location_id", "contact_id", "channel", "to", "cc", "bcc", "not_after")
"""The fields a decision rests on; naming one of them twice is refused."""

_QUOTED = tuple(f'"{name}"'.encode() for name in DECIDING)
_REQUIRED, _NOT_AFTER = _QUOTED[:5], _QUOTED[7]
_MORE_RECIPIENTS = b'cc"'
"""How `"cc"` and `"bcc"` both end."""
_LONGEST_NAME = max(map(len, DECIDING))
_ESCAPED_NAME = re.compile(
    # Bounded from its first quote on: an escaped text of any length must not be walked through from each escape.
    rb'"(?=[a-z_]{0,%d}\\u00)(?:[a-z_]|\\u00[0-9a-fA-F]{2}){1,%d}"\s*:' % (_LONGEST_NAME, _LONGEST_NAME)
)
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
    """Decode one value. InvalidRequestError names the field; what it cannot see is for `hidden_faults` to find."""
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


def hidden_faults(values: Sequence[bytes | None], dated: int) -> dict[int, InvalidRequestError]:
    """What is wrong with values that `read_request` has read: by index, at most one fault each.

    None stands for a value that it has refused; `dated` is how many of the others have a `not_after`. Two things escape
    a reader that decodes only what decides. A field of DECIDING may be *named twice*: readers differ in which they
    take, so what we decided on may not be what is sent. And a field that was skipped may not be *UTF-8*.

    The whole batch is looked at in one go, which is quick and finds every one: each value has each required name at
    least once, so it is the count that tells, unless a name is spelt with escapes, which is looked for apart. Only a
    batch that does not add up is looked at value by value.
    """
    joined = b"\n".join([value for value in values if value is not None])
    expected = len(values) - values.count(None)
    if (
        all(joined.count(name) == expected for name in _REQUIRED)
        and _MORE_RECIPIENTS not in joined
        and joined.count(_NOT_AFTER) == dated
        and not (b"\\" in joined and _ESCAPED_NAME.search(joined))
        and _is_utf8(joined)
    ):
        return {}
    found = ((index, _hidden_fault(value)) for index, value in enumerate(values) if value is not None)
    return {index: fault for index, fault in found if fault is not None}


def _is_utf8(value: bytes) -> bool:
    try:
        value.decode()
    except UnicodeDecodeError:
        return False
    return True


def _hidden_fault(value: bytes) -> InvalidRequestError | None:
    if not _is_utf8(value):
        return InvalidRequestError("value", "UTF-8")
    if all(value.count(name) < 2 for name in _QUOTED) and not _ESCAPED_NAME.search(value):
        return None
    top: list[tuple[str, Any]] = []

    def keep(pairs: list[tuple[str, Any]]) -> None:
        nonlocal top
        top = pairs  # objects are closed from the inside out: the last one is the whole

    try:
        # Numbers stay text: there are some that only one of two readers takes, and a fault must not hide behind one.
        json.loads(value, object_pairs_hook=keep, parse_int=str, parse_float=str)
    except RecursionError:
        return InvalidRequestError("value", "JSON that is not nested so deeply")
    seen: set[str] = set()
    for name, _ in top:
        if name in seen and name in DECIDING:
            return InvalidRequestError(name, "to be named once")
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
