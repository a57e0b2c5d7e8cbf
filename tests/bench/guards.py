"""Variants a, b and c: our guard as it is, without its barrier, and without transactions."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition

from gateway.accounts import Accounts
from gateway.guard.deciding import Tally
from gateway.guard.guard import Guard
from gateway.metrics import BATCHES, DECISIONS, Metrics
from gateway.roles import Services
from gateway.settings import Settings
from gateway.streams.barrier import Barrier
from gateway.streams.clients import Clients
from gateway.streams.group import GroupMember
from gateway.streams.lane import DELIVERY_DEADLINE_S, Lane
from gateway.streams.outputs import Outputs
from gateway.streams.resuming import CommittedOffset, FindOutputsEnd
from gateway.streams.worker import PartitionWorker, WorkerSettings
from tests.bench.plain import idempotent_producer


class NoBarrier:
    """Vouches for freshness without asking anybody."""

    async def passed(self) -> None:
        return


class FromTheBeginning(Guard):
    """The topics hold the decisions of other variants, behind which a guard without offsets would rightly go on."""

    async def outputs_end(self, partition: int) -> int | None:
        return None


class AtLeastOnceLane(Lane):
    """One idempotent producer and a plain offset commit by the member: outputs and offset do not commit together."""

    def __init__(
        self, bootstrap: str, member: AIOKafkaConsumer, clients: Clients, group_id: str, partition: TopicPartition
    ) -> None:
        super().__init__(clients, group_id, partition)
        self._bootstrap = bootstrap
        self._committing_member = member
        self._input = partition

    async def open(self, committed: CommittedOffset, outputs_end: FindOutputsEnd) -> None:
        self._producers.append(idempotent_producer(self._bootstrap))
        await self._producers[0].start()
        await self._reader.start()
        self._reader.assign([self._input])
        begin = (await self._reader.beginning_offsets([self._input]))[self._input]
        self._reader.seek(self._input, await committed(self._input) or begin)

    async def deliver(self, outputs: Outputs, next_offset: int) -> None:
        producer: AIOKafkaProducer = self._producers[0]
        async with asyncio.timeout(DELIVERY_DEADLINE_S):
            sent = [
                await producer.send_batch(batch, topic, partition=outputs.partition)
                for topic, batch in outputs.batches()
            ]
            for delivered in sent:
                await delivered
            await self._committing_member.commit({self._input: next_offset})


class GuardVariant:
    """The guard's parts wired as its role wires them, with the barrier or the lane left out."""

    def __init__(self, settings: Settings, *, barrier: bool, transactions: bool) -> None:
        self._settings = settings
        self._with_barrier = barrier
        self._transactions = transactions
        self.metrics = Metrics("bench")
        self._services = Services(settings, Accounts.load(None), self.metrics)
        self._fresh = self._services.fresh_state()
        self._running: asyncio.Task[None] | None = None

    @property
    def barrier(self) -> Barrier:
        return self._fresh.barrier

    async def load(self) -> None:
        """Open the view and follow the log to its end."""
        await self._fresh.open()
        self._running = asyncio.create_task(self._fresh.run(), name="fresh state")
        while self._fresh.problems():
            if self._running.done():
                self._running.result()
            await asyncio.sleep(0.005)

    async def run(self, decided: Callable[[int], None], stop: asyncio.Event) -> None:
        """Decide until `stop`; `decided` hears the size of each committed batch."""
        services, settings = self._services, self._settings

        def observe(tally: Tally) -> None:
            self.metrics.count(BATCHES)
            self.metrics.count_each(DECISIONS, tally)
            decided(tally.total())

        guard = FromTheBeginning(
            services.clients,
            services.topics,
            self._fresh.view,
            self._fresh.barrier if self._with_barrier else NoBarrier(),
            services.accounts.default_region,
            observe,
        )
        worker_settings = WorkerSettings(
            settings.guard.group_id, settings.guard.batch_records, settings.guard.session_timeout_ms
        )
        member = services.clients.member(settings.guard.group_id, None, settings.guard.session_timeout_ms)

        def start(partition: TopicPartition, consumer: AIOKafkaConsumer) -> PartitionWorker:
            def lane(clients: Clients, group_id: str, tp: TopicPartition) -> Lane:
                if self._transactions:
                    return Lane(clients, group_id, tp)
                return AtLeastOnceLane(settings.kafka.bootstrap_servers, consumer, clients, group_id, tp)

            return PartitionWorker(
                services.clients, worker_settings, partition, consumer.committed, guard, new_lane=lane
            )

        await GroupMember(member, services.topics.requests, start).run(stop)

    async def close(self) -> None:
        if self._running is not None:
            self._running.cancel()
            await asyncio.gather(self._running, return_exceptions=True)
        self._fresh.close()
