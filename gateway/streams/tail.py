"""The last committed record of a partition, for going on where an output ends when the group's offset is gone."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition

from gateway.streams.closing import close, start

FIRST_STEP_BACK = 4
"""Offsets looked at before the end first: a commit marker takes one, so the record is most often within these."""

TAIL_DEADLINE_S = 15.0
"""For the whole look-up."""

POLL_MS = 200
"""Longest wait of one poll."""


Wanted = Callable[[bytes | None], bool]
"""Whether a record with this value is looked for."""


async def last_record(
    reader: AIOKafkaConsumer, topic: str, number: int, wanted: Wanted
) -> ConsumerRecord[bytes, bytes] | None:
    """The last committed record of a partition that is `wanted`, None when there is none. Starts and closes `reader`.

    Call it when no transaction can be open on the partition (after fencing), else it may miss the last ones.
    KafkaError or TimeoutError when the cluster does not answer.
    """
    partition = TopicPartition(topic, number)
    try:
        async with asyncio.timeout(TAIL_DEADLINE_S):
            await start(reader)
            begin = (await reader.beginning_offsets([partition]))[partition]
            end = (await reader.end_offsets([partition]))[partition]
            reader.assign([partition])
            step = FIRST_STEP_BACK
            since = end
            while since > begin:
                since = max(begin, end - step)
                last = await _last_between(reader, partition, since, end, wanted)
                if last is not None:
                    return last
                step *= 16  # only markers, aborted records and others there: look further back
            return None
    finally:
        await close(reader)


async def _last_between(
    reader: AIOKafkaConsumer, partition: TopicPartition, since: int, end: int, wanted: Wanted
) -> ConsumerRecord[bytes, bytes] | None:
    reader.seek(partition, since)
    last: ConsumerRecord[bytes, bytes] | None = None
    while await reader.position(partition) < end:
        fetched = await reader.getmany(timeout_ms=POLL_MS)
        found = [record for record in fetched.get(partition, []) if wanted(record.value)]
        last = found[-1] if found else last
    return last
