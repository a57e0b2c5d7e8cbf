"""Facts about transactions: what a commit means, who is fenced, and what has to be written twice."""

from __future__ import annotations

import asyncio
import itertools
import os
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.errors import KafkaError, MessageSizeTooLargeError, ProducerFenced
from aiokafka.producer import sender
from aiokafka.producer.transaction_manager import TransactionManager

from gateway.localkafka import LocalKafka
from gateway.streams.lane import RECORDS_BEFORE_RENEWAL
from tests.kafka.outside import DEADLINE_S, Outsider, clients_for, started, until

SMALL_BYTES = 2_000
"""`max.message.bytes` of a topic that refuses what is larger."""

MOST_AT_ONCE = 10_000_000
"""Records of one delivery: far more than any batch has."""


@asynccontextmanager
async def producing(kafka: LocalKafka, *transactional_ids: str) -> AsyncIterator[Sequence[AIOKafkaProducer]]:
    """Ours, one after the other; all are stopped afterwards."""
    producers = [clients_for(kafka).transactional_producer(identity) for identity in transactional_ids]
    async with started(*producers):
        yield producers


async def commit(producer: AIOKafkaProducer, topic: str, values: Sequence[bytes], group: str, offset: int) -> None:
    """Outputs and an input offset in one transaction, as it is to be done."""
    await producer.begin_transaction()
    for value in values:
        await producer.send_and_wait(topic, value, partition=0)
    await producer.send_offsets_to_transaction({TopicPartition(topic, 0): offset}, group)
    await producer.commit_transaction()


@pytest.mark.parametrize("way", ["send", "send_batch", "async with"])
async def test_k5_a_commit_ignores_batches_that_failed(kafka: LocalKafka, fresh_name: str, way: str) -> None:
    """K5: the offset is committed and the output is missing, unless every send is awaited before."""
    outsider = Outsider.of(kafka)
    outsider.create(fresh_name, max_message_bytes=SMALL_BYTES)
    group, partition = f"{fresh_name}-group", TopicPartition(fresh_name, 0)
    too_large = os.urandom(2 * SMALL_BYTES)
    async with producing(kafka, fresh_name) as (producer,):
        if way == "async with":
            async with producer.transaction():
                sent = await producer.send(fresh_name, too_large, partition=0)
                await producer.send_offsets_to_transaction({partition: 7}, group)
        else:
            await producer.begin_transaction()
            if way == "send":
                sent = await producer.send(fresh_name, too_large, partition=0)
            else:
                batch = producer.create_batch()
                batch.append(timestamp=None, key=None, value=too_large)
                sent = await producer.send_batch(batch, fresh_name, partition=0)
            await producer.send_offsets_to_transaction({partition: 7}, group)
            await producer.commit_transaction()
        with pytest.raises(MessageSizeTooLargeError):
            await sent
    await until(lambda: outsider.committed_offset(group, fresh_name) == 7)  # K7: not at once
    assert outsider.values(fresh_name) == []


async def test_k6_a_zombie_with_an_id_of_its_own_writes_twice_with_the_partitions_id_it_is_fenced(
    kafka: LocalKafka, fresh_name: str
) -> None:
    """K6: aiokafka sends no group generation (KIP-447), so ids belong to the input partition."""
    outsider = Outsider.of(kafka)
    outsider.create(fresh_name)
    async with producing(kafka, f"{fresh_name}-instance-1", f"{fresh_name}-instance-2") as (zombie, successor):
        await commit(successor, fresh_name, [b"decision"], fresh_name, 1)
        await commit(zombie, fresh_name, [b"decision"], fresh_name, 1)
    await until(lambda: outsider.values(fresh_name) == [b"decision"] * 2)
    async with producing(kafka, f"{fresh_name}-0", f"{fresh_name}-0") as (zombie, successor):
        await commit(successor, fresh_name, [b"next"], fresh_name, 2)
        with pytest.raises(ProducerFenced):
            await commit(zombie, fresh_name, [b"next"], fresh_name, 2)
    await until(lambda: outsider.values(fresh_name) == [b"decision", b"decision", b"next"])


async def committed_right_after(kafka: LocalKafka, topic: str, *, fenced_first: bool, rounds: int) -> list[bool]:
    """Whether the offset that is read after an acknowledged commit is the new one, round by round."""
    clients, partition = clients_for(kafka), TopicPartition(topic, 0)
    member = clients.member(f"{topic}-group", None, 10_000)  # without a subscription it stays outside the group
    seen = []
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(started(member))
        producer = clients.transactional_producer(topic)
        await stack.enter_async_context(started(producer))
        for number in range(1, rounds + 1):
            await commit(producer, topic, [b"x"], f"{topic}-group", number)
            if fenced_first:
                producer = clients.transactional_producer(topic)
                await stack.enter_async_context(started(producer))
            seen.append(await member.committed(partition) == number)
    return seen


async def test_k7_a_committed_offset_may_be_the_old_one_but_never_after_fencing(
    kafka: LocalKafka, fresh_name: str
) -> None:
    """K7: hence fence, then read the committed offset, then seek."""
    Outsider.of(kafka).create(fresh_name)
    assert not all(await committed_right_after(kafka, fresh_name, fenced_first=False, rounds=100))
    assert all(await committed_right_after(kafka, fresh_name, fenced_first=True, rounds=20))


async def test_k10_what_is_read_again_while_its_batch_is_in_flight_is_written_twice(
    kafka: LocalKafka, fresh_name: str
) -> None:
    """K10: the same producer writes it twice and no broker can fence that: one owner of seek, read and send."""
    outsider = Outsider.of(kafka)
    outsider.create(fresh_name)
    outputs, partition = outsider.create(f"{fresh_name}-out"), TopicPartition(fresh_name, 0)
    outsider.produce(fresh_name, [b"request"])
    reader: AIOKafkaConsumer = clients_for(kafka).reader()
    async with started(reader), producing(kafka, fresh_name) as (producer,):
        reader.assign([partition])
        await producer.begin_transaction()
        in_flight = []
        for _ in range(2):
            reader.seek(partition, 0)  # a second owner, or a rebalance, seeks back to the committed offset
            record = await reader.getone()
            in_flight.append(await producer.send(outputs, record.value, partition=0))
        await asyncio.gather(*in_flight)
        await producer.commit_transaction()
    await until(lambda: outsider.values(outputs) == [b"request"] * 2)


async def seconds_for(transactions: int, producers: Sequence[AIOKafkaProducer], topic: str) -> float:
    began = time.monotonic()
    for producer, number in zip(itertools.cycle(producers), range(transactions), strict=False):
        await commit(producer, topic, [b"x"], topic, number)
    return time.monotonic() - began


async def test_k11_a_transaction_right_after_another_on_the_same_id_waits_20_ms(
    kafka: LocalKafka, fresh_name: str
) -> None:
    """K11: hence two producers used in turn."""
    Outsider.of(kafka).create(fresh_name)
    assert sender.BACKOFF_OVERRIDE == 0.02
    async with producing(kafka, f"{fresh_name}-0", f"{fresh_name}-1") as producers:
        await seconds_for(4, producers, fresh_name)
        one = two = 0.0
        for _ in range(5):
            one += await seconds_for(10, producers[:1], fresh_name)
            two += await seconds_for(10, producers, fresh_name)
    assert two < one, f"50 transactions: {one:.2f} s on one producer, {two:.2f} s on two in turn"


async def test_k12_sequence_numbers_go_negative_and_the_broker_refuses_every_later_send(
    kafka: LocalKafka, fresh_name: str
) -> None:
    """K12: hence producers are renewed long before."""
    Outsider.of(kafka).create(fresh_name)
    partition = TopicPartition(fresh_name, 0)
    producer = clients_for(kafka).signal_producer()
    async with started(producer):
        numbers: TransactionManager = producer._txn_manager
        numbers.increment_sequence_number(partition, 2**31 - 1)
        await asyncio.wait_for(producer.send_and_wait(fresh_name, b"the last one", partition=0), DEADLINE_S)
        assert numbers.sequence_number(partition) == -(2**31)
        for _ in range(2):
            with pytest.raises(KafkaError):
                await asyncio.wait_for(producer.send_and_wait(fresh_name, b"refused", partition=0), DEADLINE_S)
    assert RECORDS_BEFORE_RENEWAL + MOST_AT_ONCE < 2**31
