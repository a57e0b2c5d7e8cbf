"""A start that is given up leaves no connection behind."""

from __future__ import annotations

import asyncio
import gc
import warnings
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest
from aiokafka import AIOKafkaProducer, TopicPartition
from aiokafka.errors import KafkaError

from gateway.contract.log import LogRecord
from gateway.contract.topics import Topics
from gateway.localkafka import LocalKafka
from gateway.settings import Settings
from gateway.streams.barrier import Barrier
from gateway.streams.catching_up import Copy, catch_up
from gateway.streams.clients import Clients, close
from gateway.streams.closing import GIVEN_UP_START_S, start
from gateway.streams.compacted import CompactedTopic
from gateway.streams.follower import Follower
from gateway.streams.group import group_member
from gateway.streams.identity import cluster_id
from gateway.streams.lane import fence
from gateway.streams.log_reader import log_reader
from gateway.streams.outputs import Outputs
from gateway.streams.settled import wait_settled
from gateway.streams.skip import SkipRequest, skip
from gateway.streams.tail import last_record
from gateway.streams.tap import tap
from gateway.streams.topics import KafkaUnreachableError
from gateway.streams.whole_log import read_to_end
from gateway.streams.worker import Batch, WorkerSettings
from gateway.streams.writing import writer
from tests.kafka.outside import until
from tests.streams.tables import ListTable

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


async def test_when_one_of_two_fails_the_other_is_waited_for(kafka: LocalKafka) -> None:
    with nothing_left_open():
        async with stalling(kafka) as between:
            lost, other = clients_at("127.0.0.1:1").reader(), clients_at(between.address).reader()
            starting = asyncio.create_task(start(lost, other))
            await until(lambda: between.stalled)
            assert not starting.done()
            between.go_on.set()
            with pytest.raises(KafkaError):
                await starting
            await asyncio.gather(close(lost), close(other))
            del lost, other, starting


async def _fenced(clients: Clients) -> None:
    producers: list[AIOKafkaProducer] = []
    try:
        await fence(clients, "group", TopicPartition("requests", 0), producers)
    finally:
        await asyncio.gather(*map(close, producers))


async def _written(clients: Clients) -> None:
    async with writer(clients, "events"):
        pass


async def _read(clients: Clients) -> None:
    async with log_reader(clients, TOPIC, None, {}, committed=True):
        pass


async def _tapped(clients: Clients) -> None:
    async with tap(clients, [TOPIC]):
        pass


async def _joined(clients: Clients) -> None:
    await group_member(clients, WorkerSettings("group", 1, 10_000), "one", TOPIC, _Nothing()).run(asyncio.Event())


class _Nothing:
    """A transform, and a table, that get nothing."""

    async def __call__(self, batch: Batch, outputs: Outputs) -> None:
        raise NotImplementedError

    async def outputs_end(self, partition: int) -> int | None:
        return None

    def delivered(self, batch: Batch) -> None:
        raise NotImplementedError

    def apply(self, records: Sequence[LogRecord]) -> None:
        raise NotImplementedError


TOPIC = "topic"
PARTITION = TopicPartition(TOPIC, 0)

STARTERS: dict[str, Callable[[Clients], Coroutine[Any, Any, object]]] = {
    "barrier": lambda clients: Barrier(clients, TOPIC, 1, Follower(clients, TOPIC, ListTable()), 1.0).run(),
    "catching up": lambda clients: catch_up(clients, TOPIC, 0, Copy(None, lambda *_: None, lambda: None)),
    "compacted topic": lambda clients: CompactedTopic(clients, TOPIC, _Nothing, lambda _: None).run(),
    "fencing": _fenced,
    "follower": lambda clients: Follower(clients, TOPIC, ListTable()).run(),
    "group's member": _joined,
    "group's offset": lambda clients: clients.offset_metadata("group", PARTITION),
    "identity": cluster_id,
    "log reader": _read,
    "settled": lambda clients: wait_settled(clients, [TOPIC], 0),
    "skip": lambda clients: skip(clients, Topics(""), SkipRequest("group", 0, "", ""), _Nothing().outputs_end),
    "tail": lambda clients: last_record(clients.reader(), TOPIC, 0, lambda _: True),
    "tap": _tapped,
    "topic's settings": lambda clients: clients.min_insync_replicas(TOPIC),
    "whole log": lambda clients: read_to_end(clients, TOPIC, lambda _: None),
    "writer": _written,
}
"""Everything that starts a client on its own, and how it is begun."""


@pytest.mark.parametrize("name", STARTERS)
async def test_who_starts_clients_gives_them_up_without_leaving_connections(kafka: LocalKafka, name: str) -> None:
    with nothing_left_open():
        async with stalling(kafka) as between:
            opening = asyncio.create_task(STARTERS[name](clients_at(between.address)))
            await until(lambda: between.stalled)
            opening.cancel()
            between.go_on.set()
            with pytest.raises(asyncio.CancelledError):
                await opening
            del opening


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
