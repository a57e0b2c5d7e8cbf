"""The barrier against the broker's own round trip, on idle connections in one process."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass

from aiokafka.protocol.metadata import MetadataRequest

from gateway.streams.clients import Clients, close
from tests.bench.guards import GuardVariant
from tests.bench.run import World
from tests.bench.variant import settings_of

ROUNDS = 2_000


@dataclass(frozen=True, slots=True)
class BarrierTimes:
    """Milliseconds, sorted."""

    barrier_ms: list[float]
    round_trip_ms: list[float]


def barrier_times(world: World) -> BarrierTimes:
    """In turn, so that both see the same machine: one bare Metadata request, one barrier."""
    return asyncio.run(_measure(world))


async def _measure(world: World) -> BarrierTimes:
    settings = settings_of(world.config("barrier"))
    guard = GuardVariant(settings, barrier=True, transactions=True)
    await guard.load()
    client = Clients(settings.kafka).barrier_client()
    await client.bootstrap()
    barrier, bare = [], []
    try:
        node = client.get_random_node()
        for _ in range(ROUNDS):
            began = time.perf_counter()
            await client.send(node, MetadataRequest([world.topics.dnd_events], False))
            between = time.perf_counter()
            await guard.barrier.passed()
            bare.append((between - began) * 1000)
            barrier.append((time.perf_counter() - between) * 1000)
    finally:
        await close(client)
        await guard.close()
    return BarrierTimes(sorted(barrier), sorted(bare))
