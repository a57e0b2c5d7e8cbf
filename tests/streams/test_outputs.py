"""Outputs as record batches: in order, whatever their size."""

from __future__ import annotations

import os

import pytest
from aiokafka.producer.message_accumulator import BatchBuilder
from aiokafka.record.default_records import DefaultRecordBatch

from gateway.localkafka import LocalKafka
from gateway.streams.clients import BATCH_BYTES
from gateway.streams.outputs import Header, Outputs
from tests.kafka.outside import until
from tests.streams.serving import Stage, open_lane

BATCH_SIZE = 1_000


def outputs() -> Outputs:
    return Outputs(lambda: BatchBuilder(BATCH_SIZE, 0), 3)


def written(found: Outputs) -> dict[str, list[bytes | None]]:
    """The values of every topic, as they lie in the batches."""
    values: dict[str, list[bytes | None]] = {}
    for topic, batch in found.batches():
        records = DefaultRecordBatch(bytes(batch._build()))
        values.setdefault(topic, []).extend(record.value for record in records)
    return values


def test_what_was_appended_comes_out_topic_by_topic_in_order() -> None:
    found = outputs()
    for number in range(500):
        found.append(f"topic-{number % 3}", b"k", b"%d" % number, 0)
    assert len(found.batches()) > 3
    assert written(found) == {
        f"topic-{topic}": [b"%d" % number for number in range(500) if number % 3 == topic] for topic in range(3)
    }


@pytest.mark.parametrize("size", [0, BATCH_SIZE - 200, BATCH_SIZE, 10 * BATCH_SIZE])
def test_a_record_larger_than_a_batch_gets_one_of_its_own(size: int) -> None:
    found = outputs()
    values = [b"before", b"x" * size, b"after"]
    for value in values:
        found.append("topic", None, value, 0)
    assert written(found) == {"topic": values}


def test_nothing_appended_is_nothing_to_send() -> None:
    assert outputs().batches() == []


HEADERS: list[Header] = [("same", b"1"), ("same", b"2"), ("", b""), ("Жж", os.urandom(10)), ("null", None)]  # type: ignore[list-item]  # Kafka has null values too


async def test_keys_values_and_headers_arrive_as_they_are(kafka: LocalKafka, fresh_name: str) -> None:
    stage = Stage.of(kafka, fresh_name)
    rows: list[tuple[bytes | None, bytes | None, list[Header]]] = [
        (None, b"no key", []),
        (b"\xff\x00", b"\x00\xff", HEADERS),
        (b"", b"", []),
        (b"no value", None, HEADERS[:1]),
        (None, os.urandom(2 * BATCH_BYTES), []),
        (None, None, []),
    ]
    async with open_lane(kafka, stage) as lane:
        found = lane.outputs()
        for key, value, headers in rows:
            found.append(stage.copies, key, value, 0, headers)
        await lane.deliver(found, 0)
    await until(lambda: len(stage.outsider.values(stage.copies)) == len(rows))
    for record, (key, value, headers) in zip(stage.outsider.read(stage.copies), rows, strict=True):
        assert (record.key(), record.value(), record.headers() or []) == (key, value, headers)
