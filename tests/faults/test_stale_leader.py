"""A leader that was frozen and thaws answers with an old end of the log and no error (K17): why the barrier asks twice.

Both barriers are asked without a pause, before, while and after the leader thaws. The view is a double that has
applied everything at once, so that only the answers about the end of the log decide.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest

from gateway.localkafka import Broker, LocalKafka
from gateway.streams.barrier import Barrier
from gateway.streams.clients import Clients
from gateway.streams.quorum import Known, NotFreshError
from tests.faults.conftest import restore
from tests.faults.stage import Sender, Stage

pytestmark = pytest.mark.cluster

THAWS = 10
"""At most: the one without second opinion is fooled in nearly every thaw."""

MISSED = 20
"""Events acknowledged under the new leader before the old one thaws."""

DEADLINE_S = 1.0
"""As in production."""

PATIENCE_S = 60.0

PAUSE_S = 0.002
"""Between two questions, so that the others get a turn."""


class AppliedAll:
    """The follower, never behind."""

    def applied(self) -> Mapping[int, int]:
        return {}

    async def wait_applied(self, ends: Mapping[int, int]) -> None:
        return None

    def bind(self, topic_id: str) -> bool:
        return True

    def suspect(self, reason: str) -> None:
        raise AssertionError(reason)


class Unconfirmed(Barrier):
    """Stays with the leader it knows as long as that answers, and asks nobody else."""

    pinned: Known | None = None

    async def _confirmed_ends(self) -> Mapping[int, int]:
        if self.pinned is not None:
            self._known = self.pinned
        ends = await super()._confirmed_ends()
        if self.pinned is None and self._known is not None:
            self.pinned = Known(self._known.leaders, confirmations=0)
        return ends


class Asked:
    """Asks a barrier again and again, and counts passes on an end that lies before an acknowledged event."""

    def __init__(self, barrier: Barrier, acknowledged: Callable[[], int]) -> None:
        self.barrier = barrier
        self.passed = self.stale = 0
        self._acknowledged = acknowledged

    async def run(self) -> None:
        while True:
            needed = self._acknowledged()
            try:
                await self.barrier.passed()
            except NotFreshError:
                pass
            else:
                self.passed += 1
                self.stale += self.barrier.ends[0] < needed
            await asyncio.sleep(PAUSE_S)


@pytest.fixture
def stage(cluster: LocalKafka, fresh_name: str, tmp_path: Path) -> Iterator[Stage]:
    staged = Stage(cluster, fresh_name, tmp_path)
    staged.open()
    try:
        yield staged
    finally:
        restore(cluster)
        staged.close()


async def test_a_thawed_leaders_old_answers_pass_no_barrier_that_asks_another_replica(
    cluster: LocalKafka, stage: Stage
) -> None:
    """And they do pass one that does not ask: the mechanism switched off."""
    topic, sender = stage.topic("dnd.events"), stage.sender()
    clients = Clients(stage.settings.kafka)
    barriers = [kind(clients, topic, 1, AppliedAll(), DEADLINE_S) for kind in (Barrier, Unconfirmed)]
    asked, unconfirmed = (Asked(barrier, lambda: acknowledged(stage)) for barrier in barriers)
    async with asyncio.TaskGroup() as group:
        asking = [group.create_task(barrier.run()) for barrier in barriers]
        asking += [group.create_task(each.run()) for each in (asked, unconfirmed)]
        thaws = 0
        while unconfirmed.stale == 0 and thaws < THAWS:
            thaws += 1
            await passes(asked)
            barriers[1].pinned = None  # type: ignore[attr-defined]  # it has learnt the new leader at last
            await passes(unconfirmed)
            await asyncio.to_thread(freeze_replace_thaw, cluster, stage, sender)
        await passes(asked)
        for task in asking:
            task.cancel()
    print(
        f"{thaws} thaws: {asked.stale} stale of {asked.passed}, unconfirmed {unconfirmed.stale} of {unconfirmed.passed}"
    )
    assert asked.stale == 0
    assert unconfirmed.stale > 0


def acknowledged(stage: Stage) -> int:
    """The end of the log as its writers know it: one partition, nothing but their events."""
    return len(stage.sent.events_acknowledged)


async def passes(asked: Asked) -> None:
    """Until it passes again."""
    before, deadline = asked.passed, time.monotonic() + PATIENCE_S
    while asked.passed == before:
        assert time.monotonic() < deadline, asked.barrier.holding
        await asyncio.sleep(PAUSE_S)


def freeze_replace_thaw(cluster: LocalKafka, stage: Stage, sender: Sender) -> None:
    topic = stage.topic("dnd.events")
    sender.hold("before")
    node = stage.admin.leader(topic)
    frozen = broker(cluster, node)
    frozen.freeze()
    stage.admin.wait_leader_other_than(node, topic)
    sender.hold(*(f"c{number}" for number in range(MISSED)))
    frozen.thaw()
    stage.admin.wait_in_sync(len(cluster.brokers))


def broker(cluster: LocalKafka, node: int) -> Broker:
    return next(each for each in cluster.brokers if each.node_id == node)
