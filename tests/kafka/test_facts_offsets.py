"""Facts about offsets: what an end is, and who sees it when."""

from __future__ import annotations

import asyncio
import statistics
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import OffsetOutOfRangeError

from gateway.localkafka import LocalKafka
from gateway.streams.clients import METADATA_MAX_AGE_MS
from gateway.streams.wire import HighWatermarksRequest, high_watermarks
from tests.kafka.outside import DEADLINE_S, Outsider, clients_for, started, until, until_awaited


@asynccontextmanager
async def reading(kafka: LocalKafka, partition: TopicPartition, **options: Any) -> AsyncIterator[AIOKafkaConsumer]:
    """A consumer without a group, from the beginning of the partition."""
    consumer = AIOKafkaConsumer(
        bootstrap_servers=kafka.bootstrap_servers, group_id=None, enable_auto_commit=False, **options
    )
    async with started(consumer):
        consumer.assign([partition])
        consumer.seek(partition, 0)
        yield consumer


async def test_k1_end_offsets_waits_behind_the_consumers_own_long_poll(kafka: LocalKafka, fresh_name: str) -> None:
    """K1: hence the barrier has a client of its own."""
    partition = TopicPartition(Outsider.of(kafka).create(fresh_name), 0)
    client = clients_for(kafka).barrier_client()
    shared, own = [], []
    async with started(client), reading(kafka, partition, fetch_max_wait_ms=1_500) as consumer:
        for _ in range(3):
            await consumer.getmany(timeout_ms=50)  # the next long poll is on its way
            began = time.monotonic()
            await consumer.end_offsets([partition])
            asked_apart = time.monotonic()
            answer = await client.send(client.get_random_node(), HighWatermarksRequest(fresh_name, {0: -1}))
            own.append(time.monotonic() - asked_apart)
            shared.append(asked_apart - began)
    assert high_watermarks(answer) == ({0: 0}, {})
    assert statistics.median(shared) > 0.5
    assert statistics.median(own) < 0.5


def test_k2_an_open_transaction_hides_acknowledged_records_from_read_committed_ends(
    kafka: LocalKafka, fresh_name: str
) -> None:
    """K2: hence the barrier asks for the high watermark, and events are written without transactions."""
    outsider = Outsider.of(kafka)
    outsider.create(fresh_name)
    outsider.produce(fresh_name, [b"before"])
    transaction = outsider.open_transaction(fresh_name, [b"open"], fresh_name)
    outsider.produce(fresh_name, [b"acknowledged"])
    try:
        assert outsider.end(fresh_name, committed=True) == 1
        assert outsider.end(fresh_name) == 3
        assert outsider.values(fresh_name) == [b"before"]
        assert b"acknowledged" in outsider.values(fresh_name, committed=False)
    finally:
        transaction.abort_transaction(DEADLINE_S)


async def test_k3_a_commit_that_is_acknowledged_is_not_visible_at_once(kafka: LocalKafka, fresh_name: str) -> None:
    """K3: hence signals are plain idempotent writes, and tests wait for what was committed."""
    partition = TopicPartition(Outsider.of(kafka).create(fresh_name), 0)
    clients = clients_for(kafka)
    producer, reader = clients.transactional_producer(fresh_name), clients.reader()
    hidden = 0
    async with started(producer, reader):
        for _ in range(500):
            await producer.begin_transaction()
            sent = await producer.send_and_wait(fresh_name, b"x", partition=0)
            await producer.commit_transaction()
            hidden += (await reader.end_offsets([partition]))[partition] <= sent.offset
            if hidden:
                break

        async def visible() -> bool:
            return bool((await reader.end_offsets([partition]))[partition] > sent.offset)

        await until_awaited(visible)
    assert hidden, "every commit was visible at once: the fact has changed"


async def test_k4_the_end_lies_behind_the_marker_so_only_positions_can_be_compared_with_it(
    kafka: LocalKafka, fresh_name: str
) -> None:
    """K4: "last record + 1 == end" never becomes true behind a transaction; "position >= end" does."""
    outsider = Outsider.of(kafka)
    partition = TopicPartition(outsider.create(fresh_name), 0)
    outsider.produce(fresh_name, [b"1", b"2"], transactional_id=fresh_name)
    await until(lambda: outsider.end(fresh_name) == 3)
    last = -1
    async with reading(kafka, partition, isolation_level="read_committed") as consumer:

        async def reached() -> bool:
            nonlocal last
            for record in (await consumer.getmany(timeout_ms=50)).get(partition, []):
                last = record.offset
            return bool(await consumer.position(partition) == 3)

        await until_awaited(reached)
    assert last == 1


async def test_k25_a_position_before_the_logs_start_is_an_error_and_nothing_is_skipped(
    kafka: LocalKafka, fresh_name: str
) -> None:
    """K25: with `auto_offset_reset="none"`, again and again until somebody decides what to do."""
    outsider = Outsider.of(kafka)
    partition = TopicPartition(outsider.create(fresh_name), 0)
    outsider.produce(fresh_name, [b"1", b"2", b"3"])
    outsider.delete_before(fresh_name, 2)
    reader = clients_for(kafka).reader()
    async with started(reader):
        reader.assign([partition])
        reader.seek(partition, 1)
        for _ in range(3):
            with pytest.raises(OffsetOutOfRangeError):
                await reader.getmany(timeout_ms=int(DEADLINE_S * 1000))
            assert await reader.position(partition) == 1


async def test_k26_added_partitions_are_seen_only_after_the_metadatas_age(kafka: LocalKafka, fresh_name: str) -> None:
    """K26: the default is five minutes, ours is written out."""
    outsider = Outsider.of(kafka)
    partition = TopicPartition(outsider.create(fresh_name), 0)
    short_ms = 200
    async with (
        reading(kafka, partition) as unhurried,
        reading(kafka, partition, metadata_max_age_ms=short_ms) as prompt,
    ):
        await asyncio.gather(unhurried.end_offsets([partition]), prompt.end_offsets([partition]))
        outsider.grow(fresh_name, 2)

        async def seen() -> bool:
            await unhurried.getmany(timeout_ms=10)
            return bool(prompt.partitions_for_topic(fresh_name) == {0, 1})

        await until_awaited(seen)
        assert unhurried.partitions_for_topic(fresh_name) == {0}
    assert METADATA_MAX_AGE_MS == 30_000
