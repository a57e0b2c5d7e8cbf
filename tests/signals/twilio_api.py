"""Twilio's API for messages, as far as it is asked for them, on a server of its own."""

from __future__ import annotations

import asyncio
from base64 import b64encode
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import format_datetime

from aiohttp import web

from gateway.providers.twilio.messages import BY_CODE, Answered
from tests.providers.calls import payload

NOT_FOUND = next(code for code, answered in BY_CODE.items() if answered is Answered.NOT_FOUND)


@dataclass
class TwilioApi:
    """Knows messages of one account by when they were created (ms). `url` while it `serves`."""

    account_sid: str = "AC1"
    auth_token: str = "token"  # noqa: S105 - of the tests
    created: dict[str, int] = field(default_factory=dict)
    url: str = ""
    broken: web.Response | None = None
    """Answered instead."""
    hangs: bool = False
    asked: list[str] = field(default_factory=list)
    """Paths, in the order of their answers."""

    async def message(self, request: web.Request) -> web.StreamResponse:
        self.asked.append(request.raw_path)
        if self.hangs:
            await asyncio.Event().wait()
        if self.broken is not None:
            return web.Response(status=self.broken.status, body=self.broken.body, headers=self.broken.headers)
        credentials = b64encode(f"{self.account_sid}:{self.auth_token}".encode()).decode()
        if request.headers.get("Authorization") != f"Basic {credentials}":
            return web.json_response(payload("twilio", "error_20003"), status=401)
        sid = request.match_info["sid"]
        if request.match_info["account"] != self.account_sid or sid not in self.created:
            return web.json_response(payload("twilio", f"error_{NOT_FOUND}"), status=404)
        created = format_datetime(datetime.fromtimestamp(self.created[sid] // 1000, UTC))
        found = payload("twilio", "message_inbound") | {"sid": sid, "date_created": created}
        return web.json_response(found)


@asynccontextmanager
async def serving(api: TwilioApi) -> AsyncIterator[TwilioApi]:
    app = web.Application()
    app.router.add_get("/2010-04-01/Accounts/{account}/Messages/{sid}.json", api.message)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        api.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        yield api
    finally:
        await runner.cleanup()
