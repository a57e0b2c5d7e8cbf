"""Logging of the command line: the service's to stderr, nothing of the libraries' in a command that ends by itself."""

from __future__ import annotations

import logging
import sys

from gateway.settings import LogLevel

QUIET_S = 60.0
"""A message of the Kafka client is repeated at most so often: it retries many times a second while a broker is away."""


def be_quiet() -> None:
    """For commands whose output is their result: what goes wrong comes out as one error."""
    logging.getLogger().addHandler(logging.NullHandler())


def log_to_stderr(level: LogLevel) -> None:
    """For the service: our lines, and the Kafka client's without its repetitions."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    if level is not LogLevel.DEBUG:
        handler.addFilter(SeldomRepeated())
        logging.getLogger("aiokafka").setLevel(logging.WARNING)  # a dozen lines for every client it makes
    logging.basicConfig(level=level.value, handlers=[handler], force=True)


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
