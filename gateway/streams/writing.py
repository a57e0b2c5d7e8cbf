"""Writing records that must be acknowledged, one producer for all of them: for the shell, not for the hot path."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from typing import NamedTuple

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError, MessageSizeTooLargeError, RecordListTooLargeError
from aiokafka.structs import RecordMetadata

from gateway.contract.events import encode_event, event_key
from gateway.dnd.model import Event
from gateway.streams.clients import SIGNAL_DELIVERY_MS, Clients, close
from gateway.streams.closing import start
from gateway.streams.topics import KafkaUnreachableError

IN_FLIGHT = 2_000
"""Records handed to the producer before their acknowledgements are awaited: bounds what an error leaves unknown."""

START_DEADLINE_S = 15.0
"""For the first answer of a broker."""

ANSWER_DEADLINE_S = SIGNAL_DELIVERY_MS / 1000 + 5.0
"""The client's own limit and some room: beyond it the client is stuck, not the broker slow (K15)."""


class Unwritten(NamedTuple):
    """A record as it is to be written."""

    key: bytes | None
    value: bytes


class TooLargeError(Exception):
    """The topic does not take a record of this size; `index` is its place among those given, those before are in."""

    def __init__(self, index: int, size: int) -> None:
        super().__init__(f"a record of {size} bytes is larger than the topic takes")
        self.index = index


class Writer:
    """Writes to one topic, idempotent and acknowledged by all in-sync replicas; made by `writer`."""

    def __init__(self, producer: AIOKafkaProducer, topic: str) -> None:
        self._producer = producer
        self._topic = topic
        self.acknowledged = 0

    async def write(self, records: Iterable[Unwritten]) -> int:
        """Write all, in order; returns how many once Kafka has acknowledged every one.

        KafkaUnreachableError or TooLargeError: those after the `acknowledged` first may or may not be written.
        """
        begun = self.acknowledged
        pending: list[tuple[int, asyncio.Future[RecordMetadata]]] = []
        for record in records:
            if len(pending) == IN_FLIGHT:
                await self._answered(pending, begun)
                pending = []
            try:
                async with asyncio.timeout(ANSWER_DEADLINE_S):
                    future = await self._producer.send(self._topic, record.value, record.key)
            except MessageSizeTooLargeError:
                await self._answered(pending, begun)
                raise TooLargeError(self.acknowledged - begun, len(record.value)) from None
            except (KafkaError, OSError, TimeoutError) as error:
                raise KafkaUnreachableError(f"{self._topic} takes no records: {error!r}") from error
            pending.append((len(record.value), future))
        await self._answered(pending, begun)
        return self.acknowledged - begun

    async def _answered(self, pending: list[tuple[int, asyncio.Future[RecordMetadata]]], begun: int) -> None:
        for size, future in pending:
            try:
                async with asyncio.timeout(ANSWER_DEADLINE_S):
                    await future
            except (MessageSizeTooLargeError, RecordListTooLargeError):
                raise TooLargeError(self.acknowledged - begun, size) from None
            except (KafkaError, OSError, TimeoutError) as error:
                raise KafkaUnreachableError(f"{self._topic} has not acknowledged: {error!r}") from error
            self.acknowledged += 1


@asynccontextmanager
async def writer(clients: Clients, topic: str) -> AsyncIterator[Writer]:
    """A writer to the topic. KafkaUnreachableError when no broker answers."""
    producer = clients.signal_producer()
    try:
        try:
            async with asyncio.timeout(START_DEADLINE_S):
                await start(producer)
        except (KafkaError, OSError, TimeoutError) as error:
            raise KafkaUnreachableError(f"no broker answers: {error!r}") from error
        yield Writer(producer, topic)
    finally:
        await close(producer)


def event_record(event: Event, recorded_at: int) -> Unwritten:
    """An event of `dnd.events`, dated by the writer's clock (ms)."""
    return Unwritten(event_key(event.subject), encode_event(event, recorded_at))
