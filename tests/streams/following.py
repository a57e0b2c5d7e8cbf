"""A follower at work on a real broker, filling a table in memory."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from gateway.localkafka import LocalKafka
from gateway.streams.follower import Follower
from gateway.streams.quorum import NotFreshError
from tests.kafka.outside import DEADLINE_S, Outsider, clients_for
from tests.streams.tables import ListTable


@asynccontextmanager
async def following(kafka: LocalKafka, topic: str, table: ListTable) -> AsyncIterator[Follower]:
    """A follower at work."""
    follower = Follower(clients_for(kafka), topic, table)
    task = asyncio.create_task(follower.run(), name="follower")
    try:
        yield follower
    finally:
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task


async def applied(follower: Follower, outsider: Outsider, topic: str, partitions: int = 1) -> None:
    """Wait until everything up to the present end is applied."""
    ends = {number: outsider.end(topic, number) for number in range(partitions)}
    async with asyncio.timeout(DEADLINE_S):
        while True:
            try:
                return await follower.wait_applied(ends)
            except NotFreshError:
                await asyncio.sleep(0.02)
