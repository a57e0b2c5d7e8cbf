"""Stale decisions: a hold is acknowledged, then a request to that number is sent; it must not be forwarded.

A variant that decides on what it happens to know forwards some. Every round takes a number of its own.
"""

from __future__ import annotations

import time

import orjson
from confluent_kafka import Consumer, Producer, TopicPartition

from gateway.contract.events import encode_event, event_key
from gateway.dnd.model import Channel
from tests.bench.latency import eager_producer
from tests.bench.load import hold, now_ms, request_value
from tests.bench.run import World, variant

ROUNDS = 1_000
LOOK_S = 0.01
"""After each request, for what became of it, so that the next round does not queue up behind it."""

DRAIN_S = 20.0
"""For the variant to reach the last request."""


def stale_decisions(world: World, name: str, first_number: int) -> int:
    """How many of ROUNDS requests were forwarded although the hold on their number had been acknowledged."""
    to_kafka, output = eager_producer(world), world.topics.output(Channel.SMS)
    mark = f"stale-{name}-{first_number}-"
    reader = Consumer(
        {
            "bootstrap.servers": world.bootstrap,
            "group.id": "none",
            "enable.auto.commit": False,
            "isolation.level": "read_committed",
        }
    )
    partitions = [TopicPartition(output, number) for number in range(world.load.partitions)]
    ends = [reader.get_watermark_offsets(partition, timeout=10)[1] for partition in partitions]
    reader.assign([TopicPartition(output, at.partition, end) for at, end in zip(partitions, ends, strict=True)])
    forwarded: set[str] = set()
    last = {f"{mark}last-{number}" for number in range(world.load.partitions)}
    with variant(world, name) as process:
        process.go()
        _warm_up(world, to_kafka, reader, f"warm-{mark}")
        for round_number in range(ROUNDS):
            _acknowledged_hold(to_kafka, world.topics.dnd_events, first_number + round_number)
            value = request_value(f"{mark}{round_number}", first_number + round_number)
            to_kafka.produce(world.topics.requests, value, partition=round_number % world.load.partitions)
            to_kafka.flush()
            forwarded |= _forwarded(reader, mark, LOOK_S)
        for number, request_id in enumerate(sorted(last)):
            to_kafka.produce(world.topics.requests, request_value(request_id, 1_999_999), partition=number)
        to_kafka.flush()
        deadline = time.monotonic() + DRAIN_S
        while not last <= forwarded and time.monotonic() < deadline:
            forwarded |= _forwarded(reader, mark, 0.05)
        process.stop()
    reader.close()
    if not last <= forwarded:
        raise RuntimeError(f"variant {name} did not get to the end")
    return len(forwarded - last)


def _warm_up(world: World, to_kafka: Producer, reader: Consumer, request_id: str) -> None:
    """One request through, so that the rounds meet a variant at work."""
    to_kafka.produce(world.topics.requests, request_value(request_id, 1_999_999), partition=0)
    to_kafka.flush()
    deadline = time.monotonic() + DRAIN_S
    while time.monotonic() < deadline:
        if request_id in _forwarded(reader, request_id, 0.05):
            return
    raise RuntimeError(f"{request_id} was not forwarded")


def _acknowledged_hold(to_kafka: Producer, topic: str, number: int) -> None:
    event = hold(number, f"stale-{number}", now_ms())
    acknowledged: list[bool] = []
    to_kafka.produce(
        topic, encode_event(event, now_ms()), event_key(event.subject), on_delivery=lambda *_: acknowledged.append(True)
    )
    while not acknowledged:
        to_kafka.poll(0.001)


def _forwarded(reader: Consumer, mark: str, seconds: float) -> set[str]:
    """What came out within `seconds`."""
    found = set()
    for message in reader.consume(500, timeout=seconds):
        request_id = orjson.loads(message.value() or b"{}")["request_id"]
        if request_id.startswith(mark):
            found.add(request_id)
    return found
