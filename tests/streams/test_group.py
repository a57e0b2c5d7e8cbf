"""Members of a group on a real broker: partitions come and go, and every record is still decided once."""

from __future__ import annotations

import asyncio
import gc
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

import pytest
from aiokafka import TopicPartition

from gateway.app import STOP_DEADLINE_S
from gateway.localkafka import LocalKafka, LocalKafkaConfig
from gateway.streams import group as module
from gateway.streams.group import GroupMember, MembershipError, group_member
from gateway.streams.outputs import Outputs
from gateway.streams.worker import Batch, Transform, WorkerSettings
from tests.kafka.outside import DEADLINE_S, Outsider, clients_for, until
from tests.streams.serving import Copier, Stage

PARTITIONS = 3
SESSION_TIMEOUT_MS = 6_000
"""The shortest a broker takes by default."""


@pytest.fixture
def stage(kafka: LocalKafka, fresh_name: str) -> Stage:
    return Stage.of(kafka, fresh_name, PARTITIONS)


def member_of(kafka: LocalKafka, stage: Stage, transform: Transform, instance_id: str = "a") -> GroupMember:
    settings = WorkerSettings(stage.group, 10, SESSION_TIMEOUT_MS)
    return group_member(clients_for(kafka), settings, instance_id, stage.requests, transform)


@dataclass
class Running:
    """A member at work, and how to end it."""

    member: GroupMember
    task: asyncio.Task[None]
    stop: asyncio.Event

    @property
    def partitions(self) -> set[int]:
        return {partition.partition for partition in self.member.workers}

    async def stopped(self) -> None:
        self.stop.set()
        await asyncio.wait_for(self.task, DEADLINE_S)


@asynccontextmanager
async def running(member: GroupMember) -> AsyncIterator[Running]:
    stop = asyncio.Event()
    found = Running(member, asyncio.create_task(member.run(stop), name="member"), stop)
    try:
        yield found
    finally:
        await found.stopped()


def request_everywhere(stage: Stage, count: int) -> None:
    for number in range(PARTITIONS):
        stage.request([b"x"] * count, number)


async def exact_everywhere(stage: Stage, count: int) -> None:
    for number in range(PARTITIONS):
        await stage.exact(count, number)


async def test_one_member_serves_every_partition(kafka: LocalKafka, stage: Stage) -> None:
    request_everywhere(stage, 20)
    member = member_of(kafka, stage, Copier(stage))
    assert member.problems() == ["joining: the group has not assigned partitions yet"]
    async with running(member) as one:
        await exact_everywhere(stage, 20)
        assert one.partitions == {0, 1, 2}
        await until(lambda: member.problems() == [], member.problems)
    assert member.workers == {}


async def test_partitions_move_between_members_that_come_and_go_and_every_record_is_decided_once(
    kafka: LocalKafka, stage: Stage
) -> None:
    """K24: while the requests keep coming."""
    sent = 0

    def send() -> int:
        nonlocal sent
        request_everywhere(stage, 20)
        sent += 20
        return sent

    async with AsyncExitStack() as stack:
        first = await stack.enter_async_context(running(member_of(kafka, stage, Copier(stage), "a")))
        send()
        await until(lambda: first.partitions == {0, 1, 2})
        second = await stack.enter_async_context(running(member_of(kafka, stage, Copier(stage), "b")))
        send()
        await until(lambda: first.partitions and second.partitions and len(first.partitions | second.partitions) == 3)
        assert not first.partitions & second.partitions
        send()
        await first.stopped()
        send()
        await until(lambda: second.partitions == {0, 1, 2})
        send()
        await exact_everywhere(stage, sent)


class Holding(Copier):
    """Keeps every batch until it is let."""

    def __init__(self, stage: Stage) -> None:
        super().__init__(stage)
        self.held: set[int] = set()
        self.let = asyncio.Event()

    async def __call__(self, batch: Batch, outputs: Outputs) -> None:
        self.held.add(batch.partition.partition)
        await self.let.wait()
        await super().__call__(batch, outputs)


async def test_a_revoked_worker_finishes_its_batch_before_the_partition_moves_on(
    kafka: LocalKafka, stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "DRAIN_S", DEADLINE_S)
    request_everywhere(stage, 5)
    holding, other = Holding(stage), Copier(stage)
    async with running(member_of(kafka, stage, holding, "a")):
        await until(lambda: holding.held == {0, 1, 2})
        second = member_of(kafka, stage, other, "b")
        async with running(second):
            await asyncio.sleep(1)  # it cannot be seen that something does not happen
            assert not second.joined
            holding.let.set()
            await until(lambda: second.joined)
            await exact_everywhere(stage, 5)
    assert len(holding.delivered_batches) == 3
    assert other.delivered_batches == []


async def test_a_revoked_worker_that_takes_too_long_is_cancelled_and_its_batch_decided_by_the_next_owner(
    kafka: LocalKafka, stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "DRAIN_S", 0.1)
    request_everywhere(stage, 5)
    holding = Holding(stage)
    async with running(member_of(kafka, stage, holding, "a")) as first:
        await until(lambda: holding.held == {0, 1, 2})
        await first.stopped()
    assert holding.delivered_batches == []
    async with running(member_of(kafka, stage, Copier(stage), "b")):
        await exact_everywhere(stage, 5)


class Faulty(Copier):
    """Has a defect."""

    async def __call__(self, batch: Batch, outputs: Outputs) -> None:
        raise ZeroDivisionError


async def test_a_worker_that_dies_ends_the_member_with_what_it_died_of(kafka: LocalKafka, stage: Stage) -> None:
    request_everywhere(stage, 1)
    before = asyncio.all_tasks()
    with pytest.raises(ZeroDivisionError):
        await asyncio.wait_for(member_of(kafka, stage, Faulty(stage)).run(asyncio.Event()), DEADLINE_S)
    await until(lambda: asyncio.all_tasks() == before)


async def test_k19_of_two_with_one_instance_id_one_ends_and_nothing_is_decided_twice(
    kafka: LocalKafka, stage: Stage
) -> None:
    """Or both, when they lose the membership to each other as often."""
    request_everywhere(stage, 5)
    members = [member_of(kafka, stage, Copier(stage), "the same") for _ in range(2)]
    stop = asyncio.Event()
    tasks = [asyncio.create_task(member.run(stop)) for member in members]
    done, _ = await asyncio.wait(tasks, timeout=DEADLINE_S, return_when=asyncio.FIRST_COMPLETED)
    assert any(isinstance(ended.exception(), MembershipError) for ended in done)
    stop.set()
    await asyncio.wait_for(asyncio.gather(*tasks, return_exceptions=True), DEADLINE_S)
    request_everywhere(stage, 5)
    async with running(member_of(kafka, stage, Copier(stage))):
        await exact_everywhere(stage, 10)


async def test_added_partitions_are_served(kafka: LocalKafka, stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """K26: after `metadata.max.age.ms`, which is short here."""
    monkeypatch.setattr("gateway.streams.clients.METADATA_MAX_AGE_MS", 500)
    async with running(member_of(kafka, stage, Copier(stage))) as one:
        await until(lambda: one.partitions == {0, 1, 2})
        for topic in (stage.copies, stage.decisions, stage.requests):
            stage.outsider.grow(topic, PARTITIONS + 1)
        stage.request([b"x"] * 5, PARTITIONS)
        await stage.exact(5, PARTITIONS)


@pytest.fixture(scope="module")
def own_kafka() -> Iterator[LocalKafka]:
    """A broker that may be frozen without disturbing the tests of other modules."""
    with LocalKafka(LocalKafkaConfig()) as kafka:
        yield kafka


@pytest.fixture
def freezable(own_kafka: LocalKafka) -> Iterator[LocalKafka]:
    yield own_kafka
    own_kafka.brokers[0].thaw()
    gc.collect()  # here, where what it finds is expected: see `frozen`


frozen = pytest.mark.filterwarnings(
    # aiokafka leaves the connection it asks for metadata first, when that is cancelled; the collector closes it
    "ignore::pytest.PytestUnraisableExceptionWarning"
)

SOON_S = STOP_DEADLINE_S + 5.0
"""What the service waits for its roles, and room for a busy machine; it takes 10 s."""


@frozen
@pytest.mark.parametrize("joined", [True, False])
async def test_it_stops_in_time_although_the_broker_does_not_answer(
    freezable: LocalKafka, fresh_name: str, joined: bool
) -> None:
    stage = Stage.of(freezable, fresh_name, PARTITIONS)
    request_everywhere(stage, 5)
    member = member_of(freezable, stage, Copier(stage))
    before, stop = asyncio.all_tasks(), asyncio.Event()
    if not joined:
        freezable.brokers[0].freeze()
    task = asyncio.create_task(member.run(stop))
    if joined:
        await exact_everywhere(stage, 5)
        freezable.brokers[0].freeze()
    else:
        await asyncio.sleep(0.5)  # it waits for its first answer
    began = time.monotonic()
    stop.set()
    await asyncio.wait([task], timeout=DEADLINE_S)
    assert task.done()
    assert time.monotonic() - began < SOON_S
    task.result()
    await until(lambda: asyncio.all_tasks() == before)


@frozen
async def test_what_it_did_not_finish_is_decided_by_a_successor_when_the_broker_is_back(
    freezable: LocalKafka, fresh_name: str
) -> None:
    stage = Stage.of(freezable, fresh_name, PARTITIONS)
    async with running(member_of(freezable, stage, Copier(stage), "a")) as one:
        await until(lambda: one.partitions == {0, 1, 2})
        request_everywhere(stage, 20)
        freezable.brokers[0].freeze()
        await one.stopped()
        freezable.brokers[0].thaw()
    async with running(member_of(freezable, stage, Copier(stage), "b")):
        await exact_everywhere(stage, 20)


def partitions_of(members: Sequence[Running], topic: str) -> list[TopicPartition]:
    return [TopicPartition(topic, number) for member in members for number in member.partitions]


@frozen
async def test_one_that_starts_before_the_brokers_joins_when_they_answer(
    freezable: LocalKafka, fresh_name: str
) -> None:
    stage, broker = Stage.of(freezable, fresh_name, PARTITIONS), freezable.brokers[0]
    request_everywhere(stage, 5)
    await asyncio.to_thread(broker.stop)
    async with running(member_of(freezable, stage, Copier(stage))) as one:
        await asyncio.sleep(0.5)  # its first try has failed, or is under way
        assert not one.task.done()
        await asyncio.to_thread(broker.start)
        await exact_everywhere(stage, 5)


async def test_more_members_than_partitions_leave_the_others_without_problems(kafka: LocalKafka, stage: Stage) -> None:
    Outsider.of(kafka)
    async with AsyncExitStack() as stack:
        members = [
            await stack.enter_async_context(running(member_of(kafka, stage, Copier(stage), name))) for name in "abcd"
        ]
        await until(lambda: all(each.member.joined for each in members))
        await until(lambda: len(partitions_of(members, stage.requests)) == PARTITIONS)
        await until(lambda: [each.member.problems() for each in members] == [[]] * 4)
        request_everywhere(stage, 5)
        await exact_everywhere(stage, 5)
