"""Barriers at work on a real broker, and what they take for the applied log."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

from gateway.localkafka import LocalKafka
from gateway.streams.barrier import AppliedLog, Barrier, ObserveRound
from gateway.streams.follower import Follower
from gateway.streams.quorum import NotFreshError
from tests.kafka.outside import DEADLINE_S, clients_for, until
from tests.streams.tables import ListTable

ROUND_DEADLINE_S = 20.0
"""Long, because a busy machine is no fault."""


class EverythingApplied:
    """A follower that is never behind, so that a round ends with the brokers' answers alone."""

    def __init__(self, position: int = 0) -> None:
        self.position = position
        self.suspicions: list[str] = []
        self.topic_id: str | None = None

    def applied(self) -> Mapping[int, int]:
        return {0: self.position}

    async def wait_applied(self, ends: Mapping[int, int]) -> None:
        return

    def bind(self, topic_id: str) -> bool:
        if self.topic_id is None:
            self.topic_id = topic_id
        return self.topic_id == topic_id

    def suspect(self, reason: str) -> None:
        self.suspicions.append(reason)


class Gated(EverythingApplied):
    """A follower that reaches the end when it is let."""

    def __init__(self) -> None:
        super().__init__()
        self.gate = asyncio.Event()
        self.waiting = 0

    async def wait_applied(self, ends: Mapping[int, int]) -> None:
        self.waiting += 1
        await self.gate.wait()


@asynccontextmanager
async def at_work(barrier: Barrier) -> AsyncIterator[Barrier]:
    """Keep it running."""
    running = asyncio.create_task(barrier.run(), name="barrier")
    try:
        yield barrier
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
    if not running.cancelled():
        running.result()


@asynccontextmanager
async def barrier_on(
    kafka: LocalKafka,
    topic: str,
    applied: AppliedLog,
    *,
    partitions: int = 1,
    deadline_s: float = ROUND_DEADLINE_S,
    observe: ObserveRound | None = None,
) -> AsyncIterator[Barrier]:
    """A barrier that knows its topic's configuration."""
    async with at_work(Barrier(clients_for(kafka), topic, partitions, applied, deadline_s, observe)) as barrier:
        await until(lambda: barrier._min_isr, lambda: barrier.holding)
        yield barrier


@asynccontextmanager
async def fresh(kafka: LocalKafka, topic: str, table: ListTable) -> AsyncIterator[Barrier]:
    """Follower and barrier together; the barrier has passed once."""
    follower = Follower(clients_for(kafka), topic, table)
    following = asyncio.create_task(follower.run(), name="follower")
    try:
        async with barrier_on(kafka, topic, follower, partitions=len(table.positions())) as barrier:
            await passes(barrier)
            yield barrier
    finally:
        following.cancel()
        await asyncio.gather(following, return_exceptions=True)


async def passes(barrier: Barrier) -> None:
    """Ask until it passes."""
    async with asyncio.timeout(DEADLINE_S):
        while True:
            try:
                return await barrier.passed()
            except NotFreshError:
                await asyncio.sleep(0.01)
