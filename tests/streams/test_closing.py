"""Closing clients of a broker that does not answer (K23)."""

import asyncio
import gc
import time
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.client import AIOKafkaClient
from aiokafka.protocol.metadata import MetadataRequest
from aiokafka.structs import TopicPartition

from gateway.localkafka import LocalKafka, LocalKafkaConfig
from gateway.settings import Settings
from gateway.streams.clients import Clients, close
from gateway.streams.closing import CUT_GRACE_S, CUTS, Client

DEADLINE_S = 0.5
"""Short: what is measured is that it is kept."""

SLACK_S = 2.0
"""For a busy machine; without the cut these clients need 5 to 25 s."""


@pytest.fixture(scope="module")
def own_kafka() -> Iterator[LocalKafka]:
    """A broker that may be frozen without disturbing the tests of other modules."""
    with LocalKafka(LocalKafkaConfig()) as running:
        yield running


@pytest.fixture
def freezable(own_kafka: LocalKafka) -> Iterator[LocalKafka]:
    yield own_kafka
    own_kafka.brokers[0].thaw()


@dataclass(frozen=True)
class Busy:
    """One of each kind, each in the middle of something the broker has to answer."""

    admin: AIOKafkaAdminClient
    member: AIOKafkaConsumer
    reader: AIOKafkaConsumer
    signals: AIOKafkaProducer
    worker: AIOKafkaProducer
    bare: AIOKafkaClient

    def every(self) -> list[Client]:
        return [self.admin, self.member, self.reader, self.signals, self.worker, self.bare]


async def busy_clients(kafka: LocalKafka, name: str) -> Busy:
    clients = Clients(Settings.of(kafka_bootstrap_servers=kafka.bootstrap_servers).kafka)
    admin, bare = clients.admin(), clients.bare(name)
    await admin.start()
    await admin.create_topics([NewTopic(name, 1, 1)])
    await bare.bootstrap()
    await bare.force_metadata_update()  # over a connection that stays
    member = clients.member(name, None, 10_000)  # a dynamic member says goodbye when it stops
    member.subscribe([name])
    await member.start()
    while not member.assignment():
        await member.getmany(timeout_ms=100)
    reader = clients.reader()
    await reader.start()
    reader.assign([TopicPartition(name, 0)])
    reader.seek(TopicPartition(name, 0), 0)
    await reader.getmany(timeout_ms=100)
    signals, worker = clients.signal_producer(), clients.transactional_producer(name)
    await signals.start()
    await signals.send_and_wait(name, b"", partition=0)
    await worker.start()
    await worker.begin_transaction()
    await (await worker.send(name, b"", partition=0))
    return Busy(admin, member, reader, signals, worker, bare)


async def ended(before: set[asyncio.Task[Any]]) -> None:
    """Return when no task is left that was not there before."""
    while left := asyncio.all_tasks() - before - {asyncio.current_task()}:
        await asyncio.wait(left)


async def test_every_client_closes_in_time_and_leaves_nothing_behind_when_the_broker_is_frozen(
    freezable: LocalKafka, fresh_name: str
) -> None:
    before = asyncio.all_tasks()
    busy = await busy_clients(freezable, fresh_name)
    freezable.brokers[0].freeze()
    unanswered = [
        asyncio.ensure_future(busy.bare.send(busy.bare.get_random_node(), MetadataRequest([fresh_name], False))),
        asyncio.ensure_future(busy.worker.commit_transaction()),
        await busy.signals.send(fresh_name, b"never acknowledged", partition=0),
    ]
    await asyncio.sleep(0)
    started = time.monotonic()
    await asyncio.gather(*(close(client, DEADLINE_S) for client in busy.every()))
    took = time.monotonic() - started
    assert took < DEADLINE_S + CUTS * CUT_GRACE_S + SLACK_S
    outcomes = await asyncio.wait_for(asyncio.gather(*unanswered, return_exceptions=True), SLACK_S)
    assert all(isinstance(outcome, BaseException) for outcome in outcomes)
    await asyncio.wait_for(ended(before), SLACK_S)
    del busy, unanswered, outcomes
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # an "Unclosed ..." fails the test
        gc.collect()


async def test_k23_without_the_deadline_a_member_of_a_frozen_broker_does_not_stop(
    freezable: LocalKafka, fresh_name: str
) -> None:
    """The mechanism switched off: aiokafka's own stop() waits for the broker."""
    busy = await busy_clients(freezable, fresh_name)
    freezable.brokers[0].freeze()
    clock, ended_at = asyncio.get_running_loop().time, list[float]()
    began = clock()
    stopping = asyncio.ensure_future(busy.member.stop())
    stopping.add_done_callback(lambda _: ended_at.append(clock()))
    try:
        await asyncio.wait({stopping}, timeout=DEADLINE_S + CUTS * CUT_GRACE_S + SLACK_S)
        assert not ended_at or ended_at[0] - began > DEADLINE_S  # a busy machine may let it run into its own time-out
    finally:
        stopping.cancel()
        for client in busy.every():
            await close(client, DEADLINE_S)


async def test_a_client_that_was_never_started_and_one_closed_twice_close_at_once(kafka: LocalKafka) -> None:
    clients = Clients(Settings.of(kafka_bootstrap_servers=kafka.bootstrap_servers).kafka)
    never = clients.reader()
    started = clients.signal_producer()
    await started.start()
    async with asyncio.timeout(SLACK_S):
        await close(never)
        await close(started)
        await close(started)


async def test_a_cancelled_close_still_cuts_everything(freezable: LocalKafka, fresh_name: str) -> None:
    before = asyncio.all_tasks()
    busy = await busy_clients(freezable, fresh_name)
    freezable.brokers[0].freeze()
    closing = [asyncio.ensure_future(close(client, 60)) for client in busy.every()]
    await asyncio.sleep(0)
    for task in closing:
        task.cancel()
    await asyncio.gather(*closing, return_exceptions=True)
    await asyncio.wait_for(ended(before), SLACK_S)
