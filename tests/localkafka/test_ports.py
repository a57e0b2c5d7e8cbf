"""Ports of this machine."""

import socket
from itertools import islice

import pytest

from gateway.localkafka.config import LocalKafkaConfig, LocalKafkaError, SecurityProtocol
from gateway.localkafka.ports import HIGHEST_PORT, LOWEST_PORT, client_ports, free_ports, is_free


def test_free_ports_differ_and_stay_below_the_range_of_outgoing_connections() -> None:
    ports = list(islice(free_ports(), 50))
    assert len(set(ports)) == 50
    assert all(LOWEST_PORT <= port <= HIGHEST_PORT for port in ports)


def test_a_port_with_a_listener_is_not_free() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        assert not is_free(server.getsockname()[1])


def test_brokers_take_the_chosen_port_and_those_behind_it() -> None:
    first = next(port for port in free_ports() if is_free(port + 1))
    config = LocalKafkaConfig(brokers=3, port=first, secure_listeners=(SecurityProtocol.SSL,))
    assert client_ports(config, 1, iter([7]))[SecurityProtocol.PLAINTEXT] == first
    assert client_ports(config, 2, iter([7])) == {SecurityProtocol.PLAINTEXT: first + 1, SecurityProtocol.SSL: 7}


def test_a_chosen_port_that_is_in_use_is_named() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        with pytest.raises(LocalKafkaError, match=f"port {port} on 127.0.0.1 is in use"):
            client_ports(LocalKafkaConfig(port=port), 1, free_ports())
