"""The role `dispatch`: the last hop. What the guard forwarded reaches its provider, checked again before every try.

The parts: the group gives this process partition numbers of `outbound.receipts`; each has a `Partition`, which reads
the same number of every `outbound.<channel>`. Its messages go through lines and accounts that all partitions share
(`pool`), where each try is checked (`checking`) and called (`connecting`), and back as receipts.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Sequence

from consumers.dispatch.account import Flights, Means
from consumers.dispatch.checking import Checker
from consumers.dispatch.connecting import Caller
from consumers.dispatch.item import LineId
from consumers.dispatch.partition import Partition
from consumers.dispatch.pool import Pool
from consumers.dispatch.session import Part
from consumers.dispatch.telling import Telling
from consumers.dispatch.trying import Tried, Trier
from gateway.contract.receipts import Receipt
from gateway.dnd.model import Channel
from gateway.metrics import (
    DISPATCH_ACCOUNTS,
    DISPATCH_CHECK_AGE,
    DISPATCH_FLYING,
    DISPATCH_MESSAGES,
    DISPATCH_PASSED_OVER,
    DISPATCH_TRIES,
    RECEIPTS,
    Samples,
)
from gateway.roles import Services
from gateway.streams.group import GroupMember, membership_problems
from gateway.streams.settling_worker import Serve, settling_member
from gateway.streams.worker import WorkerSettings


def build(services: Services) -> DispatchRole:
    return DispatchRole(services)


class DispatchRole:
    """Serves the partition numbers the group assigns to this process."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._fresh = services.fresh_state()
        self._integrations = services.integrations_state()
        self._member: GroupMember | None = None
        self._telling: Telling | None = None
        self._pool: Pool | None = None
        self._flights = Flights()
        self._partitions: dict[int, Partition] = {}
        self._caller = Caller(services.settings.dispatch.call_timeout_ms / 1000)

    async def run(self, stop: asyncio.Event) -> None:
        if not (await self._fresh.loaded(stop) and await self._integrations.loaded(stop)):
            return
        services, metrics = self._services, self._services.metrics
        checker = Checker(self._fresh.view, self._fresh.barrier, self._integrations.unavailable)
        telling = self._telling = Telling(services, self._fresh, checker)
        trier = Trier(checker, self._caller, lambda age_s: metrics.observe(DISPATCH_CHECK_AGE, age_s))
        self._caller.open()
        try:
            async with asyncio.TaskGroup() as group:
                means = Means(
                    group,
                    trier,
                    self._caller,
                    telling.publish,
                    telling.announce,
                    self._tried,
                    self._connected,
                    self._flights,
                )
                pool = self._pool = Pool(services.accounts, means, self._integrations.found_broken)
                working = [
                    group.create_task(telling.run(), name="dispatch's telling"),
                    group.create_task(pool.run(), name="dispatch's accounts"),
                ]
                self._watch()
                self._member = self._new_member(pool)
                await self._member.run(stop)
                for task in working:
                    task.cancel()
        finally:
            await self._caller.close()

    def problems(self) -> list[str]:
        telling = [] if self._telling is None else self._telling.problems()
        return [
            *self._fresh.problems(),
            *self._integrations.problems(),
            *membership_problems(self._member),
            *telling,
        ]

    def _new_member(self, pool: Pool) -> GroupMember:
        services, settings = self._services, self._services.settings
        worker_settings = WorkerSettings(
            group_id=f"{settings.topics.prefix}sendguard.dispatch",
            batch_records=settings.guard.batch_records,
            session_timeout_ms=settings.guard.session_timeout_ms,
        )

        def serve(partition: int) -> Serve:
            served = self._partitions[partition] = Partition(self._part(partition, pool))
            return served.serve

        topics = services.topics
        return settling_member(
            services.clients, worker_settings, settings.instance_id, topics.receipts, topics.outputs, serve
        )

    def _part(self, partition: int, pool: Pool) -> Part:
        topics = self._services.topics
        return Part(
            partition,
            topics.receipts,
            {topics.output(channel): channel for channel in Channel},
            pool,
            self._services.accounts.default_region,
            self._settled,
            lambda: self._services.metrics.count(DISPATCH_PASSED_OVER),
        )

    def _connected(self, line: LineId) -> bool:
        return line not in self._integrations.unavailable()

    def _tried(self, line: LineId, tried: Tried) -> None:
        self._services.metrics.count(DISPATCH_TRIES, labels=(line[1], tried.word))

    def _settled(self, receipts: Sequence[Receipt]) -> None:
        tally = Counter((receipt.channel or "", receipt.outcome.value) for receipt in receipts)
        self._services.metrics.count_each(RECEIPTS, tally)

    def _watch(self) -> None:
        metrics = self._services.metrics
        metrics.watch(DISPATCH_FLYING, lambda: {(): self._flights.count})
        metrics.watch(DISPATCH_MESSAGES, self._messages)
        metrics.watch(DISPATCH_ACCOUNTS, self._accounts)

    def _messages(self) -> Samples:
        found = [served.session for served in self._partitions.values() if served.session is not None]
        parked = sum(session.parking.count for session in found)
        return {
            ("parked",): parked,
            ("in_memory",): sum(session.parking.in_memory for session in found),
            ("pending",): sum(session.pending for session in found),
        }

    def _accounts(self) -> Samples:
        accounts = [] if self._pool is None else list(self._pool.accounts.values())
        broken = sum(account.health.broken is not None for account in accounts)
        opened = sum(account.breaker.trips > 0 for account in accounts)
        return {("all",): len(accounts), ("broken",): broken, ("breaker_open",): opened}
