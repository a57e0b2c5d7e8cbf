"""The worker and the group member of the engine for work that finishes out of order; the theory is in `settling`."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Protocol

from aiokafka import TopicPartition

from gateway.streams.clients import Clients
from gateway.streams.group import GroupMember
from gateway.streams.lane import Lane
from gateway.streams.outputs import Outputs
from gateway.streams.settling import SettlingLane
from gateway.streams.worker import Batch, PartitionWorker, WorkerSettings, WorkerState


class Serve(Protocol):
    """The work on an opened lane."""

    async def __call__(self, lane: SettlingLane, worker: SettlingWorker) -> None:
        """Until `worker.stopping` is set, then soon end. What it raises throws the lane away; a new one is opened."""


class SettlingWorker(PartitionWorker):
    """Serves one partition number; pauses, fences and states are those of every worker."""

    def __init__(
        self, clients: Clients, settings: WorkerSettings, partition: TopicPartition, inputs: Sequence[str], serve: Serve
    ) -> None:
        def new_lane(clients: Clients, group_id: str, partition: TopicPartition) -> Lane:
            return SettlingLane(clients, group_id, partition, inputs)

        self._settle = serve
        super().__init__(clients, settings, partition, _nothing_committed, _NoBatches(), new_lane)

    @property
    def stopping(self) -> asyncio.Event:
        """The work is to be finished."""
        return self._stopping

    def serving(self) -> None:
        """The lane has been resumed."""
        self.state, self.problem = WorkerState.SERVING, None

    def ending(self, why: str) -> None:
        """The lane cannot be used any more; what is under way is waited for."""
        self.state, self.problem = WorkerState.OPENING, why

    async def _serve(self, lane: Lane) -> None:
        if not isinstance(lane, SettlingLane):
            raise TypeError(f"a settling lane is wanted, not {lane!r}")
        await self._settle(lane, self)


class _NoBatches:
    """The transform of a worker that does not work by batches."""

    async def __call__(self, batch: Batch, outputs: Outputs) -> None:  # noqa: ARG002 - the engine's
        raise TypeError("records of a settling lane are not decided by batches")

    async def outputs_end(self, partition: int) -> int | None:  # noqa: ARG002 - the engine asks by partition
        return None

    def delivered(self, batch: Batch) -> None: ...


async def _nothing_committed(partition: TopicPartition) -> int | None:  # noqa: ARG001 - the engine asks by partition
    """A settling lane asks for its offsets itself."""
    return None


def settling_member(
    clients: Clients,
    settings: WorkerSettings,
    instance_id: str,
    topic: str,
    inputs: Sequence[str],
    serve: Callable[[int], Serve],
) -> GroupMember:
    """A member of the group that owns partitions of the output `topic`. `serve`: makes the work of a partition."""
    return GroupMember(
        clients.member(settings.group_id, instance_id, settings.session_timeout_ms),
        topic,
        lambda partition, _: SettlingWorker(clients, settings, partition, inputs, serve(partition.partition)),
    )
