"""Options of the independent client (librdkafka) that every use of it here shares."""

from __future__ import annotations

from collections.abc import Mapping

SOCKET_TIMEOUT_MS = 4_000
"""librdkafka's default of 60 s is how long it would wait for a frozen broker."""


def options(bootstrap: str) -> Mapping[str, str | int]:
    """`bootstrap` may name brokers that are down."""
    return {
        "bootstrap.servers": bootstrap,
        "socket.timeout.ms": SOCKET_TIMEOUT_MS,
        "socket.connection.setup.timeout.ms": SOCKET_TIMEOUT_MS,
        "reconnect.backoff.ms": 50,
        "reconnect.backoff.max.ms": 500,
        "topic.metadata.refresh.interval.ms": 5_000,
        "log_level": 0,  # only what the tests assert about may reach the output
    }
