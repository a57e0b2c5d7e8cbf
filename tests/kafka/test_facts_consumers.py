"""Facts about consumers and groups: whose records these are, and what is silent."""

from __future__ import annotations

import asyncio
import contextlib
import inspect
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager
from typing import Any

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.abc import ConsumerRebalanceListener
from aiokafka.coordinator.assignors.range import RangePartitionAssignor
from aiokafka.coordinator.assignors.roundrobin import RoundRobinPartitionAssignor
from aiokafka.coordinator.assignors.sticky.sticky_assignor import StickyPartitionAssignor
from aiokafka.errors import KafkaError
from confluent_kafka import KafkaException

from gateway.localkafka import LocalKafka
from tests.kafka.outside import DEADLINE_S, Outsider, clients_for, started, until, until_awaited

DEADLINE_MS = int(DEADLINE_S * 1000)


class Listener(ConsumerRebalanceListener):
    """Notes what is assigned; `before_end` runs inside the callback."""

    def __init__(self, before_end: Callable[[], Awaitable[object]] | None = None) -> None:
        self._before_end = before_end
        self.assigned: list[set[TopicPartition]] = []
        self.ended = 0

    async def on_partitions_revoked(self, revoked: Iterable[TopicPartition]) -> None: ...

    async def on_partitions_assigned(self, assigned: Iterable[TopicPartition]) -> None:
        self.assigned.append(set(assigned))
        if self._before_end is not None:
            await self._before_end()
        self.ended += 1


@asynccontextmanager
async def joined(
    kafka: LocalKafka, topic: str, listener: ConsumerRebalanceListener | None = None, **options: Any
) -> AsyncIterator[AIOKafkaConsumer]:
    """A member of the group `<topic>-group`."""
    given: dict[str, Any] = {
        "auto_offset_reset": "earliest",
        "enable_auto_commit": False,
        "heartbeat_interval_ms": 100,
        "partition_assignment_strategy": (RoundRobinPartitionAssignor,),
    }
    consumer = AIOKafkaConsumer(
        bootstrap_servers=kafka.bootstrap_servers, group_id=f"{topic}-group", **(given | options)
    )
    consumer.subscribe([topic], listener=listener)
    async with started(consumer):
        yield consumer


async def test_k8_getmany_hands_out_records_before_the_assignment_callback_has_ended(
    kafka: LocalKafka, fresh_name: str
) -> None:
    """K8: hence nothing that matters relies on the callback's end; the member never fetches for us."""
    outsider = Outsider.of(kafka)
    outsider.create(fresh_name)
    outsider.produce(fresh_name, [b"x"])
    handed_out = asyncio.Event()
    listener = Listener(handed_out.wait)
    async with joined(kafka, fresh_name, listener) as consumer, asyncio.timeout(DEADLINE_S):
        while not await consumer.getmany(timeout_ms=100):
            pass
        assert (len(listener.assigned), listener.ended) == (1, 0)
        handed_out.set()
        await until(lambda: listener.ended)


async def test_k9_a_getmany_that_waited_across_a_rebalance_has_moved_the_position(
    kafka: LocalKafka, fresh_name: str
) -> None:
    """K9: to drop what it returned leaves a hole. Each partition's worker has a reader of its own."""
    outsider = Outsider.of(kafka)
    outsider.create(fresh_name, 2)
    listener = Listener()
    async with joined(kafka, fresh_name, listener) as consumer:
        waiting = asyncio.create_task(consumer.getmany(timeout_ms=DEADLINE_MS))
        async with joined(kafka, fresh_name):
            await until(lambda: len(listener.assigned) == 2)
        await until(lambda: len(listener.assigned) == 3)
        assert not waiting.done()
        for number in range(2):
            outsider.produce(fresh_name, [b"x"], number)
        fetched = await waiting
        assert fetched
        for partition, records in fetched.items():
            assert await consumer.position(partition) == records[-1].offset + 1


async def test_k14_a_cancelled_getmany_counts_as_polling_for_ever(kafka: LocalKafka, fresh_name: str) -> None:
    """K14: `max_poll_interval_ms` never strikes again, so a member's getmany is given a time-out instead."""
    Outsider.of(kafka).create(fresh_name)
    async with joined(kafka, fresh_name) as consumer:
        await consumer.getmany(timeout_ms=10)
        await until(lambda: consumer._subscription.fetcher_idle_time > 0.05)
        waiting = asyncio.create_task(consumer.getmany(timeout_ms=DEADLINE_MS))
        await asyncio.sleep(0)
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
        for _ in range(3):
            await asyncio.sleep(0.05)
            assert consumer._subscription.fetcher_idle_time == 0


async def test_k15_a_dead_fetch_task_is_silent(kafka: LocalKafka, fresh_name: str) -> None:
    """K15: hence positions are compared with ends when nothing has come for long."""
    outsider = Outsider.of(kafka)
    partition = TopicPartition(outsider.create(fresh_name), 0)
    reader = clients_for(kafka).reader()
    async with started(reader):
        reader.assign([partition])
        reader.seek(partition, 0)
        fetcher: Any = reader._fetcher
        fetcher._fetch_task.cancel()
        outsider.produce(fresh_name, [b"x"])
        for _ in range(3):
            assert await reader.getmany(timeout_ms=200) == {}
        assert await reader.position(partition) < (await reader.end_offsets([partition]))[partition]


async def test_k16_every_assignor_costs_a_rebalance(kafka: LocalKafka, fresh_name: str) -> None:
    """K16: hence exactly one."""
    Outsider.of(kafka).create(fresh_name)
    assignors = (RoundRobinPartitionAssignor, RangePartitionAssignor, StickyPartitionAssignor)
    generations = []
    for count in (1, 3):
        topic = Outsider.of(kafka).create(f"{fresh_name}-{count}")
        listener = Listener()
        async with joined(kafka, topic, listener, partition_assignment_strategy=assignors[:count]) as consumer:

            async def settled(listener: Listener = listener, consumer: AIOKafkaConsumer = consumer) -> bool:
                before = len(listener.assigned)
                await consumer.getmany(timeout_ms=500)
                return bool(before == len(listener.assigned) and consumer.assignment())

            await until_awaited(settled)
            coordinator: Any = consumer._coordinator
            generations.append(coordinator.generation)
    assert generations == [1, 3]


async def test_k19_two_members_with_one_instance_id_never_come_to_rest(kafka: LocalKafka, fresh_name: str) -> None:
    """K19: each takes the membership from the other, at its next heartbeat or with an error from `getmany`. The client
    knows no end of it, so we count how often a member needs a new id."""
    Outsider.of(kafka).create(fresh_name)
    clients = clients_for(kafka)
    first, second = (clients.member(f"{fresh_name}-group", "the same", 6_000) for _ in range(2))
    first.subscribe([fresh_name])
    second.subscribe([fresh_name])
    ids: set[str] = set()

    async def lost_three_times() -> bool:
        try:
            await first.getmany(timeout_ms=20)
        except KafkaError:
            return True
        coordinator: Any = first._coordinator
        ids.add(coordinator.member_id)
        return len(ids - {""}) > 3

    async with started(first, second):
        await until_awaited(lost_three_times)


def test_k27_the_defaults_lose_data() -> None:
    """K27: hence every option is written out at the call, which tests of the clients check."""
    consumer = inspect.signature(AIOKafkaConsumer.__init__).parameters
    assert consumer["auto_offset_reset"].default == "latest"
    assert consumer["enable_auto_commit"].default is True
    assert consumer["metadata_max_age_ms"].default == 300_000, "K26"
    assert "defaults to ``acks=1``" in (AIOKafkaProducer.__doc__ or "")


async def test_k27_a_subscription_without_a_group_reads_everything_again_when_partitions_are_added(
    kafka: LocalKafka, fresh_name: str
) -> None:
    """K27: hence our readers `assign`."""
    outsider = Outsider.of(kafka)
    outsider.create(fresh_name)
    outsider.produce(fresh_name, [b"x"])
    consumer = AIOKafkaConsumer(
        fresh_name,
        bootstrap_servers=kafka.bootstrap_servers,
        group_id=None,
        auto_offset_reset="earliest",
        metadata_max_age_ms=100,
    )
    found: list[Any] = []

    async def read_twice() -> bool:
        for records in (await consumer.getmany(timeout_ms=50)).values():
            found.extend(records)
        if len(found) == 1 and consumer.partitions_for_topic(fresh_name) == {0}:
            with contextlib.suppress(KafkaException):  # it has grown already
                outsider.grow(fresh_name, 2)
        return len(found) > 1

    async with started(consumer):
        await until_awaited(read_twice)
    assert [record.offset for record in found] == [0, 0]


async def test_k27_seek_to_committed_ignores_offset_0(kafka: LocalKafka, fresh_name: str) -> None:
    """K27: hence positions are sought by number."""
    outsider = Outsider.of(kafka)
    partition = TopicPartition(outsider.create(fresh_name), 0)
    outsider.produce(fresh_name, [b"1", b"2"])
    async with joined(kafka, fresh_name) as consumer:
        await consumer.getone()
        for committed, position in ((0, 1), (2, 2)):
            await consumer.commit({partition: committed})
            assert await consumer.seek_to_committed(partition) == {partition: committed}
            assert await consumer.position(partition) == position
