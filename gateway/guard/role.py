"""The role `guard`: the group's member, a worker for each partition it is given, and what is measured of them."""

from __future__ import annotations

import asyncio
import time
from collections import Counter

from gateway.guard.deciding import Tally
from gateway.guard.guard import Guard
from gateway.metrics import BATCHES, DECISIONS, UNDECIDED_AGE, UNDECIDED_RATIO, WORKERS, Samples
from gateway.roles import Services
from gateway.streams.group import GroupMember, group_member, membership_problems
from gateway.streams.worker import PartitionWorker, WorkerSettings, WorkerState


def build(services: Services) -> GuardRole:
    return GuardRole(services)


class GuardRole:
    """Decides the requests of the partitions the group assigns to this process."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._fresh = services.fresh_state()
        self._integrations = services.integrations_state()
        self._member: GroupMember | None = None

    async def run(self, stop: asyncio.Event) -> None:
        if not (await self._fresh.loaded(stop) and await self._integrations.loaded(stop)):
            return
        services, settings = self._services, self._services.settings
        guard = Guard(
            services.clients,
            services.topics,
            self._fresh.view,
            self._fresh.barrier,
            services.accounts.default_region,
            self._decided,
            self._integrations.unavailable,
        )
        worker_settings = WorkerSettings(
            group_id=settings.guard.group_id,
            batch_records=settings.guard.batch_records,
            session_timeout_ms=settings.guard.session_timeout_ms,
        )
        self._member = group_member(
            services.clients, worker_settings, settings.instance_id, services.topics.requests, guard
        )
        self._watch()
        await self._member.run(stop)

    def problems(self) -> list[str]:
        return self._fresh.problems() + self._integrations.problems() + membership_problems(self._member)

    def _decided(self, tally: Tally) -> None:
        self._services.metrics.count(BATCHES)
        self._services.metrics.count_each(DECISIONS, tally)

    def _watch(self) -> None:
        metrics = self._services.metrics
        metrics.watch(WORKERS, self._workers_by_state)
        metrics.watch(UNDECIDED_AGE, self._undecided_ages)
        metrics.watch(UNDECIDED_RATIO, self._undecided_ratios)

    def _owned(self) -> list[PartitionWorker]:
        return [] if self._member is None else list(self._member.workers.values())

    def _workers_by_state(self) -> Samples:
        states = Counter(worker.state for worker in self._owned())
        return {(state.value,): states[state] for state in WorkerState}

    def _undecided_ages(self) -> Samples:
        return {(str(worker.partition.partition),): _age(worker) for worker in self._owned()}

    def _undecided_ratios(self) -> Samples:
        retention = self._services.settings.topics.request_retention_ms / 1000
        return {labels: age / retention for labels, age in self._undecided_ages().items()}


def _age(worker: PartitionWorker) -> float:
    """Of the oldest request it has not decided, in seconds; 0 when none waits. Two clocks: the broker's and ours."""
    oldest = worker.oldest_undecided
    return 0.0 if oldest is None else max(0.0, time.time() - oldest / 1000)
