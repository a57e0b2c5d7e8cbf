"""Membership apart from work: the consumer here only says which partitions are ours; it never fetches.

Each owned partition has a worker of its own with its own reader (see `worker`). When a partition is revoked its worker
finishes the batch at hand within a limit; one that is late is cancelled, which is safe at any point, since the next
owner fences whatever it left behind.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable, Iterable, Iterator

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.abc import ConsumerRebalanceListener
from aiokafka.errors import KafkaConnectionError, KafkaError

from gateway.stopping import ended_before_stop
from gateway.streams.clients import Clients
from gateway.streams.closing import close, start
from gateway.streams.worker import PartitionWorker, Transform, WorkerSettings, WorkerState

log = logging.getLogger(__name__)

POLL_MS = 200
"""How often the member shows that it is alive and the workers are looked after."""

DRAIN_S = 4.0
"""What a revoked worker gets to finish its batch; below every rebalance time-out in use."""

FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.2, 5.0
"""Between two tries to join while no broker answers, doubling."""

JOINS_LIMIT = 3
RIVALRY_S = 60.0
"""A static member keeps its member id for as long as it lives; to need a fourth one within a minute is a fault."""


class MembershipError(Exception):
    """The group does not have us any more; the process must end."""


StartWorker = Callable[[TopicPartition, AIOKafkaConsumer], PartitionWorker]


class GroupMember(ConsumerRebalanceListener):
    """Runs one worker per partition of `topic` that the group assigns to us."""

    def __init__(self, member: AIOKafkaConsumer, topic: str, start_worker: StartWorker) -> None:
        self._member = member
        self._topic = topic
        self._start_worker = start_worker
        self.workers: dict[TopicPartition, PartitionWorker] = {}
        self._member_id = ""
        self._joins: list[float] = []
        self._ending = False
        self.joined = False
        """Whether a first assignment (maybe of no partition) has come."""

    async def run(self, stop: asyncio.Event) -> None:
        """Serve until `stop` is set. MembershipError: any fatal error of the group, such as a second member with our
        instance id (K19). A worker that ended by itself comes out here too."""
        self._member.subscribe([self._topic], listener=self)
        serving = asyncio.create_task(self._serve(), name=f"member of the group of {self._topic}")
        try:
            # Apart, because joining, and any poll during a rebalance, waits for as long as the group takes.
            if await ended_before_stop(serving, stop):
                serving.result()
        finally:
            serving.cancel()  # never to poll again: a cancelled one counts as polling for ever (K14)
            await asyncio.gather(serving, return_exceptions=True)
            self._ending = True
            await self._stop(list(self.workers))
            if stop.is_set():
                self._leave_when_closed()
            await close(self._member)

    async def _serve(self) -> None:
        await self._join()
        while True:
            with self._fatal():
                await self._member.getmany(timeout_ms=POLL_MS)
            self._check_rivals()
            for worker in self.workers.values():
                if worker.task.done():
                    worker.task.result()
                    raise RuntimeError(f"{worker.task.get_name()} ended by itself")

    async def _join(self) -> None:
        """Kafka may be away just now: it is asked again, as everybody here does."""
        pause = FIRST_PAUSE_S
        while True:
            try:
                with self._fatal():
                    await start(self._member)
            except MembershipError as error:
                if not isinstance(error.__cause__, KafkaConnectionError):
                    raise
                await asyncio.sleep(pause)
                pause = min(pause * 2, LONGEST_PAUSE_S)
            else:
                return

    def _check_rivals(self) -> None:
        """Of two live members with one instance id each takes the membership from the other at its next heartbeat."""
        coordinator, now = self._member._coordinator, asyncio.get_running_loop().time()
        member_id: str = "" if coordinator is None else coordinator.member_id
        if not member_id or member_id == self._member_id:
            return
        self._member_id = member_id
        self._joins = [joined for joined in self._joins if now - joined < RIVALRY_S] + [now]
        if len(self._joins) > JOINS_LIMIT:
            raise MembershipError(
                f"our membership in the group of {self._topic} was lost {JOINS_LIMIT} times within {RIVALRY_S:g} s: "
                f"another process has the same instance_id, or this one cannot keep its session"
            )

    def _leave_when_closed(self) -> None:
        """A static member stays in its group for a session time-out, so that a crash moves no partitions. When we end
        on purpose they must not wait for us, and aiokafka leaves only for a member without an instance id."""
        if (coordinator := self._member._coordinator) is not None:
            coordinator._group_instance_id = None

    @contextlib.contextmanager
    def _fatal(self) -> Iterator[None]:
        """What the client does not get over by itself."""
        try:
            yield
        except KafkaError as error:
            raise MembershipError(
                f"no member of the group of {self._topic} any more: {error!r}; has another process our instance_id?"
            ) from error

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
        if self._ending:
            return
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


def membership_problems(member: GroupMember | None) -> list[str]:
    """Why not every partition of ours is served; None is a member that its role has not made yet."""
    return ["joining: not started yet"] if member is None else member.problems()
