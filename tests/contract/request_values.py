"""Values of requests, and both steps of reading them."""

import json

from gateway.contract.requests import InvalidRequestError, channel_of, hidden_faults, read_request

GOOD: dict[str, object] = {
    "request_id": "r-1",
    "location_id": "loc1",
    "contact_id": "c1",
    "channel": "SMS",
    "to": "+14155552671",
}

LONG = 100_000
"""Levels, digits or characters: far more than any reader's own limit."""


def value(tail: bytes = b"", /, **fields: object) -> bytes:
    """A good request with other fields, and more JSON text before its closing brace."""
    return json.dumps(GOOD | fields).encode()[:-1] + tail + b"}"


def without(name: str) -> bytes:
    return json.dumps({key: entry for key, entry in GOOD.items() if key != name}).encode()


def nested(depth: int) -> bytes:
    return b"[" * depth + b"]" * depth


def fault(given: bytes | None) -> InvalidRequestError | None:
    """What is wrong with a value, by both steps of reading; None = it is good."""
    try:
        request = read_request(given)
        channel_of(request)
    except InvalidRequestError as error:
        return error
    return hidden_faults([given], int(request.not_after is not None)).get(0)


def field_at_fault(given: bytes | None) -> str | None:
    error = fault(given)
    return None if error is None else error.field
