"""A server that behaves like Mailgun's API: suppression lists per domain, and validation."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from aiohttp import web

KEY = "key-of-mailgun"
AUTHORIZATION = "Basic " + b64encode(f"api:{KEY}".encode()).decode()
DOMAINS = ("mg.example.com", "news.example.com")


@dataclass
class MailgunThatKeepsLists:
    """`answers`: statuses for the next calls, in order, before it goes on as usual. `calls`: what came in."""

    url: str = ""
    lists: dict[tuple[str, str], set[str]] = field(default_factory=dict)
    result: str = "deliverable"
    answers: list[int] = field(default_factory=list)
    calls: list[str] = field(default_factory=list)

    def settings(self) -> dict[str, object]:
        """The location's account, as the accounts file has it."""
        account = {"signing_key": "s", "api_key": KEY, "domains": list(DOMAINS), "api_base": self.url}
        return {"mailgun": account}

    def app(self) -> web.Application:
        app = web.Application(middlewares=[self._at_the_door])
        app.router.add_delete("/v3/{domain}/{listed:bounces|unsubscribes}/{address}", self._delete)
        app.router.add_get("/v4/address/validate", self._validate)
        return app

    @web.middleware
    async def _at_the_door(self, request: web.Request, handler: web.Handler) -> web.StreamResponse:  # type: ignore[name-defined]
        self.calls.append(f"{request.method} {request.raw_path}")
        if request.headers.get("Authorization") != AUTHORIZATION:
            return web.Response(status=401, text="Forbidden")
        if self.answers and (status := self.answers.pop(0)) != 200:
            location = {"Location": f"{self.url}/elsewhere"} if status == 302 else {}
            return web.json_response({"message": "not now"}, status=status, headers=location)
        answer: web.StreamResponse = await handler(request)
        return answer

    async def _delete(self, request: web.Request) -> web.Response:
        domain, listed, address = (request.match_info[name] for name in ("domain", "listed", "address"))
        if domain not in DOMAINS:
            return web.json_response({"message": "Domain not found: " + domain}, status=404)
        on_list = self.lists.get((domain, listed), set())
        if address not in on_list:
            return web.json_response({"message": "Address not found in bounces table"}, status=404)
        on_list.remove(address)
        return web.json_response({"message": "Bounced address has been removed", "address": address})

    async def _validate(self, request: web.Request) -> web.Response:
        address = request.query["address"]
        return web.json_response({"address": address, "result": self.result, "risk": "low", "reason": []})


@asynccontextmanager
async def mailgun_that_keeps_lists() -> AsyncIterator[MailgunThatKeepsLists]:
    provider = MailgunThatKeepsLists()
    runner = web.AppRunner(provider.app(), shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    provider.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    try:
        yield provider
    finally:
        await runner.cleanup()
