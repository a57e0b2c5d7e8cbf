"""A start that is given up leaves no connection behind."""

from __future__ import annotations

import asyncio
import gc
import warnings
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field

import pytest
from aiokafka import AIOKafkaProducer, TopicPartition
from aiokafka.errors import KafkaError

from gateway.localkafka import LocalKafka
from gateway.settings import Settings
from gateway.streams.clients import Clients, close
from gateway.streams.closing import GIVEN_UP_START_S, start
from gateway.streams.lane import fence
from gateway.streams.topics import KafkaUnreachableError
from gateway.streams.writing import writer
from tests.kafka.outside import until

SLACK_S = 5.0
"""For a busy machine."""

READ_BYTES = 65_536
"""More than an answer here has: each comes in one piece."""


@dataclass
class Stalling:
    """Before a broker: passes on what is asked, and of each connection's answers a few, until it may `go_on`."""

    broker: str
    answers: int
    address: str = ""
    stalled: int = 0
    go_on: asyncio.Event = field(default_factory=asyncio.Event)

    async def connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        host, port = self.broker.rsplit(":", 1)
        answers, questions = await asyncio.open_connection(host, int(port))
        ways = [
            asyncio.create_task(_passed_on(reader, questions), name="questions"),
            asyncio.create_task(self._answered(answers, writer), name="answers"),
        ]
        await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        for way in ways:
            way.cancel()
        for end in (questions, writer):
            end.close()

    async def _answered(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for _ in range(self.answers):
            writer.write(await reader.read(READ_BYTES))
        held_back = await reader.read(READ_BYTES)
        self.stalled += 1
        await self.go_on.wait()
        writer.write(held_back)
        await _passed_on(reader, writer)


async def _passed_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while some := await reader.read(READ_BYTES):
        writer.write(some)


@asynccontextmanager
async def stalling(kafka: LocalKafka, answers: int = 1) -> AsyncIterator[Stalling]:
    """The first answer of a connection says which versions the broker speaks, the second which brokers there are."""
    found = Stalling(kafka.bootstrap_servers, answers)
    server = await asyncio.start_server(found.connected, "127.0.0.1", 0)
    found.address = f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
    before = asyncio.all_tasks()
    try:
        yield found
    finally:
        server.close()
        left = asyncio.all_tasks() - before - {asyncio.current_task()}
        _, open_still = await asyncio.wait(left, timeout=SLACK_S) if left else (None, set())
        for task in open_still:
            task.cancel()
        assert not open_still, "connections were left open"


def clients_at(address: str) -> Clients:
    return Clients(Settings.of(kafka_bootstrap_servers=address).kafka)


@contextmanager
def nothing_left_open() -> Iterator[None]:
    """An "Unclosed AIOKafkaConnection" fails the test."""
    yield
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        gc.collect()


async def test_a_start_that_is_cancelled_between_two_answers_ends_by_itself(kafka: LocalKafka) -> None:
    with nothing_left_open():
        async with stalling(kafka) as between:
            producer = clients_at(between.address).signal_producer()
            starting = asyncio.create_task(start(producer))
            await until(lambda: between.stalled)
            starting.cancel()
            between.go_on.set()
            with pytest.raises(asyncio.CancelledError):
                await starting
            await close(producer)
            del producer, starting


@pytest.mark.parametrize("transactional", [False, True])
async def test_who_starts_producers_gives_them_up_without_leaving_connections(
    kafka: LocalKafka,
    transactional: bool,
) -> None:
    """The writer of the shell, and the fencing of a lane."""
    with nothing_left_open():
        async with stalling(kafka) as between:
            opening = asyncio.create_task((_fenced if transactional else _written)(clients_at(between.address)))
            await until(lambda: between.stalled)
            opening.cancel()
            between.go_on.set()
            with pytest.raises(asyncio.CancelledError):
                await opening
            del opening


async def _fenced(clients: Clients) -> None:
    producers: list[AIOKafkaProducer] = []
    try:
        await fence(clients, "group", TopicPartition("requests", 0), producers)
    finally:
        await asyncio.gather(*map(close, producers))


async def _written(clients: Clients) -> None:
    async with writer(clients, "events"):
        pass


async def test_a_start_that_does_not_end_is_not_waited_for(kafka: LocalKafka) -> None:
    async with stalling(kafka, answers=0) as between:
        producer = clients_at(between.address).signal_producer()
        starting = asyncio.create_task(start(producer))
        await until(lambda: between.stalled)
        starting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asyncio.wait_for(starting, GIVEN_UP_START_S + SLACK_S)
        await close(producer)


async def test_what_a_start_ends_with_comes_out() -> None:
    producer = clients_at("127.0.0.1:1").signal_producer()
    with pytest.raises(KafkaError):
        await start(producer)
    await close(producer)
    with pytest.raises(KafkaUnreachableError):
        await _written(clients_at("127.0.0.1:1"))
