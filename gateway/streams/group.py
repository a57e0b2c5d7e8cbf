"""Membership apart from work: the consumer here only says which partitions are ours; it never fetches.

Each owned partition has a worker of its own with its own reader (see `worker`). When a partition is revoked its worker
finishes the batch at hand within a limit; one that is late is cancelled, which is safe at any point, since the next
owner fences whatever it left behind.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.abc import ConsumerRebalanceListener

from gateway.streams.clients import Clients
from gateway.streams.closing import close
from gateway.streams.worker import PartitionWorker, Transform, WorkerSettings, WorkerState

log = logging.getLogger(__name__)

POLL_MS = 200
"""How often the member shows that it is alive and the workers are looked after."""

DRAIN_S = 4.0
"""What a revoked worker gets to finish its batch; below every rebalance time-out in use."""

StartWorker = Callable[[TopicPartition, AIOKafkaConsumer], PartitionWorker]


class GroupMember(ConsumerRebalanceListener):
    """Runs one worker per partition of `topic` that the group assigns to us."""

    def __init__(self, member: AIOKafkaConsumer, topic: str, start_worker: StartWorker) -> None:
        self._member = member
        self._topic = topic
        self._start_worker = start_worker
        self.workers: dict[TopicPartition, PartitionWorker] = {}
        self.joined = False
        """Whether a first assignment (maybe of no partition) has come."""

    async def run(self, stop: asyncio.Event) -> None:
        """Serve until `stop` is set. Any fatal error of the group, such as a second member with our instance id (K19),
        or a worker that ended by itself, comes out here."""
        self._member.subscribe([self._topic], listener=self)
        try:
            await self._member.start()
            while not stop.is_set():
                await self._member.getmany(timeout_ms=POLL_MS)
                for worker in self.workers.values():
                    if worker.task.done():
                        worker.task.result()
                        raise RuntimeError(f"{worker.task.get_name()} ended by itself")
        finally:
            await self._stop(list(self.workers))
            await close(self._member)

    def problems(self) -> list[str]:
        """Why not every partition of ours is served; empty = it is. Held up is left out: the barrier says why."""
        if not self.joined:
            return ["joining: the group has not assigned partitions yet"]
        return [
            f"partition {worker.partition.partition}: {worker.state}: {worker.problem or 'under way'}"
            for worker in self.workers.values()
            if worker.state not in (WorkerState.SERVING, WorkerState.HELD_UP)
        ]

    async def on_partitions_assigned(self, assigned: Iterable[TopicPartition]) -> None:
        assigned = set(assigned)
        self._member.pause(*assigned)
        for partition in assigned:
            self.workers[partition] = self._start_worker(partition, self._member)
        self.joined = True
        log.info("partitions assigned: %s", sorted(partition.partition for partition in self.workers))

    async def on_partitions_revoked(self, revoked: Iterable[TopicPartition]) -> None:
        await self._stop(list(revoked))

    async def _stop(self, partitions: Iterable[TopicPartition]) -> None:
        workers = [self.workers.pop(partition) for partition in partitions if partition in self.workers]
        for worker in workers:
            worker.stop()
        if not workers:
            return
        _, late = await asyncio.wait([worker.task for worker in workers], timeout=DRAIN_S)
        for task in late:
            log.warning("%s is cancelled: its batch takes longer than %g s", task.get_name(), DRAIN_S)
            task.cancel()
        await asyncio.gather(*(worker.task for worker in workers), return_exceptions=True)


def group_member(
    clients: Clients, settings: WorkerSettings, instance_id: str, topic: str, transform: Transform
) -> GroupMember:
    """A member of the group that runs `transform` over the partitions of `topic` it is given."""

    def start_worker(partition: TopicPartition, member: AIOKafkaConsumer) -> PartitionWorker:
        return PartitionWorker(clients, settings, partition, member.committed, transform)

    return GroupMember(clients.member(settings.group_id, instance_id, settings.session_timeout_ms), topic, start_worker)
