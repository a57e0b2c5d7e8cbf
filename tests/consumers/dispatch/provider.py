"""A provider on a server of its own: Twilio's Messages, answered as a test says, every call noted with its time."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from aiohttp import web


@dataclass(frozen=True, slots=True)
class Call:
    """One call as it came. `sid`: the id it is given; `at`: seconds of the monotonic clock when it was read."""

    sid: str
    account: str
    to: str
    form: Mapping[str, str]
    at: float


Answering = Callable[[Call], Awaitable[web.Response] | web.Response | None]
"""What is answered instead of 201; None = 201."""


@dataclass
class Provider:
    """`url` while it `serves`. `broken`: accounts it does not know at present."""

    answering: Answering | None = None
    calls: list[Call] = field(default_factory=list)
    probes: int = 0
    broken: set[str] = field(default_factory=set)
    url: str = ""
    under_way: int = 0

    @property
    def bodies(self) -> list[str]:
        """Of all calls, in their order."""
        return [call.form["Body"] for call in self.calls]

    async def create(self, request: web.Request) -> web.Response:
        account = request.match_info["account"]
        form = {name: str(value) for name, value in (await request.post()).items()}
        call = Call(f"SM{len(self.calls) + 1:032d}", account, form["To"], form, time.monotonic())
        self.calls.append(call)
        if account in self.broken:
            return refused(401, 20003, "Authenticate")
        self.under_way += 1
        try:
            answer = None if self.answering is None else self.answering(call)
            if isinstance(answer, web.Response):
                return answer
            if answer is not None:
                return await answer
        finally:
            self.under_way -= 1
        return created(call.sid)

    async def account(self, request: web.Request) -> web.Response:
        self.probes += 1
        account = request.match_info["account"].removesuffix(".json")
        if account in self.broken:
            return refused(401, 20003, "Authenticate")
        return web.json_response({"sid": account, "status": "active"})


def created(sid: str) -> web.Response:
    return web.json_response({"sid": sid, "status": "queued"}, status=201)


def refused(status: int, code: int, message: str, **headers: str) -> web.Response:
    return web.json_response(
        {"code": code, "message": message, "status": status},
        status=status,
        headers={name.replace("_", "-"): value for name, value in headers.items()},
    )


@asynccontextmanager
async def serving(provider: Provider) -> AsyncIterator[Provider]:
    app = web.Application()
    app.router.add_post("/2010-04-01/Accounts/{account}/Messages.json", provider.create)
    app.router.add_get("/2010-04-01/Accounts/{account}", provider.account)
    runner = web.AppRunner(app, shutdown_timeout=0.1, handler_cancellation=True)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        provider.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        yield provider
    finally:
        await runner.cleanup()


async def for_ever(_: Call) -> web.Response:
    """Never answers."""
    await asyncio.Event().wait()
    raise AssertionError
