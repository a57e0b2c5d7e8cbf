"""Readiness."""

import socket
import threading

import pytest

from gateway.localkafka import LocalKafka
from gateway.localkafka.ports import free_ports
from gateway.localkafka.probe import NotReadyError, check_ready


def where(kafka: LocalKafka) -> tuple[str, int, str]:
    host, _, port = kafka.brokers[0].address.rpartition(":")
    return host, int(port), kafka.cluster_id


def test_a_running_broker_is_ready(kafka: LocalKafka) -> None:
    check_ready(*where(kafka), {1})


def test_a_missing_broker_is_named(kafka: LocalKafka) -> None:
    with pytest.raises(NotReadyError, match=r"knows of brokers \[1\], not of all of \[1, 2\]"):
        check_ready(*where(kafka), {1, 2})


def test_a_broker_of_another_cluster_is_not_ours(kafka: LocalKafka) -> None:
    host, port, _ = where(kafka)
    with pytest.raises(NotReadyError, match="another cluster"):
        check_ready(host, port, "not-this-one", {1})


def test_a_closed_port_is_not_ready() -> None:
    with pytest.raises(NotReadyError, match="does not answer"):
        check_ready("127.0.0.1", next(free_ports()), "any", {1})


@pytest.mark.parametrize("answer", [b"", b"HTTP/1.1 400 Bad Request\r\n\r\n", b"\0\0\0\x06abcdef", b"\0\0\0\x02ab"])
def test_something_that_does_not_speak_kafka_is_not_ready(answer: bytes) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            connection, _ = server.accept()
            with connection:
                connection.recv(1024)
                connection.sendall(answer)

        thread = threading.Thread(target=serve, name="stranger")
        thread.start()
        try:
            with pytest.raises(NotReadyError, match="does not answer"):
                check_ready("127.0.0.1", server.getsockname()[1], "any", {1})
        finally:
            thread.join()
