"""Reading one partition from a position to its present end: for a local copy of what a partition's worker has written.

Call it when the partition's producers are fenced and its transactions settled, so that the end is final.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from aiokafka import TopicPartition

from gateway.contract.log import LogRecord
from gateway.streams.clients import Clients, close
from gateway.streams.closing import start
from gateway.streams.misnamed import read
from gateway.streams.wire import ask_topic

POLL_MS = 200
"""Longest wait of one poll; a poll ends at once when records are there."""

BATCH_RECORDS = 2_000
"""Most records handed over at a time."""


class Place(NamedTuple):
    """How far a partition of a topic, by its id, has been read."""

    topic_id: str
    next_offset: int


class Copy(NamedTuple):
    """The local copy. `take` keeps records and the place behind them in one step; `forget` all of them."""

    place: Place | None
    take: Callable[[Sequence[LogRecord], Place], None]
    forget: Callable[[], None]


async def catch_up(clients: Clients, topic: str, number: int, copy: Copy) -> None:
    """Bring the copy to the end. A topic that was re-created, or that ends before the copy, is copied anew.

    KafkaError, TimeoutError: what was taken stays, the next call goes on there.
    """
    reader, partition = clients.reader(), TopicPartition(topic, number)
    try:
        await start(reader)
        topic_id = (await ask_topic(reader._client, topic)).topic_id
        begin = (await reader.beginning_offsets([partition]))[partition]
        end = (await reader.end_offsets([partition]))[partition]
        place = copy.place
        if place is not None and (place.topic_id != topic_id or place.next_offset > end):
            copy.forget()
            place = None
        position = begin if place is None else max(begin, place.next_offset)
        reader.assign([partition])
        reader.seek(partition, position)
        while position < end:
            fetched = await read(reader, {partition: position}, POLL_MS, BATCH_RECORDS)
            position = await reader.position(partition)
            copy.take(fetched.get(partition, []), Place(topic_id, position))
    finally:
        await close(reader)
