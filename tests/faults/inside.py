"""The guard inside the test's own process, so that one of its mechanisms can be replaced by a double that lacks it.

What `GuardRole` and `group_member` wire in production is wired here by hand: nothing of it can be switched off by a
setting, so production cannot reach a guard without its mechanisms by accident.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass

from aiokafka import AIOKafkaConsumer, TopicPartition

from gateway.contract.topics import Topics
from gateway.fresh import FreshState
from gateway.guard.guard import Guard
from gateway.metrics import Metrics
from gateway.settings import KafkaSettings, Settings
from gateway.streams.clients import Clients
from gateway.streams.group import GroupMember
from gateway.streams.lane import Lane
from gateway.streams.quorum import NotFreshError
from gateway.streams.worker import NewLane, PartitionWorker, Transform, WorkerSettings

START_S = 60.0
"""For the view to be loaded and the partitions to be assigned."""

LOOK_S = 0.02


@dataclass(frozen=True, slots=True)
class Parts:
    """What a transform is made of."""

    clients: Clients
    topics: Topics
    fresh: FreshState


MakeTransform = Callable[[Parts], Transform]


def whole_guard(parts: Parts) -> Guard:
    """As in production."""
    return Guard(parts.clients, parts.topics, parts.fresh.view, parts.fresh.barrier, no_region, ignore)


def no_region(location_id: str) -> None:
    return None


def ignore(tally: object) -> None:
    return None


@contextlib.asynccontextmanager
async def parts_inside(
    settings: Settings, new_clients: Callable[[KafkaSettings], Clients] = Clients
) -> AsyncIterator[Parts]:
    """The fresh state, followed and loaded."""
    clients, topics = new_clients(settings.kafka), Topics(settings.topics.prefix)
    fresh = FreshState(settings, clients, topics, Metrics("test"))
    await fresh.open()
    try:
        async with asyncio.TaskGroup() as group:
            following = group.create_task(fresh.run(), name="fresh state")
            await _passed(fresh)
            yield Parts(clients, topics, fresh)
            following.cancel()
    finally:
        fresh.close()


@contextlib.asynccontextmanager
async def guard_inside(
    settings: Settings,
    make: MakeTransform = whole_guard,
    new_lane: NewLane = Lane,
    new_clients: Callable[[KafkaSettings], Clients] = Clients,
) -> AsyncIterator[None]:
    """A guard that serves every partition; ended in order."""
    stop = asyncio.Event()
    async with parts_inside(settings, new_clients) as parts, asyncio.TaskGroup() as group:
        member = _member(settings, parts, make, new_lane)
        serving = group.create_task(member.run(stop), name="member")
        await _until(lambda: len(member.workers) == settings.topics.request_partitions)
        yield
        stop.set()
        await serving


def _member(settings: Settings, parts: Parts, make: MakeTransform, new_lane: NewLane) -> GroupMember:
    guard = settings.guard
    worker = WorkerSettings(guard.group_id, guard.batch_records, guard.session_timeout_ms)
    transform = make(parts)

    def start(partition: TopicPartition, member: AIOKafkaConsumer) -> PartitionWorker:
        return PartitionWorker(parts.clients, worker, partition, member.committed, transform, new_lane)

    consumer = parts.clients.member(guard.group_id, settings.instance_id, guard.session_timeout_ms)
    return GroupMember(consumer, parts.topics.requests, start)


async def _passed(fresh: FreshState) -> None:
    """Until the view is loaded."""
    deadline = time.monotonic() + START_S
    while True:
        try:
            return await fresh.barrier.passed()
        except NotFreshError:
            if time.monotonic() > deadline:
                raise
            await asyncio.sleep(LOOK_S)


async def _until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + START_S
    while not condition():
        assert time.monotonic() < deadline, "the partitions were not assigned"
        await asyncio.sleep(LOOK_S)
