"""Facts about clients and the cluster: what is named too early, what does not raise, what it costs."""

from __future__ import annotations

import asyncio
import inspect
import os
import time
from collections.abc import Callable
from typing import Any

import pytest
from aiokafka import TopicPartition
from aiokafka.admin import NewTopic
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.codec import lz4_encode, zstd_encode
from aiokafka.producer.producer import AIOKafkaProducer

from gateway.localkafka import LocalKafka
from gateway.streams.wire import HighWatermarksRequest, TopicMetadataRequest, high_watermarks, topic_metadata
from tests.kafka.outside import Outsider, clients_for, started


async def test_k15_a_dead_sender_task_is_silent(kafka: LocalKafka, fresh_name: str) -> None:
    """K15: a send never ends, so every produce call has a deadline."""
    Outsider.of(kafka).create(fresh_name)
    producer = clients_for(kafka).signal_producer()
    async with started(producer):
        await producer.send_and_wait(fresh_name, b"x", partition=0)
        sender: Any = producer._sender
        sender._sender_task.cancel()
        sent = await producer.send(fresh_name, b"x", partition=0)
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(asyncio.shield(sent), 1)


async def test_k18_a_new_topics_leader_is_named_before_it_is_ready(kafka: LocalKafka, fresh_name: str) -> None:
    """K18: hence any error of a leader means hold and ask again, never an end."""
    clients = clients_for(kafka)
    admin, client = clients.admin(), clients.barrier_client()
    errors: list[int] = []
    async with started(admin, client):
        node = client.get_random_node()
        for number in range(200):
            topic = f"{fresh_name}-{number}"
            await admin.create_topics([NewTopic(topic, 5, 1)])
            metadata = topic_metadata(await client.send(node, TopicMetadataRequest(topic)))
            named = {
                partition: leadership.epoch
                for partition, leadership in metadata.partitions.items()
                if leadership.leader == node
            }
            _, refused = high_watermarks(await client.send(node, HighWatermarksRequest(topic, named)))
            errors += refused.values()
            await admin.delete_topics([topic])
            if errors:
                break
    assert errors, "every leader was ready when it was named: the fact has changed"


async def test_k22_admin_calls_do_not_raise(kafka: LocalKafka, fresh_name: str) -> None:
    """K22: hence every error field is read."""
    exists, bad_replication, bad_config, unknown = 36, 38, 40, 3
    name = f"{fresh_name}-new"
    topics = [
        NewTopic(Outsider.of(kafka).create(fresh_name), 1, 1),
        NewTopic(f"{fresh_name}-replicas", 1, 3),
        NewTopic(f"{fresh_name}-config", 1, 1, topic_configs={"cleanup.policy": "nonsense"}),
        NewTopic(name, 1, 1),
    ]
    admin = clients_for(kafka).admin()
    async with started(admin):
        created: Any = await admin.create_topics(topics)
        assert [error for _, error, *_ in created.topic_errors] == [exists, bad_replication, bad_config, 0]
        missing = ConfigResource(ConfigResourceType.TOPIC, f"{fresh_name}-missing", {"retention.ms": ""})
        (described,) = await admin.describe_configs([missing])
        assert described.to_object()["resources"][0]["error_code"] == unknown


async def test_k22_alter_configs_resets_what_it_does_not_name(kafka: LocalKafka, fresh_name: str) -> None:
    """K22: hence configurations are set when a topic is created, and only compared afterwards."""
    Outsider.of(kafka).create(fresh_name, retention_ms=12_345_678)
    admin = clients_for(kafka).admin()
    async with started(admin):

        async def retention() -> str:
            asked = ConfigResource(ConfigResourceType.TOPIC, fresh_name, {"retention.ms": ""})
            (described,) = await admin.describe_configs([asked])
            value: str = described.to_object()["resources"][0]["config_entries"][0]["config_value"]
            return value

        assert await retention() == "12345678"
        other = ConfigResource(ConfigResourceType.TOPIC, fresh_name, {"max.message.bytes": "1000"})
        await admin.alter_configs([other])
        assert await retention() == "604800000"


RECORDS = 20_000
VALUE = b'{"request_id":"r-1","location_id":"loc1","contact_id":"c1","channel":"SMS","to":"+14155552671"}'


async def cpu_seconds_of_batches(producer: AIOKafkaProducer, topic: str) -> float:
    began, left, sent = time.process_time(), RECORDS, []
    while left:
        batch = producer.create_batch()
        while left and batch.append(timestamp=0, key=None, value=VALUE) is not None:
            left -= 1
        sent.append(await producer.send_batch(batch, topic, partition=0))
    for delivered in sent:
        await delivered
    return time.process_time() - began


async def cpu_seconds_of_sends(producer: AIOKafkaProducer, topic: str) -> float:
    began = time.process_time()
    sent = [await producer.send(topic, VALUE, partition=0, timestamp_ms=0) for _ in range(RECORDS)]
    await asyncio.gather(*sent)
    return time.process_time() - began


async def test_k20_prebuilt_batches_cost_a_fraction_of_single_sends(kafka: LocalKafka, fresh_name: str) -> None:
    """K20: hence outputs are built as batches. In CPU time of this process, so that a busy machine does not count."""
    Outsider.of(kafka).create(fresh_name)
    producer = clients_for(kafka).signal_producer()
    async with started(producer):
        await cpu_seconds_of_batches(producer, fresh_name)
        batches, single = 0.0, 0.0
        for _ in range(3):
            batches += await cpu_seconds_of_batches(producer, fresh_name)
            single += await cpu_seconds_of_sends(producer, fresh_name)
    assert batches < single / 2, f"{batches:.2f} s against {single:.2f} s"


def cpu_seconds(encode: Callable[[bytes], bytes], payload: bytes) -> float:
    began = time.process_time()
    for _ in range(20):
        encode(payload)
    return time.process_time() - began


def test_k21_lz4_is_fixed_to_level_9_and_zstd_is_quicker() -> None:
    """K21: hence zstd."""
    assert inspect.signature(lz4_encode).parameters["level"].default == 9
    payload = b"".join(VALUE + os.urandom(20).hex().encode() for _ in range(3_000))
    cpu_seconds(zstd_encode, payload)
    assert cpu_seconds(zstd_encode, payload) < cpu_seconds(lz4_encode, payload)


async def test_every_codec_a_sender_may_use_can_be_read(kafka: LocalKafka, fresh_name: str) -> None:
    """With the `zstd` extra come the others; without a codec a reader would stop at the first such record for ever."""
    outsider = Outsider.of(kafka)
    outsider.create(fresh_name)
    codecs = ["none", "gzip", "snappy", "lz4", "zstd"]
    for codec in codecs:
        outsider.produce(fresh_name, [codec.encode() * 100], client={"compression.type": codec})
    reader, partition = clients_for(kafka).reader(), TopicPartition(fresh_name, 0)
    async with started(reader):
        reader.assign([partition])
        reader.seek(partition, 0)
        assert [(await reader.getone()).value for _ in codecs] == [codec.encode() * 100 for codec in codecs]
