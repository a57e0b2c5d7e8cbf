"""Is a broker up? Asked in Kafka's own protocol over a plain socket, so that no client library is needed.

Two requests. Metadata must name our cluster (another one may have the port) and every expected broker. A CreateTopics
that is only validated, with as many replicas, must be accepted: then the controller is there, has unfenced the brokers,
and the asked one reaches it. Nothing is created. Layouts: https://kafka.apache.org/protocol, version 2 of both, which
Kafka 4 still serves.
"""

import socket
import struct
from collections.abc import Set

METADATA = 3
CREATE_TOPICS = 19
API_VERSION = 2
CORRELATION_ID = 1
CLIENT_ID = b"sendguard-probe"

PROBE_TOPIC = b"sendguard-probe"
"""Never created, only validated."""

ANSWER_TIMEOUT_S = 5.0
"""A broker that starts may take a second to answer; the caller asks again until its own deadline."""

MAX_ANSWER_BYTES = 1_000_000
"""The answers are some hundred bytes; anything above is not Kafka."""


class NotReadyError(Exception):
    """The broker does not serve yet; the message says what is missing."""


def check_ready(host: str, port: int, cluster_id: str, expected: Set[int]) -> None:
    """Raise NotReadyError unless a broker of this cluster serves there and the `expected` nodes can hold replicas."""
    try:
        with socket.create_connection((host, port), timeout=ANSWER_TIMEOUT_S) as connection:
            named, cluster = _brokers_and_cluster(_call(connection, METADATA, struct.pack(">i", 0)))
            if cluster != cluster_id:
                raise NotReadyError(f"{host}:{port} belongs to another cluster, {cluster}")
            if not expected <= named:
                raise NotReadyError(f"{host}:{port} knows of brokers {sorted(named)}, not of all of {sorted(expected)}")
            error = _first_topic_error(_call(connection, CREATE_TOPICS, _create_topics(len(expected))))
    except (OSError, struct.error, UnicodeDecodeError) as unreachable:
        raise NotReadyError(f"{host}:{port} does not answer: {unreachable}") from unreachable
    if error != 0:
        raise NotReadyError(f"{host}:{port} cannot create a topic on {len(expected)} brokers yet (Kafka error {error})")


def _call(connection: socket.socket, api: int, body: bytes) -> bytes:
    header = struct.pack(">hhih", api, API_VERSION, CORRELATION_ID, len(CLIENT_ID)) + CLIENT_ID
    connection.sendall(struct.pack(">i", len(header) + len(body)) + header + body)
    (size,) = struct.unpack(">i", _read(connection, 4))
    if not 4 <= size <= MAX_ANSWER_BYTES:
        raise OSError(f"an answer of {size} bytes is not one of Kafka's")
    return _read(connection, size)[4:]  # behind the correlation id


def _read(connection: socket.socket, size: int) -> bytes:
    data = b""
    while len(data) < size:
        piece = connection.recv(size - len(data))
        if not piece:
            raise OSError("connection closed")
        data += piece
    return data


def _create_topics(replicas: int) -> bytes:
    topic = struct.pack(">h", len(PROBE_TOPIC)) + PROBE_TOPIC + struct.pack(">ihii", 1, replicas, 0, 0)
    return struct.pack(">i", 1) + topic + struct.pack(">i?", 5_000, True)


def _brokers_and_cluster(answer: bytes) -> tuple[set[int], str]:
    (count,) = struct.unpack_from(">i", answer)
    ids: set[int] = set()
    at = 4
    for _ in range(count):
        node, host_size = struct.unpack_from(">ih", answer, at)
        ids.add(node)
        at += 6 + host_size + 4
        (rack_size,) = struct.unpack_from(">h", answer, at)
        at += 2 + max(rack_size, 0)
    (id_size,) = struct.unpack_from(">h", answer, at)
    return ids, answer[at + 2 : at + 2 + id_size].decode()


def _first_topic_error(answer: bytes) -> int:
    _throttle, _count, name_size = struct.unpack_from(">iih", answer)
    (error,) = struct.unpack_from(">h", answer, 10 + name_size)
    return int(error)
