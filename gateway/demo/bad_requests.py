"""One bad request of every kind a sender can get wrong, for the campaign."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping

from gateway.contract.requests import VALUE_LIMIT_BYTES

NESTING = 100_000
"""Deep enough for every JSON reader to give up."""

GOOD: Mapping[str, object] = {
    "request_id": "r-bad",
    "location_id": "bright-smile",
    "contact_id": "c-9000",
    "channel": "SMS",
    "to": "+14155550199",
    "body": "Hi",
}
"""A request with nothing wrong, before it is spoilt."""


def bad_requests() -> Iterator[tuple[str, bytes | None]]:
    """What is wrong, and the value."""
    good = json.dumps(GOOD)
    yield "no JSON", b"Dear customer, your appointment is tomorrow"
    yield "an empty value", b""
    yield "no value at all", None
    yield "JSON cut short", good[:-10].encode()
    yield "a list", json.dumps([GOOD]).encode()
    yield "Latin-1", json.dumps(_with(body="Café"), ensure_ascii=False).encode("latin-1")
    yield "nested too deep", good.replace('"Hi"', "[" * NESTING + "]" * NESTING).encode()
    yield "a field named twice", good.replace('"channel"', '"to": "+14155550100", "channel"').encode()
    yield "too large", _encoded(_with(body="la" * VALUE_LIMIT_BYTES))
    yield "no contact", _encoded({name: value for name, value in GOOD.items() if name != "contact_id"})
    yield "an empty request id", _encoded(_with(request_id=""))
    yield "a number for an id", _encoded(_with(contact_id=9000))
    yield "an unknown channel", _encoded(_with(channel="Instagram"))
    yield "a carrier pigeon", _encoded(_with(channel="pigeon", to="the roof"))
    yield "no phone number", _encoded(_with(to="call the office"))
    yield "too few digits", _encoded(_with(to="+1415"))
    yield "SMS to a list", _encoded(_with(to=["+14155550100", "+14155550101"]))
    yield "no mailbox", _encoded(_with(channel="Email", to="front desk"))
    yield "nobody to write to", _encoded(_with(channel="Email", to=[], cc=["ada@example.com"]))
    yield "an expiry in words", _encoded(_with(not_after="tomorrow"))


def _with(**changed: object) -> dict[str, object]:
    return {**GOOD, **changed}


def _encoded(request: Mapping[str, object]) -> bytes:
    return json.dumps(request).encode()
