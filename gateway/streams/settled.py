"""Whether a partition's outputs are final: no transaction of a former owner is open any more.

Fencing ends every former transaction, so behind it the last stable offset of each output partition is its high
watermark. Brokers of Kafka 4.3 and 4.4 can break that (KAFKA-20734): when a transaction ends while one of its
partitions has no leader, they take the partition for deleted and leave out its marker. The records stay open, and the
next transaction of the same producer decides over them: what was committed can vanish, what was aborted can appear.
So a partition with such records is not served: nothing is lost or doubled while a person looks (deploy/runbooks.md).
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from aiokafka import AIOKafkaConsumer, TopicPartition

from gateway.streams.clients import Clients, close
from gateway.streams.closing import start
from gateway.streams.lane import LaneError

PATIENCE_S = 5.0
"""A marker that was written is visible within 62 ms (K3), on a loaded cluster within seconds."""

LOOK_AGAIN_S = 0.1
"""Between two looks."""


class OpenTransactionError(LaneError):
    """Records of an ended transaction stay open: its marker is missing."""

    def __init__(self, partition: TopicPartition, stable: int, end: int) -> None:
        super().__init__(
            f"{partition.topic}-{partition.partition}: a transaction that has ended is still open from offset {stable} "
            f"on, the end is {end}; see 'A transaction without its marker' in the runbooks"
        )


async def wait_settled(clients: Clients, topics: Sequence[str], number: int) -> None:
    """Return when no transaction is open on the partition `number` of any of the topics, all producers being fenced.

    OpenTransactionError after PATIENCE_S. KafkaError, TimeoutError.
    """
    partitions = [TopicPartition(topic, number) for topic in topics]
    stable_reader, reader = clients.reader(), clients.state_follower()
    try:
        await start(stable_reader, reader)
        ends = await reader.end_offsets(partitions)
        deadline = asyncio.get_running_loop().time() + PATIENCE_S
        while open_from := await _behind(stable_reader, ends):
            if asyncio.get_running_loop().time() > deadline:
                partition, stable = next(iter(open_from.items()))
                raise OpenTransactionError(partition, stable, ends[partition])
            await asyncio.sleep(LOOK_AGAIN_S)
    finally:
        await asyncio.gather(close(stable_reader), close(reader))


async def _behind(reader: AIOKafkaConsumer, ends: dict[TopicPartition, int]) -> dict[TopicPartition, int]:
    """Where the last stable offset lies before the end."""
    stable: dict[TopicPartition, int] = await reader.end_offsets(list(ends))
    return {partition: stable[partition] for partition, end in ends.items() if stable[partition] < end}
