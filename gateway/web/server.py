"""The HTTP server of a service: health and metrics now, webhooks and the API beside them later.

It is up before anything else and until everything else has stopped, so that somebody who asks always gets an answer.
"""

from __future__ import annotations

import errno
from collections.abc import Awaitable, Callable, Sequence

import orjson
from aiohttp import web

from gateway.metrics import CONTENT_TYPE, Metrics
from gateway.settings import HttpSettings
from gateway.web.health import Problem

SHUTDOWN_S = 2.0
"""What open connections get to end: scrapes take milliseconds."""

PROBLEM_TYPE = "application/problem+json"

Problems = Callable[[], Sequence[Problem]]


class AddressInUseError(Exception):
    """The message names the settings to change."""


class HttpServer:
    """Started and stopped by the service. `port` is the one it listens on."""

    def __init__(self, settings: HttpSettings, problems: Problems, metrics: Metrics) -> None:
        self._settings = settings
        self._runner = web.AppRunner(make_app(problems, metrics), access_log=None, shutdown_timeout=SHUTDOWN_S)
        self.port = settings.port

    async def start(self) -> None:
        """AddressInUseError when somebody else listens there; OSError for any other reason."""
        settings = self._settings
        await self._runner.setup()
        try:
            await web.TCPSite(self._runner, settings.host, settings.port).start()
        except OSError as error:
            await self._runner.cleanup()
            if error.errno != errno.EADDRINUSE:
                raise
            raise AddressInUseError(
                f"{settings.host}:{settings.port} is in use: set http_port (SENDGUARD_HTTP_PORT) to a free port, "
                f"0 takes any"
            ) from error
        self.port = self._runner.addresses[0][1]

    async def stop(self) -> None:
        await self._runner.cleanup()


def make_app(problems: Problems, metrics: Metrics) -> web.Application:
    """`/livez`, `/readyz`, `/metrics`, and problem details (RFC 9457) for everything that is not there."""

    async def livez(_: web.Request) -> web.Response:
        """That it is answered says that the event loop turns; a dead task ends the process."""
        return _json({"alive": True})

    async def readyz(_: web.Request) -> web.Response:
        found = problems()
        reasons = [{"role": problem.role, "reason": problem.reason} for problem in found]
        return _json({"ready": not found, "reasons": reasons}, 503 if found else 200)

    async def exposition(_: web.Request) -> web.Response:
        return web.Response(body=metrics.exposition(), headers={"Content-Type": CONTENT_TYPE})

    app = web.Application(middlewares=[problem_details])
    app.router.add_get("/livez", livez)
    app.router.add_get("/readyz", readyz)
    app.router.add_get("/metrics", exposition)
    return app


@web.middleware
async def problem_details(
    request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
) -> web.StreamResponse:
    """aiohttp's own errors as RFC 9457 problem details, with the headers they carry (Allow of a 405)."""
    try:
        return await handler(request)
    except web.HTTPError as error:
        details = {"type": "about:blank", "title": error.reason, "status": error.status}
        kept = {name: value for name, value in error.headers.items() if name.lower() == "allow"}
        return web.Response(body=orjson.dumps(details), status=error.status, headers=kept, content_type=PROBLEM_TYPE)


def _json(body: object, status: int = 200) -> web.Response:
    return web.Response(body=orjson.dumps(body), status=status, content_type="application/json")
