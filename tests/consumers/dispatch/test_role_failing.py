"""Lanes that fail under dispatch, and records that are not the guard's; on a real Kafka."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Mapping
from pathlib import Path

import pytest
from aiohttp import web
from aiokafka.errors import KafkaConnectionError
from confluent_kafka import Producer

from gateway.localkafka import LocalKafka
from gateway.streams.outputs import Outputs
from gateway.streams.settling import Frontier, SettlingLane
from tests.consumers.dispatch.provider import Call, Provider, created
from tests.consumers.dispatch.scene import dispatching
from tests.kafka.outside import DEADLINE_S
from tests.running import request, sample, until

MESSAGES = 400
"""More than a line has in memory."""


async def test_what_a_lane_could_not_commit_the_next_one_does_and_nothing_is_called_twice(
    kafka: LocalKafka, tmp_path: Path, fresh_name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Commits fail, some of them after Kafka has made them."""
    settle = SettlingLane.settle
    made = 0

    async def settles_at_times(lane: SettlingLane, outputs: Outputs, frontiers: Mapping[str, Frontier]) -> int:
        nonlocal made
        made += 1
        if made in (2, 5):
            raise KafkaConnectionError("before")
        end = await settle(lane, outputs, frontiers)
        if made in (3, 7):
            raise KafkaConnectionError("behind")
        return end

    async def soon(call: Call) -> web.Response:
        await asyncio.sleep(random.uniform(0.01, 0.1))
        return created(call.sid)

    monkeypatch.setattr(SettlingLane, "settle", settles_at_times)
    provider = Provider(soon)
    async with dispatching(kafka, tmp_path, fresh_name, provider, rate=200) as scene:
        await scene.send(*(request(number, body=str(number)) for number in range(MESSAGES)))
        receipts = await scene.receipts(MESSAGES)
    assert made > 7
    assert Counter(receipt["request_id"] for receipt in receipts) == {f"r-{number}": 1 for number in range(MESSAGES)}
    assert Counter(provider.bodies) == {str(number): 1 for number in range(MESSAGES)}


async def test_what_the_guard_has_not_written_is_not_sent(kafka: LocalKafka, tmp_path: Path, fresh_name: str) -> None:
    async with dispatching(kafka, tmp_path, fresh_name, Provider()) as scene:
        producer = Producer({"bootstrap.servers": scene.outside.bootstrap})
        producer.produce(f"{fresh_name}.outbound.sms", b'{"location_id":"loc1"}', partition=0)
        assert await asyncio.to_thread(producer.flush, DEADLINE_S) == 0
        await scene.send(request(1))
        (receipt,) = await scene.receipts(1)
        shown = scene.service.metrics.exposition().decode
        await until(lambda: sample(shown(), "sendguard_dispatch_messages", state="pending") == 0)
        assert sample(shown(), "sendguard_dispatch_passed_over_total") == 1
        assert sample(shown(), "sendguard_receipts_total", channel="SMS", outcome="sent") == 1
        assert sample(shown(), "sendguard_dispatch_tries_total", channel="SMS", result="sent") == 1
        assert sample(shown(), "sendguard_dispatch_tries_under_way") == 0
        assert sample(shown(), "sendguard_dispatch_accounts", state="all") == 1
    assert receipt["request_id"] == "r-1"
    assert len(scene.provider.calls) == 1
