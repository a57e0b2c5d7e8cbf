"""Reading a whole topic once, up to the end it has when asked. For the shell: it costs what the topic holds."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError

from gateway.contract.log import LogRecord
from gateway.streams.clients import Clients, close
from gateway.streams.closing import start
from gateway.streams.misnamed import read
from gateway.streams.topics import KafkaUnreachableError

Offsets = dict[TopicPartition, int]

POLL_MS = 500
"""Longest wait of one poll; a poll ends at once when records are there."""

BATCH_RECORDS = 10_000
"""Most records handed over at a time."""

SILENCE_LIMIT_S = 15.0
"""Without an answer for so long, the cluster counts as unreachable."""


async def read_to_end(clients: Clients, topic: str, take: Callable[[Sequence[LogRecord]], None]) -> int:
    """Hand every record acknowledged before the call to `take`, in order within a partition; returns how many.

    Reads uncommitted: a record of `dnd.events` counts from its acknowledgement on. KafkaUnreachableError.
    """
    consumer = clients.state_follower()
    try:
        async with asyncio.timeout(SILENCE_LIMIT_S):
            await start(consumer)
            positions, ends = await _from_the_beginning(consumer, topic)
        return await _read(consumer, positions, ends, take)
    except (KafkaError, OSError, TimeoutError) as error:
        raise KafkaUnreachableError(f"{topic} cannot be read: {error!r}") from error
    finally:
        await close(consumer)


async def _from_the_beginning(consumer: AIOKafkaConsumer, topic: str) -> tuple[Offsets, Offsets]:
    await consumer.end_offsets([TopicPartition(topic, 0)])  # waits until the topic is known
    partitions = [TopicPartition(topic, number) for number in sorted(consumer.partitions_for_topic(topic) or ())]
    begins, ends = await consumer.beginning_offsets(partitions), await consumer.end_offsets(partitions)
    consumer.assign(partitions)
    for partition, begin in begins.items():
        consumer.seek(partition, begin)
    return begins, ends


async def _read(
    consumer: AIOKafkaConsumer, positions: Offsets, ends: Offsets, take: Callable[[Sequence[LogRecord]], None]
) -> int:
    loop = asyncio.get_running_loop()
    heard = loop.time()
    count = 0
    while any(positions[partition] < end for partition, end in ends.items()):
        fetched = await read(consumer, positions, POLL_MS, BATCH_RECORDS)
        for partition, records in fetched.items():
            wanted = [record for record in records if record.offset < ends[partition]]
            take(wanted)
            count += len(wanted)
        for partition in ends:  # also where nothing came: a position passes markers of transactions
            positions[partition] = await consumer.position(partition)
        if fetched:
            heard = loop.time()
        elif loop.time() - heard > SILENCE_LIMIT_S:
            raise TimeoutError(f"nothing read for {SILENCE_LIMIT_S:g} s")
    return count
