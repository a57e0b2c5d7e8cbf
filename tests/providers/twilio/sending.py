"""Messages to send through Twilio, what Twilio answers, and what its own SDK would send: its HTTP client, overheard."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl

import msgspec
from hypothesis import strategies as st
from requests import Request
from twilio.base.exceptions import TwilioRestException  # type: ignore[import-untyped]  # ships no py.typed
from twilio.http import HttpClient  # type: ignore[import-untyped]
from twilio.rest import Client  # type: ignore[import-untyped]

from gateway.dnd.model import Channel
from gateway.providers.sending import Answer, HttpCall, Message
from tests.providers.calls import payload

ACCOUNT = f"AC{1:032x}"
TOKEN = "0123456789abcdef0123456789abcdef"  # noqa: S105 - of the tests
SERVICE = f"MG{1:032x}"
PUBLIC_URL = "https://gateway.example.com"
OURS, THEIRS = "+14155550100", "+14155550123"

CREATED, CHECKED = 1_763_900_000_000, 1_763_900_060_000
"""ms: when the message was made, and when it was tried, a minute later."""

_DEFAULTS: dict[str, Any] = {
    "decision_id": "outbound.requests-3-4711",
    "request_id": "r1",
    "location_id": "loc1",
    "contact_id": "c1",
    "channel": Channel.SMS,
    "spelling": "SMS",
    "to": (THEIRS,),
    "body": "Your appointment is tomorrow.",
    "created_at": CREATED,
    "not_after": CHECKED + 600_000,
    "checked_at": CHECKED,
}


def message(**changed: Any) -> Message:
    return Message(**(_DEFAULTS | changed))


def attached(*attachments: object) -> tuple[msgspec.Raw, ...]:
    return tuple(msgspec.Raw(json.dumps(each).encode()) for each in attachments)


def answer(status: int, body: object = b"", **headers: str) -> Answer:
    """`body`: bytes as they are, anything else as JSON."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Answer(status, named, body if isinstance(body, bytes) else json.dumps(body).encode())


def error(code: int) -> Answer:
    """One of the errors in `tests/payloads/twilio`."""
    found = payload("twilio", f"error_{code}")
    return answer(found["status"], found)


@dataclass(frozen=True, slots=True)
class Asked:
    """A request, so far as it matters to Twilio: fields in their order, each name's values in theirs."""

    method: str
    url: str
    authorization: str
    content_type: str | None
    accept: str
    fields: tuple[tuple[str, str], ...]


def asked(call: HttpCall) -> Asked:
    return _asked(call.method, call.url, dict(call.headers), call.body)


class Overheard(HttpClient):  # type: ignore[misc]  # untyped
    """Prepares what it is asked to send as the SDK's own client does, keeps it, and sends nothing."""

    def __init__(self) -> None:
        super().__init__(logging.getLogger(__name__), is_async=False)
        self.asked: Asked | None = None

    def request(
        self,
        method: str,
        url: str,
        params: Any = None,
        data: Any = None,
        headers: Any = None,
        auth: Any = None,
        **_: object,
    ) -> object:
        wire = Request(method, url, params=params, data=data, headers=headers, auth=auth).prepare()
        assert wire.url is not None
        body = wire.body or ""
        assert isinstance(body, str)
        self.asked = _asked(method, wire.url, wire.headers, body.encode())
        raise TwilioRestException(404, url)


def asked_by_the_sdk(do: Callable[[Any], object]) -> Asked:
    """What goes out when something is done with the SDK's client."""
    http = Overheard()
    with suppress(TwilioRestException):
        do(Client(ACCOUNT, TOKEN, http_client=http))
    assert http.asked is not None
    return http.asked


def _asked(method: str, url: str, headers: Any, body: bytes) -> Asked:
    fields = parse_qsl(body.decode(), keep_blank_values=True, strict_parsing=bool(body))
    in_order = sorted(fields, key=lambda field: field[0])  # stable: what is repeated stays in its order
    return Asked(method, url, headers["Authorization"], headers.get("Content-Type"), headers["Accept"], tuple(in_order))


NUMBERS = st.from_regex(r"\+[1-9][0-9]{6,14}", fullmatch=True)
TEXTS = st.text(st.characters(codec="utf-8"), max_size=60)
URLS = st.builds("https://files.example.com/{}".format, st.text("abcXYZ019-._~/?&=%+;éü", max_size=30))

messages = st.builds(
    message,
    to=st.tuples(NUMBERS),
    from_=st.none() | NUMBERS,
    body=st.none() | TEXTS,
    attachments=st.lists(URLS | URLS.map(lambda url: {"url": url, "name": "x"}), max_size=10).map(
        lambda urls: attached(*urls)
    ),
    contact_id=TEXTS.filter(bool),
    created_at=st.integers(CREATED - 10**9, CREATED),
    not_after=st.integers(CHECKED - 5_000, CHECKED + 10**8),
    checked_at=st.none() | st.integers(CHECKED - 10**6, CHECKED),
)
