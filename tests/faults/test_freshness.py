"""Acknowledged = enforced: the hold first, then a request to the same contact, again and again (guarantee 1).

The proof that the barrier is what does it runs the same rounds without one. A follower is quick by nature, and mostly
wins the race even so; so in that comparison both guards get a follower whose fetches are slow, as they are on a busy
broker or with fetches tuned for throughput. The guard with its barrier waits for it; the one without does not.
"""

from __future__ import annotations

import asyncio

import pytest
from aiokafka import AIOKafkaConsumer

from gateway.guard.guard import Guard
from gateway.streams.barrier import Barrier
from gateway.streams.clients import Clients
from tests.faults.checker import check
from tests.faults.inside import MakeTransform, Parts, guard_inside, ignore, no_region, whole_guard
from tests.faults.scene import Scene, Size
from tests.faults.stage import Stage

STALE_PART = 0.2
"""Of the rounds, at the least, are decided wrongly without the barrier."""

SLOW_ROUNDS_PART = 0.4
"""Of the rounds, with such followers: the guard decides four batches a second then."""

SLOW_FETCH_BYTES = 16 * 1024 * 1024
"""More than there ever is: each fetch of the follower waits its full 250 ms."""


class SlowFollower(Clients):
    """The follower's fetches wait to be full."""

    def state_follower(self) -> AIOKafkaConsumer:
        consumer = super().state_follower()
        consumer._fetch_min_bytes = SLOW_FETCH_BYTES
        return consumer


class NoBarrier(Barrier):
    """Passes at once, whatever the view lacks."""

    async def passed(self) -> None:
        return None


def guard_without_barrier(parts: Parts) -> Guard:
    barrier = NoBarrier(parts.clients, parts.topics.dnd_events, 1, None, 1.0)  # type: ignore[arg-type]  # never asked
    return Guard(parts.clients, parts.topics, parts.fresh.view, barrier, no_region, ignore)


def rounds(stage: Stage, count: int) -> None:
    """Each with a contact of its own; the request is sent when the hold's acknowledgement has come, at once."""
    sender = stage.sender()
    for number in range(count):
        sender.hold(f"c{number}")
        sender.request(f"c{number}", wait=False)
    sender.request("never held")
    stage.wait_all_decided()


async def stale_part(stage: Stage, make: MakeTransform, size: Size) -> float:
    """Of the rounds' requests, those that were forwarded."""
    count = round(size.freshness * SLOW_ROUNDS_PART)
    async with guard_inside(stage.settings, make, new_clients=SlowFollower):
        await asyncio.to_thread(rounds, stage, count)
    report = await asyncio.to_thread(check, stage.history())
    print(report)
    assert report.requests == count + 1
    return (report.forwarded - 1) / count


@pytest.mark.cluster
def test_round_after_round_no_request_overtakes_a_hold_that_was_acknowledged_before(scene: Scene) -> None:
    guard = scene.guard()
    guard.start()
    guard.wait_ready()
    count = scene.size.freshness
    rounds(scene.stage, count)
    guard.stop()
    report = check(scene.stage.history())
    print(report)
    assert report.count == 0, report
    assert (report.dropped, report.forwarded) == (count, 1)


async def test_with_a_slow_follower_the_barrier_waits_and_none_is_stale(stage: Stage, size: Size) -> None:
    assert await stale_part(stage, whole_guard, size) == 0


async def test_without_the_barrier_the_same_rounds_find_stale_decisions(stage: Stage, size: Size) -> None:
    """The mechanism switched off."""
    assert await stale_part(stage, guard_without_barrier, size) > STALE_PART
