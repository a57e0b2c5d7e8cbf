"""Mailgun's and Twilio's APIs, as far as their lists are read, on servers of their own that speak as documented."""

from __future__ import annotations

import json
from base64 import b64encode
from bisect import bisect_right
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import format_datetime
from typing import Any
from urllib.parse import urlencode

from aiohttp import web

from tests.providers.calls import payload

NOW = 1_763_900_000_000
DOMAIN, SID = "mg.example.com", "AC00000000000000000000000000000001"
API_KEY, TOKEN = "key-of-mailgun", "token-of-twilio"

Answers = Callable[[web.Request], web.Response | None]
"""What is answered instead, None = nothing."""


def date(at: int, zone: str = "+0000") -> str:
    return format_datetime(datetime.fromtimestamp(at / 1000, UTC)).replace("+0000", zone)


@dataclass
class Provider:
    """What both have. `url` while it serves; `asked`: paths with queries, in order."""

    url: str = ""
    asked: list[str] = field(default_factory=list)
    instead: Answers = lambda _: None
    credentials: str = ""

    def refusal(self, request: web.Request) -> web.Response | None:
        self.asked.append(request.raw_path)
        expected = f"Basic {b64encode(self.credentials.encode()).decode()}"
        if request.headers.get("Authorization") != expected:
            return web.json_response({"message": "Invalid private key"}, status=401)
        return self.instead(request)


@dataclass
class Mailgun(Provider):
    """Lists by domain and name: since when (ms) each address is on it."""

    lists: dict[tuple[str, str], dict[str, int]] = field(default_factory=dict)
    odd: list[Any] = field(default_factory=list)
    """Items that stand in every page besides."""
    credentials: str = f"api:{API_KEY}"

    def on(self, listed: str, *addresses: str, domain: str = DOMAIN, at: int = NOW - 3_600_000) -> None:
        self.lists.setdefault((domain, listed), {}).update(dict.fromkeys(addresses, at))

    def off(self, listed: str, address: str, domain: str = DOMAIN) -> None:
        del self.lists[domain, listed][address]

    async def page(self, request: web.Request) -> web.Response:
        if (refused := self.refusal(request)) is not None:
            return refused
        domain, listed = request.match_info["domain"], request.match_info["list"]
        since = self.lists.get((domain, listed), {})
        names, limit = sorted(since), int(request.query.get("limit", "100"))
        pivot = request.query.get("address", "")
        begin = bisect_right(names, pivot) if pivot else 0
        shown = names[begin : begin + limit]
        items: list[Any] = [_suppressed(listed, name, since[name]) for name in shown]
        following = {"page": "next", "address": shown[-1] if shown else pivot, "limit": str(limit)}
        base = f"https://api.mailgun.net/v3/{domain}/{listed}"  # never called: the key goes where it was set to go
        paging = {"first": base, "next": f"{base}?{urlencode(following)}", "previous": base, "last": base}
        return web.json_response({"items": items + (self.odd if items else []), "paging": paging})


def _suppressed(listed: str, address: str, at: int) -> dict[str, object]:
    """As the vendor's reference shows the items of each list."""
    created: dict[str, object] = {"address": address, "created_at": date(at, "UTC")}
    if listed == "bounces":
        return created | {"code": "550", "error": "550 5.1.1 no such user"}
    return created | ({"tags": ["*"]} if listed == "unsubscribes" else {})


@dataclass
class Twilio(Provider):
    """A log of messages; `sid`s in the order in which they were written down."""

    log: list[dict[str, Any]] = field(default_factory=list)
    credentials: str = f"{SID}:{TOKEN}"

    def says(self, body: str, sender: str, at: int, sid: str | None = None, **changed: object) -> str:
        sid = sid or f"SM{len(self.log):032x}"
        message = {"sid": sid, "body": body, "from": sender, "date_created": date(at), "date_sent": date(at)}
        self.log.append(payload("twilio", "message_inbound") | message | changed)
        return sid

    async def page(self, request: web.Request) -> web.Response:
        if (refused := self.refusal(request)) is not None:
            return refused
        since = request.query.get("DateSent>", "")
        begin = datetime.strptime(since, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC).timestamp()
        found = [each for each in self.log if _seconds(each["date_sent"]) >= begin]
        found.sort(key=lambda each: _seconds(each["date_sent"]), reverse=True)
        size, number = int(request.query["PageSize"]), int(request.query.get("Page", "0"))
        more = len(found) > (number + 1) * size
        query = {"DateSent>": since, "PageSize": str(size), "Page": str(number + 1), "PageToken": "PASM1"}
        following = f"{request.path}?{urlencode(query)}" if more else None
        body = {"messages": found[number * size : (number + 1) * size], "page": number, "page_size": size}
        return web.json_response(body | {"next_page_uri": following, "uri": request.raw_path})


def _seconds(rfc2822: str) -> float:
    return datetime.strptime(rfc2822, "%a, %d %b %Y %H:%M:%S %z").timestamp()


def at_call(number: int, *answers: web.Response) -> Answers:
    """These instead, one for each call from the `number`-th on (from 0)."""
    calls = iter(range(10**9))
    by_number = {number + index: answer for index, answer in enumerate(answers)}

    def instead(_: web.Request) -> web.Response | None:
        found = by_number.get(next(calls))
        return None if found is None else web.Response(status=found.status, body=found.body, headers=found.headers)

    return instead


def busy(status: int, **headers: str) -> web.Response:
    body = json.dumps({"message": "slow down"}).encode()
    return web.Response(status=status, body=body, headers={name.replace("_", "-"): it for name, it in headers.items()})


@asynccontextmanager
async def serving(*providers: Mailgun | Twilio) -> AsyncIterator[None]:
    runners: list[web.AppRunner] = []
    try:
        for provider in providers:
            app = web.Application()
            mailgun = isinstance(provider, Mailgun)
            path = "/v3/{domain}/{list}" if mailgun else "/2010-04-01/Accounts/{account}/Messages.json"
            app.router.add_get(path, provider.page)
            runner = web.AppRunner(app, shutdown_timeout=0.1, access_log=None)
            await runner.setup()
            runners.append(runner)
            await web.TCPSite(runner, "127.0.0.1", 0).start()
            provider.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        yield
    finally:
        for runner in runners:
            await runner.cleanup()
