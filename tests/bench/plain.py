"""Variants d and e: no guard at all, and what people write first.

Variant d is the floor: batches in, batches out, nothing looked at, at least once.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer

from gateway.contract.topics import Topics
from gateway.dnd.model import Channel

BATCH_RECORDS = 2_000
"""As the guard's; per partition for the floor, in all for the others."""

BATCH_BYTES = 512 * 1024
FLUSH_EVERY = 1_000

Decided = Callable[[int], None]


def idempotent_producer(bootstrap: str) -> AIOKafkaProducer:
    """The guard's producer settings without a transactional id."""
    return AIOKafkaProducer(
        bootstrap_servers=bootstrap,
        acks="all",
        enable_idempotence=True,
        compression_type="zstd",
        max_batch_size=BATCH_BYTES,
        linger_ms=0,
    )


def group_consumer(bootstrap: str, topic: str, group_id: str) -> AIOKafkaConsumer:
    """A group's consumer from the beginning, committing by hand."""
    return AIOKafkaConsumer(
        topic,
        bootstrap_servers=bootstrap,
        group_id=group_id,
        enable_auto_commit=False,
        auto_offset_reset="earliest",
        isolation_level="read_committed",
        max_partition_fetch_bytes=1024 * 1024,
    )


async def pass_through(bootstrap: str, topics: Topics, group_id: str, decided: Decided, stop: asyncio.Event) -> None:
    """d: forwards everything."""
    consumer, producer = group_consumer(bootstrap, topics.requests, group_id), idempotent_producer(bootstrap)
    output = topics.output(Channel.SMS)
    await producer.start()
    await consumer.start()
    try:
        while not stop.is_set():
            fetched = await consumer.getmany(timeout_ms=100, max_records=BATCH_RECORDS)
            sent = []
            for tp, records in fetched.items():
                batch = producer.create_batch()
                for record in records:
                    if batch.append(timestamp=record.timestamp, key=record.key, value=record.value) is None:
                        sent.append(await producer.send_batch(batch, output, partition=tp.partition))
                        batch = producer.create_batch()
                        batch.append(timestamp=record.timestamp, key=record.key, value=record.value)
                sent.append(await producer.send_batch(batch, output, partition=tp.partition))
            for delivered in sent:
                await delivered
            if fetched:
                await consumer.commit()
                decided(sum(map(len, fetched.values())))
    finally:
        await consumer.stop()
        await producer.stop()


class HeldPhones:
    """What people write first: a dict of the held numbers, filled by a task that follows `dnd.events`."""

    def __init__(self, bootstrap: str, topics: Topics) -> None:
        self._consumer = AIOKafkaConsumer(
            topics.dnd_events, bootstrap_servers=bootstrap, group_id=None, auto_offset_reset="earliest"
        )
        self.held: dict[str, bool] = {}
        self._following: asyncio.Task[None] | None = None

    async def load(self) -> None:
        """Read the log to its present end, then go on in the background."""
        await self._consumer.start()
        ends = await self._consumer.end_offsets(self._consumer.assignment())
        while any([await self._consumer.position(tp) < end for tp, end in ends.items()]):
            await self._poll()
        self._following = asyncio.create_task(self._follow(), name="held phones")

    async def _follow(self) -> None:
        while True:
            await self._poll()

    async def _poll(self) -> None:
        for records in (await self._consumer.getmany(timeout_ms=100)).values():
            for record in records:
                event = json.loads(record.value or b"")
                self.held[event["subject"][2]] = event["type"] == "place"

    async def close(self) -> None:
        if self._following is not None:
            self._following.cancel()
            await asyncio.gather(self._following, return_exceptions=True)
        await self._consumer.stop()


async def first_try(
    bootstrap: str,
    topics: Topics,
    group_id: str,
    held: HeldPhones,
    decided: Decided,
    stop: asyncio.Event,
    *,
    wait: bool,
) -> None:
    """e: one message after the other. `wait`: `send_and_wait`, else `send` and a flush now and then."""
    consumer = group_consumer(bootstrap, topics.requests, group_id)
    producer = AIOKafkaProducer(bootstrap_servers=bootstrap, acks="all", enable_idempotence=True)
    output = topics.output(Channel.SMS)
    await producer.start()
    await consumer.start()
    undecided = 0
    try:
        while not stop.is_set():
            try:
                record = await asyncio.wait_for(consumer.getone(), 0.2)
            except TimeoutError:
                undecided = await _flushed(consumer, producer, undecided, decided)
                continue
            request = json.loads(record.value or b"")
            if not held.held.get(request["to"]):
                if wait:
                    await producer.send_and_wait(output, record.value, key=record.key, partition=record.partition)
                else:
                    await producer.send(output, record.value, key=record.key, partition=record.partition)
            undecided += 1
            if undecided == (100 if wait else FLUSH_EVERY):
                undecided = await _flushed(consumer, producer, undecided, decided)
    finally:
        await consumer.stop()
        await producer.stop()


async def _flushed(consumer: AIOKafkaConsumer, producer: AIOKafkaProducer, undecided: int, decided: Decided) -> int:
    if undecided:
        await producer.flush()
        await consumer.commit()
        decided(undecided)
    return 0
