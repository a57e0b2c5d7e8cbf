"""Lanes that fail once at a numbered step of the engine, before it has its effect or after."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from aiokafka import TopicPartition
from aiokafka.errors import KafkaError

from gateway.streams.clients import Clients
from gateway.streams.lane import Lane
from gateway.streams.resuming import CommittedOffset, FindOutputsEnd


class Step(StrEnum):
    """The steps at the top of `gateway/streams/lane.py` that talk to Kafka."""

    FENCE_FIRST = "1 the first producer starts"
    FENCE_SECOND = "1 the second producer starts"
    COMMITTED = "2 the committed offset is read"
    SEEK = "3 the reader is sought to it"
    READ = "4 records are read"
    BEGIN = "7 a transaction begins"
    SEND = "8 a batch is sent"
    DELIVERED = "9 a batch is acknowledged"
    OFFSETS = "10 the offset goes into the transaction"
    COMMIT = "11 the transaction is committed"


class When(StrEnum):
    BEFORE = "before"
    AFTER = "after"


class InjectedError(KafkaError):
    """What the step fails with."""


@dataclass
class Fault:
    """Strikes once, at the `at`-th time (from 0) that its step comes by; those of step 1 to 3 come once per lane."""

    step: Step
    when: When
    at: int = 1
    come_by: int = 0
    struck: bool = False

    def new_lane(self, clients: Clients, group_id: str, partition: TopicPartition) -> Lane:
        return _BreakingLane(clients, group_id, partition, self)

    def around(self, step: Step, call: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
        """The call, which fails when it is this fault's time."""

        async def faulty(*args: Any, **kwargs: Any) -> Any:
            strikes = self._strikes(step)
            if strikes and self.when is When.BEFORE:
                raise InjectedError(step)
            result = await call(*args, **kwargs)
            if strikes:
                raise InjectedError(step)
            return result

        return faulty

    def _strikes(self, step: Step) -> bool:
        if step is not self.step or self.struck:
            return False
        self.come_by += 1
        self.struck = self.come_by > self.at
        return self.struck


@dataclass
class _BreakingClients:
    """Builds producers that fail to start."""

    clients: Clients
    fault: Fault
    started: int = field(default=0)

    def transactional_producer(self, transactional_id: str) -> Any:
        producer: Any = self.clients.transactional_producer(transactional_id)
        step = (Step.FENCE_FIRST, Step.FENCE_SECOND)[self.started]
        self.started += 1
        producer.start = self.fault.around(step, producer.start)
        return producer

    def __getattr__(self, name: str) -> Any:
        return getattr(self.clients, name)


class _BreakingLane(Lane):
    def __init__(self, clients: Clients, group_id: str, partition: TopicPartition, fault: Fault) -> None:
        super().__init__(_BreakingClients(clients, fault), group_id, partition)  # type: ignore[arg-type]  # a stand-in
        self._fault = fault
        reader: Any = self._reader
        reader.getmany = fault.around(Step.READ, reader.getmany)
        seek = reader.seek

        def sought(*args: Any) -> None:
            if fault._strikes(Step.SEEK):
                raise InjectedError(Step.SEEK)
            seek(*args)

        reader.seek = sought

    async def open(self, committed: CommittedOffset, outputs_end: FindOutputsEnd) -> None:
        await super().open(self._fault.around(Step.COMMITTED, committed), outputs_end)
        for each in self._producers:
            producer: Any = each
            producer.begin_transaction = self._fault.around(Step.BEGIN, producer.begin_transaction)
            producer.send_batch = self._fault.around(Step.SEND, self._acknowledging(producer.send_batch))
            producer.send_offsets_to_transaction = self._fault.around(
                Step.OFFSETS, producer.send_offsets_to_transaction
            )
            producer.commit_transaction = self._fault.around(Step.COMMIT, producer.commit_transaction)

    def _acknowledging(self, send_batch: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
        async def sent(*args: Any, **kwargs: Any) -> Any:
            delivered = await send_batch(*args, **kwargs)
            if self._fault.step is Step.DELIVERED:

                async def acknowledged() -> Any:
                    return await delivered

                return asyncio.ensure_future(self._fault.around(Step.DELIVERED, acknowledged)())
            return delivered

        return sent
