"""Reading the JSON of providers: a field that is missing or of another type than expected is as if it were empty.

Providers add fields, leave some out and change types without notice, and one odd part of a post must not cost us the
opt-out beside it. So nothing here raises but `json_object`, and every text that comes out can be written as UTF-8.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import math
import re
from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import quote

import orjson

from gateway.providers.signals import Unparsable

Json = Mapping[str, Any]

EVENT_ID_LIMIT = 256
"""Characters of an event id in `dnd.events`."""

SHOWN_LIMIT = 200
"""Characters of a provider's free text that are kept as evidence; enough for an SMTP answer."""

_EARLIEST_S = 1_000_000_000
_LATEST_S = 10_000_000_000
"""Seconds since 1970, 2001 to 2286: outside it is no time of a provider's event (milliseconds, 0, a wrong field)."""

_ADDRESS = re.compile(r"[^\s<>()\[\],;:\"']+@[^\s<>()\[\],;:\"']+")


def json_object(body: bytes) -> Json:
    """The body's JSON object; raises Unparsable."""
    try:
        found = orjson.loads(body)
    except orjson.JSONDecodeError:
        found = _read_forgiving(body)
    if not isinstance(found, dict):
        raise Unparsable("expected a JSON object")
    return found


def answered_object(body: bytes) -> Json:
    """The JSON object an API answered with, or an empty one: then the status alone says what happened."""
    try:
        return json_object(body)
    except Unparsable:
        return {}


def path_segment(part: str) -> str:
    """Any text as one segment of a URL's path, or as a value of its query."""
    return quote(part, safe="", errors="replace")


def _read_forgiving(body: bytes) -> object:
    """Half an emoji in one person's message, or a byte that is not UTF-8, must not cost the rest of the post."""
    try:
        return json.loads(body.decode("utf-8-sig", errors="replace"))
    except (ValueError, RecursionError):
        raise Unparsable("expected a JSON object") from None


def member(given: Json, name: str) -> Json:
    """The object in a field, or an empty one."""
    found = given.get(name)
    return found if isinstance(found, dict) else {}


def objects(given: Json, name: str) -> list[Json]:
    """The objects in a field that holds a list."""
    found = given.get(name)
    return [each for each in found if isinstance(each, dict)] if isinstance(found, list) else []


def text(given: Json, name: str) -> str:
    """The text in a field, or a number (as somebody's JSON library may write an id) as text; "" = neither."""
    return _text(given.get(name))


def texts(given: Json, name: str) -> list[str]:
    """The texts in a field that holds a list."""
    found = given.get(name)
    return [each for each in map(_text, found) if each] if isinstance(found, list) else []


def _text(found: object) -> str:
    if type(found) is int:
        return str(found)
    return found.encode("utf-8", errors="replace").decode() if isinstance(found, str) else ""


def word(given: Json, name: str) -> str:
    """A word of the provider's vocabulary, in one spelling."""
    return text(given, name).strip().lower()


def moment(given: Json, name: str) -> int | None:
    """A time in seconds since 1970, with or without a fraction, also as text -> ms; None = no time."""
    found = given.get(name)
    if not isinstance(found, (int, float, str)):
        return None
    try:
        seconds = float(found)
    except (ValueError, OverflowError):
        return None
    if not math.isfinite(seconds) or not _EARLIEST_S <= seconds <= _LATEST_S:
        return None
    return int(seconds * 1000)


def event_id(*parts: str) -> str:
    """One id of the parts, hashed when it is longer than an event id may be."""
    whole = ":".join(parts)
    if len(whole) <= EVENT_ID_LIMIT:
        return whole
    return f"{parts[0]}:sha256:{hashlib.sha256(whole.encode()).hexdigest()}"


def shown(free_text: str) -> str:
    """A provider's free text as evidence: bounded, on one line, and without the mail addresses that stand in it."""
    return _ADDRESS.sub("<address>", " ".join(free_text[: 4 * SHOWN_LIMIT].split()))[:SHOWN_LIMIT]


def evidence(**fields: str) -> dict[str, object]:
    """The fields that say something."""
    return {name: value for name, value in fields.items() if value}


def is_signed(signature: str, signed: bytes, keys: Iterable[str]) -> bool:
    """Whether `signature` is the hex HMAC-SHA256 of `signed` under one of the keys (several while they are rotated).

    Takes as long whichever key it is, and whatever the signature looks like. An empty key is no key.
    """
    given = signature.encode("utf-8", errors="replace")
    found = False
    for key in keys:
        expected = hmac.new(key.encode(), signed, hashlib.sha256).hexdigest().encode()
        found |= hmac.compare_digest(expected, given) and key != ""
    return found
