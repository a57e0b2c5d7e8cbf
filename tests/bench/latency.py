"""Request to decision at a steady rate, from the producer's send to a `read_committed` reader seeing the decision."""

from __future__ import annotations

import threading
import time

import orjson
from confluent_kafka import Consumer, Producer, TopicPartition

from tests.bench.load import LOCATION, request_value
from tests.bench.run import World, variant

RATE_PER_S = 200
SECONDS = 15.0
SETTLE_S = 2.0
"""Not counted at the start: connections are opened, partitions assigned."""

WARM_UPS = 3
"""Runs of the guard that are not counted. A broker that has seen few transactions interprets most of their code: the
first run is five times as slow as the fourth, which is what a broker in use is like."""


class DecisionTimes:
    """Reads `outbound.decisions` from its present end and notes when each decision was seen."""

    def __init__(self, world: World, topic: str) -> None:
        self._consumer = Consumer(
            {
                "bootstrap.servers": world.bootstrap,
                "group.id": "none",
                "enable.auto.commit": False,
                "isolation.level": "read_committed",
                "fetch.wait.max.ms": 5,
            }
        )
        ends = []
        for number in range(world.load.partitions):
            end = self._consumer.get_watermark_offsets(TopicPartition(topic, number), timeout=10)[1]
            ends.append(TopicPartition(topic, number, end))
        self._consumer.assign(ends)
        self.seen: dict[str, tuple[float, str]] = {}
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="decision times", daemon=True)
        self._thread.start()

    def _run(self) -> None:
        while not self._stop.is_set():
            for message in self._consumer.consume(500, timeout=0.002):
                at = time.perf_counter()
                decision = orjson.loads(message.value() or b"{}")
                self.seen[decision["request_id"]] = (at, decision["outcome"])

    def close(self) -> None:
        self._stop.set()
        self._thread.join()
        self._consumer.close()


def eager_producer(world: World) -> Producer:
    """Sends at once."""
    return Producer({"bootstrap.servers": world.bootstrap, "acks": "all", "linger.ms": 0})


def warm_up(world: World) -> None:
    """Let the broker compile what a transaction goes through."""
    for _ in range(WARM_UPS):
        latencies_ms(world, "a")


def latencies_ms(world: World, name: str) -> list[float]:
    """Sorted latencies of one variant, which has decided everything before."""
    topics = world.topics
    times, to_kafka = DecisionTimes(world, topics.decisions), eager_producer(world)
    sent: dict[str, float] = {}
    try:
        with variant(world, name) as process:
            process.go()
            begin = due = time.perf_counter()
            counted_from = begin + SETTLE_S
            index = 0
            while due < begin + SETTLE_S + SECONDS:
                time.sleep(max(0.0, due - time.perf_counter()))
                request_id = f"latency-{name}-{begin}-{index}"
                value = request_value(request_id, index % world.load.subjects)
                if time.perf_counter() >= counted_from:
                    sent[request_id] = time.perf_counter()
                to_kafka.produce(topics.requests, value, LOCATION.encode(), partition=index % world.load.partitions)
                to_kafka.poll(0)
                due, index = due + 1 / RATE_PER_S, index + 1
            to_kafka.flush()
            deadline = time.perf_counter() + 10
            while time.perf_counter() < deadline and not sent.keys() <= times.seen.keys():
                time.sleep(0.05)
            process.stop()
    finally:
        times.close()
    missing = len(sent.keys() - times.seen.keys())
    if missing:
        raise RuntimeError(f"{missing} of {len(sent)} requests have no decision from variant {name}")
    return sorted((times.seen[request_id][0] - at) * 1000 for request_id, at in sent.items())
