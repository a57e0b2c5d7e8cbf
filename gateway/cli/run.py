"""`sendguard run`: the service in the foreground."""

from __future__ import annotations

import asyncio
import logging
import signal
import sys

import click

from gateway.app import Service
from gateway.cli.options import with_settings
from gateway.roles import role_names
from gateway.settings import LogLevel, Settings

QUIET_S = 60.0
"""A message of the Kafka client is repeated at most so often: it retries many times a second while a broker is away."""


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
    finishes the batch at hand and ends with exit code 0; a second one ends it at once.

    \b
    Example:
      SENDGUARD_KAFKA_BOOTSTRAP_SERVERS=localhost:9092 sendguard run --role guard
    """
    set_up_logging(settings.log_level)
    service = Service(settings, roles)
    asyncio.run(_until_signal(service))


async def _until_signal(service: Service) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()

    def stopping() -> None:
        stop.set()
        for each in (signal.SIGTERM, signal.SIGINT):
            loop.remove_signal_handler(each)
            signal.signal(each, signal.SIG_DFL)  # the second one ends the process, however busy the loop is

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopping)
    await service.run(stop)


def set_up_logging(level: LogLevel) -> None:
    """Our lines to stderr, the Kafka client's without its repetitions."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    if level is not LogLevel.DEBUG:
        handler.addFilter(SeldomRepeated())
        logging.getLogger("aiokafka").setLevel(logging.WARNING)  # a dozen lines for every client it makes
    logging.basicConfig(level=level.value, handlers=[handler])


class SeldomRepeated(logging.Filter):
    """Lets a message of another library through only when it has not been seen for QUIET_S."""

    def __init__(self) -> None:
        super().__init__()
        self._last: dict[tuple[str, str], float] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        if record.name.startswith(("gateway", "consumers")):
            return True
        message = (record.name, str(record.msg))
        fresh = record.created - self._last.get(message, -QUIET_S) >= QUIET_S
        if fresh:
            self._last[message] = record.created
        return fresh
