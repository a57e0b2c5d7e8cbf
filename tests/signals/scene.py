"""A log of events on a real broker, what is in it, and doors that lead to it."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gateway.contract.events import decode_event
from gateway.dnd.model import Event, Subject
from gateway.dnd.record import EMPTY, Record, fold
from gateway.localkafka import LocalKafka
from gateway.metrics import Metrics
from gateway.signals.broker_clock import BrokerClock, Offset
from gateway.signals.door import SignalDoor
from gateway.signals.drain import Drainer
from gateway.signals.hooks import StartCheck
from gateway.signals.publish import ASKS_TIME, DRAIN_DEADLINE_S, Publisher
from gateway.signals.resolve import Known
from gateway.signals.spool import Spool
from tests.kafka.outside import Outsider, clients_for, until
from tests.signals.people import STOPPED

PARTITIONS = 2


@dataclass(frozen=True, slots=True)
class Log:
    """One `dnd.events`, as others see it."""

    outsider: Outsider
    topic: str

    @classmethod
    def on(cls, kafka: LocalKafka, name: str, max_message_bytes: int = 1_000_000) -> Log:
        outsider = Outsider.of(kafka)
        outsider.create(name, PARTITIONS, message_timestamp_type="LogAppendTime", max_message_bytes=max_message_bytes)
        return cls(outsider, name)

    def events(self) -> list[tuple[Event, int]]:
        """Every event with its broker time, partition by partition."""
        records = self.outsider.read(self.topic, committed=False)
        return [(decode_event(record.value(), record.timestamp()[1]), record.timestamp()[1]) for record in records]

    def ids(self) -> dict[Subject, list[str]]:
        """The event ids of each subject, in order, each where it came first: that is where it counts. Without records
        that only ask for the brokers' time."""
        found: dict[Subject, dict[str, None]] = defaultdict(dict)
        for event, _ in self.events():
            if event.event_id != ASKS_TIME:
                found[event.subject][event.event_id] = None
        return {subject: list(ids) for subject, ids in found.items()}

    def record(self, subject: Subject) -> Record:
        record = EMPTY
        for event, broker_time in self.events():
            if event.subject == subject:
                record = fold(record, event, broker_time).record
        return record

    def holds(self, subject: Subject) -> bool:
        """Whether a STOP is in force."""
        register = self.record(subject).registers.get(STOPPED)
        return register is not None and register.in_force


@asynccontextmanager
async def at_work(*works: Coroutine[Any, Any, None]) -> AsyncIterator[None]:
    """Keep them going; what one dies of comes out here."""
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(work) for work in works]
        yield
        for task in tasks:
            task.cancel()


class SameClock(BrokerClock):
    """Of a machine whose clock is known to be the brokers', so that dates can be told to the millisecond."""

    @property
    def offset(self) -> Offset:
        return Offset(0, 0)


@asynccontextmanager
async def publisher_on(
    kafka: LocalKafka, topic: str, deadline_s: float = 20.0, brokers: BrokerClock | None = None
) -> AsyncIterator[Publisher]:
    """A long deadline, because a busy machine is no fault."""
    publisher = Publisher(clients_for(kafka), topic, deadline_s, brokers or SameClock())
    async with at_work(publisher.run()):
        yield publisher


class KnowsNothing:
    """A view that is not open: as after a start while Kafka is away."""

    async def known(self, subject: Subject) -> Known:
        return Known(EMPTY, fresh=False)

    def last_known(self, subject: Subject) -> Record:
        return EMPTY


@dataclass
class Knows(KnowsNothing):
    """A view with one record, vouched for or not."""

    record: Record
    fresh: bool = True

    async def known(self, subject: Subject) -> Known:
        return Known(self.record, self.fresh)

    def last_known(self, subject: Subject) -> Record:
        return self.record


@asynccontextmanager
async def spool_in(directory: Path) -> AsyncIterator[Spool]:
    spool = Spool(directory)
    await spool.open()
    try:
        yield spool
    finally:
        await spool.close()


@asynccontextmanager
async def draining(
    kafka: LocalKafka,
    topic: str,
    spool: Spool,
    deadline_s: float = DRAIN_DEADLINE_S,
    brokers: BrokerClock | None = None,
    start_check: StartCheck | None = None,
) -> AsyncIterator[Drainer]:
    publisher = Publisher(clients_for(kafka), topic, deadline_s, brokers or SameClock())
    drainer = Drainer(spool, publisher, start_check=start_check)
    async with at_work(publisher.run(), drainer.run()):
        yield drainer


async def drained(kafka: LocalKafka, topic: str, spool: Spool, **more: Any) -> None:
    """Returns when the spool is empty."""
    async with draining(kafka, topic, spool, **more) as drainer:
        await until(lambda: not spool.count, lambda: drainer.problem)


def door_to(publisher: Publisher, spool: Spool, records: KnowsNothing | None = None, **more: Any) -> SignalDoor:
    return SignalDoor(records or KnowsNothing(), publisher, spool, Metrics("test"), **more)
