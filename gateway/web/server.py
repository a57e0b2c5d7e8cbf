"""The HTTP server of a service: health and metrics, and what roles add to it.

It is up before anything else and until everything else has stopped, so that somebody who asks always gets an answer.
"""

from __future__ import annotations

import errno
from collections.abc import Awaitable, Callable, Iterable, Sequence

import orjson
from aiohttp import web

from gateway.metrics import CONTENT_TYPE, Metrics
from gateway.settings import HttpSettings
from gateway.web.health import Problem
from gateway.web.problems import problem

SHUTDOWN_S = 3.0
"""What calls at hand get to end: scrapes take milliseconds, a webhook without Kafka somewhat more than a second."""

SHOWN_HEADERS = frozenset({"allow", "retry-after"})
"""Of aiohttp's own errors."""

Extend = Callable[[web.Application], None]
"""Adds a role's routes, and what is to live as long as the server listens (`Application.cleanup_ctx`)."""

Problems = Callable[[], Sequence[Problem]]


class AddressInUseError(Exception):
    """The message names the settings to change."""


class HttpServer:
    """Started and stopped by the service. `port` is the one it listens on."""

    def __init__(
        self, settings: HttpSettings, problems: Problems, metrics: Metrics, extensions: Iterable[Extend] = ()
    ) -> None:
        self._settings = settings
        app = make_app(problems, metrics)
        for extend in extensions:
            extend(app)
        self._runner = web.AppRunner(
            app,
            access_log=None,
            shutdown_timeout=SHUTDOWN_S,
            auto_decompress=False,  # signatures are over the bytes as sent, and a few of them may unpack to gigabytes
        )
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
        kept = {name: value for name, value in error.headers.items() if name.lower() in SHOWN_HEADERS}
        return problem(error.status, headers=kept)


def _json(body: object, status: int = 200) -> web.Response:
    return web.Response(body=orjson.dumps(body), status=status, content_type="application/json")
