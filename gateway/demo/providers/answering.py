"""What the sandbox's APIs share: how a call to send is taken, written down and answered; forms, keys, kept things."""

from __future__ import annotations

import asyncio
import binascii
import hmac
from base64 import b64decode
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Generic, TypeVar
from urllib.parse import parse_qsl

import msgspec
from aiohttp import web

from gateway.demo.providers.request_log import Asked, RequestLog

KEPT_LIMIT = 100_000
"""Messages, events and idempotency keys an API remembers of its newest ones; more than a demonstration makes."""

Kept_ = TypeVar("Kept_")


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer. `body`: a text as it is, anything else as JSON."""

    status: int
    body: object
    headers: Mapping[str, str] = field(default_factory=dict)

    def response(self) -> web.Response:
        if isinstance(self.body, str):
            return web.Response(status=self.status, text=self.body, headers=self.headers)
        encoded = msgspec.json.encode(self.body)
        return web.Response(status=self.status, body=encoded, content_type="application/json", headers=self.headers)


class Refusal(Exception):  # noqa: N818 - an answer, not a fault
    """The call is answered with this. `code`: the provider's own, as in the request log."""

    def __init__(self, reply: Reply, code: str = "") -> None:
        super().__init__(code)
        self.reply = reply
        self.code = code or f"http_{reply.status}"


class Counter:
    """Where calls to send are taken: written down before they are answered, answered after `latency_s`."""

    def __init__(self, log: RequestLog, latency_s: float) -> None:
        self._log = log
        self._latency_s = latency_s

    async def answered(self, asked: Asked, reply: Reply) -> web.Response:
        self._log.append(asked)
        if self._latency_s:
            await asyncio.sleep(self._latency_s)
        return reply.response()


class Newest(Generic[Kept_]):
    """The newest KEPT_LIMIT things by their id."""

    def __init__(self) -> None:
        self._things: OrderedDict[str, Kept_] = OrderedDict()

    def keep(self, id_: str, thing: Kept_) -> None:
        self._things[id_] = thing
        if len(self._things) > KEPT_LIMIT:
            self._things.popitem(last=False)

    def get(self, id_: str) -> Kept_ | None:
        return self._things.get(id_)

    def newest_first(self) -> list[Kept_]:
        return list(reversed(self._things.values()))


class Form:
    """The fields of a posted form: texts alone, in their order."""

    def __init__(self, fields: list[tuple[str, str]]) -> None:
        self.fields = fields

    def get(self, name: str) -> str:
        """The first value, or an empty text."""
        return next((value for field_, value in self.fields if field_ == name), "")

    def all(self, name: str) -> list[str]:
        return [value for field_, value in self.fields if field_ == name]


async def read_form(request: web.Request) -> Form:
    """Of both encodings that browsers and SDKs use; files are left out."""
    if request.content_type == "application/x-www-form-urlencoded":  # aiohttp's reading takes a thousand fields at most
        return Form(parse_qsl((await request.read()).decode(errors="replace"), keep_blank_values=True))
    posted = await request.post()
    return Form([(name, value) for name, value in posted.items() if isinstance(value, str)])


def opens(request: web.Request, user: str, password: str) -> bool:
    """Whether the call has these Basic credentials."""
    scheme, _, given = request.headers.get("Authorization", "").partition(" ")
    try:
        found = b64decode(given, validate=True)
    except (binascii.Error, ValueError):
        return False
    return scheme.lower() == "basic" and hmac.compare_digest(found, f"{user}:{password}".encode())


def bears(request: web.Request, token: str) -> bool:
    """Whether the call has this bearer token."""
    scheme, _, given = request.headers.get("Authorization", "").partition(" ")
    return scheme.lower() == "bearer" and hmac.compare_digest(given.encode(errors="replace"), token.encode())
