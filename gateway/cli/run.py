"""`sendguard run`: the service in the foreground."""

from __future__ import annotations

import asyncio
import gc
import signal
import sys
from collections.abc import Callable, Coroutine

import click
import uvloop

from gateway.app import Service
from gateway.cli.logs import log_to_stderr
from gateway.cli.options import with_settings
from gateway.roles import role_names
from gateway.settings import Settings

GARBAGE_THRESHOLDS = (50_000, 20, 100)
"""A batch makes thousands of objects that all die with it, without cycles: looking through them every 700 allocations,
as Python does by default, takes some 15 % of the guard's time and finds nothing."""


def collect_garbage_seldom() -> None:
    """For the whole process, once its modules are loaded: they are not looked at again."""
    gc.freeze()
    gc.set_threshold(*GARBAGE_THRESHOLDS)


@click.command()
@click.option(
    "--role",
    "roles",
    multiple=True,
    metavar="NAME",
    help=f"One of {', '.join(role_names())}; repeatable. [default: all]",
)
@with_settings
def run(settings: Settings, roles: tuple[str, ...]) -> None:
    """Run the service: all roles in one process, or those named.

    Health (/livez, /readyz) and /metrics are served on http_host:http_port whatever roles run. SIGTERM or Ctrl-C
    finishes the batch at hand and ends with exit code 0; a second one ends it at once. SIGHUP reads the accounts file
    again at once, where the service has no terminal; changes of it are noticed within seconds anyway.

    \b
    Example:
      SENDGUARD_KAFKA_BOOTSTRAP_SERVERS=localhost:9092 sendguard run --role guard
    """
    log_to_stderr(settings.log_level)
    service = Service(settings, roles)
    collect_garbage_seldom()
    # With a terminal SIGHUP says that it was closed, and ends the service, or it would stay behind unseen.
    uvloop.run(until_signal(service.run, None if sys.stdin.isatty() else service.reload_accounts))


async def until_signal(
    serve: Callable[[asyncio.Event], Coroutine[None, None, None]], hung_up: Callable[[], None] | None = None
) -> None:
    """Serve until SIGTERM or SIGINT sets the event; a second one ends the process at once. `hung_up`: on SIGHUP."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()

    def stopping() -> None:
        stop.set()
        for each in (signal.SIGTERM, signal.SIGINT):
            loop.remove_signal_handler(each)
            signal.signal(each, signal.SIG_DFL)  # the second one ends the process, however busy the loop is

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopping)
    if hung_up is not None:
        loop.add_signal_handler(signal.SIGHUP, hung_up)
    await serve(stop)
