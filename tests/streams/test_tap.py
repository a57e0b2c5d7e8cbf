"""A tap sees what is committed, from the beginning to the end, and nothing else."""

from __future__ import annotations

import asyncio

import pytest
from confluent_kafka import Producer

from gateway.localkafka import LocalKafka
from gateway.settings import Settings
from gateway.streams.clients import Clients
from gateway.streams.tap import Tapped, tap
from gateway.streams.topics import KafkaUnreachableError
from tests.localkafka.clients import create_topic


@pytest.fixture(name="clients")
def _clients(kafka: LocalKafka) -> Clients:
    return Clients(Settings.of(kafka_bootstrap_servers=kafka.bootstrap_servers).kafka)


@pytest.fixture(name="topic")
def _topic(kafka: LocalKafka, fresh_name: str) -> str:
    create_topic(kafka.bootstrap_servers, fresh_name)
    return fresh_name


async def everything(clients: Clients, *topics: str) -> list[Tapped]:
    async with tap(clients, topics) as tapped:
        return [record async for batch in tapped.read_to_end() for record in batch]


def write(kafka: LocalKafka, topic: str, *values: bytes) -> None:
    producer = Producer({"bootstrap.servers": kafka.bootstrap_servers})
    for value in values:
        producer.produce(topic, value, b"key", headers=[("name", b"header")])
    producer.flush()


def transaction(kafka: LocalKafka, topic: str) -> Producer:
    producer = Producer({"bootstrap.servers": kafka.bootstrap_servers, "transactional.id": topic})
    producer.init_transactions()
    producer.begin_transaction()
    return producer


async def test_it_reads_everything_from_the_beginning_and_ends(kafka: LocalKafka, clients: Clients, topic: str) -> None:
    write(kafka, topic, b"one", b"two")
    first, second = await everything(clients, topic)
    assert (first.topic, first.partition, first.offset, first.key, first.value) == (topic, 0, 0, b"key", b"one")
    assert first.headers == (("name", b"header"),)
    assert first.timestamp > 0
    assert (second.offset, second.value) == (1, b"two")


async def test_an_empty_topic_ends_at_once(clients: Clients, topic: str) -> None:
    assert await everything(clients, topic) == []


async def test_it_does_not_see_what_was_aborted_and_ends_behind_the_marker(
    kafka: LocalKafka, clients: Clients, topic: str
) -> None:
    producer = transaction(kafka, topic)
    producer.produce(topic, b"aborted")
    producer.flush()
    producer.abort_transaction()
    producer.begin_transaction()
    producer.produce(topic, b"committed")
    producer.commit_transaction()
    assert [record.value for record in await everything(clients, topic)] == [b"committed"]


async def test_it_does_not_wait_for_a_transaction_that_is_open(kafka: LocalKafka, clients: Clients, topic: str) -> None:
    write(kafka, topic, b"before")
    producer = transaction(kafka, topic)
    producer.produce(topic, b"open")
    producer.flush()
    assert [record.value for record in await everything(clients, topic)] == [b"before"]
    producer.abort_transaction()


async def test_it_goes_on_with_what_comes_later(kafka: LocalKafka, clients: Clients, topic: str) -> None:
    write(kafka, topic, b"one")
    async with tap(clients, [topic]) as tapped:
        assert [len(batch) async for batch in tapped.read_to_end()] == [1]
        await asyncio.to_thread(write, kafka, topic, b"two")
        assert [record.value async for batch in tapped.read_to_end() for record in batch] == [b"two"]


async def test_no_broker_is_an_error_that_says_so() -> None:
    nowhere = Clients(Settings.of(kafka_bootstrap_servers="127.0.0.1:1").kafka)
    with pytest.raises(KafkaUnreachableError):
        await everything(nowhere, "topic")
