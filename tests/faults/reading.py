"""Reading topics with an independent client (librdkafka), in `read_committed`, to an end that is known.

"Everything" is what lies below the high watermark when reading begins. A `read_committed` reader stands still before a
transaction that is open; so it is read until it has passed that watermark, and whoever calls has ended the writers.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from typing import cast

from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, KafkaException, Message, TopicPartition

from tests.faults.clients import options
from tests.faults.history import Record

PATIENCE_S = 60.0
"""An open transaction of a killed guard ends after its own time-out of 10 s, broker elections take seconds."""

POLL_S = 0.05
ANSWER_S = 5.0
CHUNK = 2_000

Place = tuple[str, int]
"""Topic and partition."""


def reader(bootstrap: str, isolation: str) -> Consumer:
    """A client of no group: it is assigned partitions and commits nothing."""
    return Consumer(
        {
            **options(bootstrap),
            "group.id": "fault-tests-commit-nothing",
            "enable.auto.commit": False,
            "isolation.level": isolation,
            "enable.partition.eof": True,
            "auto.offset.reset": "earliest",
            "fetch.wait.max.ms": 50,
            "fetch.error.backoff.ms": 50,
        }
    )


def read_topics(bootstrap: str, topics: Sequence[str]) -> dict[str, list[Record]]:
    """Every committed record of the topics, by topic, in the order of partition and offset."""
    deadline = time.monotonic() + PATIENCE_S
    with reader(bootstrap, "read_uncommitted") as other:
        bounds = {place: _bounds(other, place, deadline) for place in _places(other, topics, deadline)}
    waiting = {place: end for place, (begin, end) in bounds.items() if end > begin}
    found: dict[str, list[Record]] = {topic: [] for topic in topics}
    with reader(bootstrap, "read_committed") as client:
        client.assign([TopicPartition(topic, number, OFFSET_BEGINNING) for topic, number in waiting])
        while waiting:
            if time.monotonic() > deadline:
                raise AssertionError(f"not read to the end: {waiting}")
            for message in client.consume(CHUNK, POLL_S):
                place = (message.topic() or "", message.partition() or 0)
                if (error := message.error()) is None:
                    found[place[0]].append(_record(message))
                elif error.code() == KafkaError._PARTITION_EOF and (message.offset() or 0) >= waiting.get(place, 0):
                    waiting.pop(place, None)
    for records in found.values():
        records.sort(key=lambda record: (record.partition, record.offset))
    return found


def end_offsets(bootstrap: str, topic: str) -> dict[int, int]:
    """High watermarks by partition."""
    deadline = time.monotonic() + PATIENCE_S
    with reader(bootstrap, "read_uncommitted") as client:
        places = _places(client, [topic], deadline)
        return {place[1]: _bounds(client, place, deadline)[1] for place in places}


def wait_answering(bootstrap: str, topics: Sequence[str]) -> None:
    """Until every partition has a leader that says where it ends: one that was only named refuses to (K18)."""
    deadline = time.monotonic() + PATIENCE_S
    with reader(bootstrap, "read_uncommitted") as client:
        for place in _places(client, topics, deadline):
            _bounds(client, place, deadline)


def _places(client: Consumer, topics: Sequence[str], deadline: float) -> list[Place]:
    places: list[Place] = []
    for topic in topics:
        while True:
            try:
                found = client.list_topics(topic, ANSWER_S).topics[topic]
            except KafkaException:
                found = None
            if found is not None and found.error is None and found.partitions:
                places += [(topic, number) for number in found.partitions]
                break
            _in_time(deadline, f"nobody knows the partitions of {topic}")
    return places


def _bounds(client: Consumer, place: Place, deadline: float) -> tuple[int, int]:
    """The first offset and the end, as the client's isolation level sees it."""
    while True:
        try:
            bounds = client.get_watermark_offsets(TopicPartition(*place), ANSWER_S)
        except KafkaException:
            bounds = None
        if bounds is not None:
            return bounds
        _in_time(deadline, f"nobody says where {place} ends")


def _in_time(deadline: float, otherwise: str) -> None:
    if time.monotonic() > deadline:
        raise AssertionError(otherwise)


def _record(message: Message) -> Record:
    # The stub says that it may be a mapping too; a message that was read has pairs.
    pairs = cast("list[tuple[str, bytes | None]]", message.headers() or [])
    headers = tuple((name, value or b"") for name, value in pairs)
    topic, partition, offset = message.topic() or "", message.partition() or 0, message.offset() or 0
    return Record(topic, partition, offset, _bytes(message.key()), _bytes(message.value()), headers)


def _bytes(value: str | bytes | None) -> bytes | None:
    return value.encode() if isinstance(value, str) else value


class Tail:
    """Follows the decisions in `read_committed` through whatever happens to the brokers."""

    def __init__(self, bootstrap: str, topic: str) -> None:
        self._client = reader(bootstrap, "read_committed")
        numbers = [number for _, number in _places(self._client, [topic], time.monotonic() + PATIENCE_S)]
        self._client.assign([TopicPartition(topic, number, OFFSET_BEGINNING) for number in numbers])
        self.total = 0
        self.through = dict.fromkeys(numbers, 0)
        """By partition: one more than the highest request offset that was decided."""

    def poll(self, seconds: float = POLL_S) -> None:
        """Take in what is there; waits up to `seconds` for the first."""
        for message in self._client.consume(CHUNK, seconds):
            if message.error() is None:
                number = message.partition() or 0
                offset = int(json.loads(message.value() or b"")["decision_id"].rpartition("-")[2])
                self.total += 1
                self.through[number] = max(self.through[number], offset + 1)

    def wait(self, condition: Callable[[], bool], patience_s: float) -> None:
        """Take decisions in until the condition holds."""
        deadline = time.monotonic() + patience_s
        while not condition():
            _in_time(deadline, f"not decided in time: {self.through}")
            self.poll()

    def close(self) -> None:
        self._client.close()
