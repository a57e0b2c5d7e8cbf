"""Leaders that go away, and one that comes back from being frozen and has not heard that it leads no more.

The scenario of the last tests runs once: several times a leader is frozen, replaced, and thawed, while barriers that
relied on it ask again. What each of them made of its answers is looked at by the tests.
"""

from __future__ import annotations

import asyncio
import dataclasses
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack
from dataclasses import dataclass, field

import pytest
from aiokafka.client import AIOKafkaClient
from aiokafka.errors import KafkaError

from gateway.localkafka import Broker, LocalKafka
from gateway.streams import barrier as module
from gateway.streams.barrier import Barrier
from gateway.streams.quorum import Known, NotFreshError
from gateway.streams.wire import HighWatermarksRequest, TopicMetadataRequest, high_watermarks, topic_metadata
from tests.kafka.outside import DEADLINE_S, Outsider, clients_for, started, until
from tests.streams.freshness import EverythingApplied, barrier_on, fresh, passes
from tests.streams.tables import ListTable

pytestmark = pytest.mark.cluster

THAWS = 3
BARRIERS = 4
"""Of each kind."""

AFTER_THAW_S = 1.0
"""An old leader answers with its old end for 50 to 250 ms."""


@pytest.fixture
async def whole(cluster: LocalKafka) -> AsyncIterator[LocalKafka]:
    """The cluster, with every broker thawed, running and known to the others again afterwards."""
    yield cluster
    for broker in cluster.brokers:
        if broker.is_running():
            broker.thaw()
    await asyncio.to_thread(cluster.start_all)


def leader_of(cluster: LocalKafka, topic: str) -> Broker:
    return cluster.brokers[Outsider.of(cluster).leader(topic) - 1]


async def replaced(cluster: LocalKafka, topic: str, old: Broker) -> None:
    """Wait until another broker leads; asked of those that answer."""
    others = ",".join(broker.address for broker in cluster.brokers if broker is not old)
    outsider = Outsider(others)
    await until(lambda: outsider.leader(topic) not in (old.node_id, -1))


async def produce_over(cluster: LocalKafka, topic: str, value: bytes, without: Broker | None = None) -> int:
    """Acknowledged; the end behind it. Goes around a broker that is frozen."""
    servers = ",".join(broker.address for broker in cluster.brokers if broker is not without)
    outsider = Outsider(servers)
    await asyncio.to_thread(outsider.produce, topic, [value])
    return await asyncio.to_thread(outsider.end, topic)


async def test_a_partition_without_a_leader_holds_it_until_there_is_one(whole: LocalKafka, fresh_name: str) -> None:
    Outsider.of(whole).create(fresh_name, replicas=1, min_insync_replicas=1)
    async with barrier_on(whole, fresh_name, EverythingApplied()) as barrier:
        await passes(barrier)
        leader = leader_of(whole, fresh_name)
        await asyncio.to_thread(leader.kill)
        await until(lambda: "has no leader" in str(barrier.holding), lambda: barrier.holding)
        await asyncio.to_thread(leader.start)
        await until(lambda: barrier.holding is None, lambda: barrier.holding)


@pytest.mark.parametrize(("min_isr", "confirmations"), [(1, 2), (2, 1), (3, 0)])
async def test_the_live_configuration_says_how_many_replicas_must_confirm(
    cluster: LocalKafka, fresh_name: str, min_isr: int, confirmations: int
) -> None:
    """RF - min ISR; none when every replica has what was acknowledged."""
    Outsider.of(cluster).create(fresh_name, replicas=3, min_insync_replicas=min_isr)
    async with barrier_on(cluster, fresh_name, EverythingApplied()) as barrier:
        await passes(barrier)
        assert barrier._known is not None
        assert barrier._known.confirmations == confirmations


async def test_a_changed_min_isr_is_read_while_it_runs(
    cluster: LocalKafka, fresh_name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "CONFIG_EVERY_S", 0.1)
    monkeypatch.setattr(module, "IDLE_ROUND_EVERY_S", 0.05)
    outsider = Outsider.of(cluster)
    outsider.create(fresh_name, replicas=3, min_insync_replicas=3)
    async with barrier_on(cluster, fresh_name, EverythingApplied()) as barrier:
        await passes(barrier)
        outsider.change(fresh_name, min_insync_replicas=2)
        await until(lambda: barrier._known is not None and barrier._known.confirmations == 1)


async def test_it_goes_on_by_itself_after_a_leader_was_killed(whole: LocalKafka, fresh_name: str) -> None:
    """While the leader is away; no acknowledged hold is missed before, meanwhile or after."""
    Outsider.of(whole).create(fresh_name, 3, replicas=3, min_insync_replicas=2)
    table = ListTable(3)
    async with fresh(whole, fresh_name, table) as barrier:
        leader = leader_of(whole, fresh_name)
        await produce_over(whole, fresh_name, b"before")
        await asyncio.to_thread(leader.kill)
        await until(lambda: barrier.holding)
        await until(lambda: barrier.holding is None, lambda: barrier.holding)
        assert not leader.is_running()
        await produce_over(whole, fresh_name, b"meanwhile", without=leader)
        await passes(barrier)
        assert table.values() == [b"before", b"meanwhile"]


@dataclass
class Seen:
    """What one kind of asking made of a leader that thawed: how often it got an end, and how often an old one."""

    answers: int = 0
    stale: int = 0

    def got(self, end: int, acknowledged: int) -> None:
        self.answers += 1
        self.stale += end < acknowledged


@dataclass
class Thaws:
    """Of all thaws together."""

    plain: Seen = field(default_factory=Seen)
    confirmed: Seen = field(default_factory=Seen)
    trusting: Seen = field(default_factory=Seen)


class Trusting(Barrier):
    """A barrier that takes a leader's word for it."""

    async def _learn(self, client: AIOKafkaClient, min_isr: int) -> Known:
        self._known = dataclasses.replace(await super()._learn(client, min_isr), confirmations=0)
        return self._known


async def ask_barrier(barrier: Barrier, seen: Seen, acknowledged: int, until_s: float) -> None:
    while time.monotonic() < until_s:
        try:
            await barrier.passed()
        except NotFreshError:
            await asyncio.sleep(0.001)
        else:
            seen.got(barrier.ends[0], acknowledged)


async def ask_plainly(
    client: AIOKafkaClient, node: int, topic: str, epoch: int, seen: Seen, acknowledged: int, until_s: float
) -> None:
    while time.monotonic() < until_s:
        try:
            ends, _ = high_watermarks(await client.send(node, HighWatermarksRequest(topic, {0: epoch})))
        except KafkaError:
            ends = {}
        if ends:
            seen.got(ends[0], acknowledged)
        await asyncio.sleep(0.001)


async def one_thaw(cluster: LocalKafka, topic: str, thaws: Thaws) -> None:
    clients, kinds = clients_for(cluster), [Barrier] * BARRIERS + [Trusting] * BARRIERS
    barriers = [kind(clients, topic, 1, EverythingApplied(), DEADLINE_S) for kind in kinds]
    old, client = leader_of(cluster, topic), clients.barrier_client()
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(started(client))
        leadership = topic_metadata(await client.send(old.node_id, TopicMetadataRequest(topic))).partitions[0]
        for barrier in barriers:
            await stack.enter_async_context(barrier._connected())
            assert await barrier._read_config()
            await passes(barrier)  # they know the leader, and have a connection to it
        old.freeze()
        try:
            await replaced(cluster, topic, old)
            acknowledged = await produce_over(cluster, topic, b"a hold", without=old)
            until_s = time.monotonic() + AFTER_THAW_S
            asking = [
                asyncio.create_task(ask_barrier(barrier, seen, acknowledged, until_s))
                for barrier, seen in zip(
                    barriers, [thaws.confirmed] * BARRIERS + [thaws.trusting] * BARRIERS, strict=True
                )
            ]
            asking.append(
                asyncio.create_task(
                    ask_plainly(client, old.node_id, topic, leadership.epoch, thaws.plain, acknowledged, until_s)
                )
            )
            await asyncio.sleep(0.05)  # so that their first questions wait at the frozen leader
        finally:
            old.thaw()
        await asyncio.gather(*asking)
    await until(lambda: Outsider.of(cluster).in_sync(topic) == {1, 2, 3})


@pytest.fixture(scope="module")
def thaws(cluster: LocalKafka) -> Iterator[Thaws]:
    """The scenario."""
    topic, found = f"thaws-{time.time_ns()}", Thaws()
    Outsider.of(cluster).create(topic, replicas=3, min_insync_replicas=2)

    async def all_of_them() -> None:
        for _ in range(THAWS):
            await one_thaw(cluster, topic, found)

    try:
        asyncio.run(all_of_them())
        yield found
    finally:
        for broker in cluster.brokers:
            broker.thaw()


def test_k17_a_leader_that_thaws_answers_with_an_old_end_and_no_error(thaws: Thaws) -> None:
    """K17."""
    assert thaws.plain.stale > 0


def test_a_barrier_that_takes_its_word_passes_on_old_ends(thaws: Thaws) -> None:
    """The mechanism switched off."""
    assert thaws.trusting.stale > 0


def test_a_barrier_that_asks_for_confirmation_passes_on_none(thaws: Thaws) -> None:
    """Guarantee 1."""
    assert thaws.confirmed.answers > 0
    assert thaws.confirmed.stale == 0
