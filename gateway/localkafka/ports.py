"""Free ports that stay free.

A port the kernel hands out (bind to 0) lies in the range it also uses for outgoing connections: while a broker is down
between kill() and start(), any client of this machine may be given its port. So ports are drawn from below that range
(Linux starts at 32768, macOS at 49152) and tried.
"""

import random
import socket
from collections.abc import Iterator

from gateway.localkafka.config import LOOPBACK, LocalKafkaConfig, LocalKafkaError, SecurityProtocol

LOWEST_PORT = 15_000
"""Above what well-known servers of a developer's machine use."""

HIGHEST_PORT = 32_000
"""Below the first port Linux gives to outgoing connections."""

ATTEMPTS = 1_000
"""More failures than that mean that binding itself does not work here."""


def is_free(port: int) -> bool:
    """Whether a server could listen on the port now."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        # Like Kafka's own socket: a port with connections in TIME_WAIT is free, one with a listener is not.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
            probe.listen(1)
        except OSError:
            return False
    return True


def free_ports() -> Iterator[int]:
    """Different free ports, without end."""
    seen: set[int] = set()
    for _ in range(ATTEMPTS):
        port = random.randint(LOWEST_PORT, HIGHEST_PORT)  # noqa: S311 - not a secret
        if port not in seen and is_free(port):
            seen.add(port)
            yield port
    raise LocalKafkaError(f"no free port found on {LOOPBACK} between {LOWEST_PORT} and {HIGHEST_PORT}")


def client_ports(config: LocalKafkaConfig, node_id: int, free: Iterator[int]) -> dict[SecurityProtocol, int]:
    """The port of each of a broker's client listeners: the chosen one, which must be free, or one of the free ones."""
    chosen = None if config.port is None else config.port + node_id - 1
    if chosen is not None and not is_free(chosen):
        raise LocalKafkaError(f"port {chosen} on {LOOPBACK} is in use")
    ports = {SecurityProtocol.PLAINTEXT: next(free) if chosen is None else chosen}
    return ports | {protocol: next(free) for protocol in config.secure_listeners}
