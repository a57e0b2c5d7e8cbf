"""An account that breaks, or is slow, holds up nothing but its own messages; on a real Kafka."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

from aiohttp import web

from gateway.localkafka import LocalKafka
from tests.consumers.dispatch.provider import Call, Provider, created
from tests.consumers.dispatch.scene import Scene, dispatching
from tests.running import request, until

TWO = {"loc1": "AC1", "loc2": "AC2"}


def statuses(scene: Scene) -> list[tuple[str, str, str]]:
    topic = scene.outside.topics.integrations
    found = [json.loads(record.value()) for record in scene.outside.committed(topic, 0)]
    return [(each["location_id"], each["channel"], each["status"]) for each in found]


async def test_r8_a_broken_account_is_disconnected_probed_and_connected_again(
    kafka: LocalKafka, tmp_path: Path, fresh_name: str
) -> None:
    provider = Provider(broken={"AC1"})
    async with dispatching(kafka, tmp_path, fresh_name, provider, sids=TWO) as scene:
        await scene.send(request(1), request(2, location_id="loc2"))
        (receipt,) = await scene.receipts(1)
        assert (receipt["location_id"], receipt["outcome"]) == ("loc2", "sent")
        await until(lambda: provider.probes)
        assert statuses(scene) == [("loc1", "SMS", "disconnected")]
        await scene.send(request(3))  # the guard has heard of it, or will wait in vain
        provider.broken.clear()
        receipts = await scene.receipts(2)
        await until(lambda: statuses(scene) == [("loc1", "SMS", "disconnected"), ("loc1", "SMS", "connected")])
        await scene.send(request(4))
        await until(lambda: [call.to for call in provider.calls].count("+14155550004") == 1)
    assert receipts[1]["outcome"] == "sent"


async def test_r8_what_was_found_broken_before_a_restart_is_probed_after_it(
    kafka: LocalKafka, tmp_path: Path, fresh_name: str
) -> None:
    provider = Provider(broken={"AC1"})
    async with dispatching(kafka, tmp_path, fresh_name, provider) as scene:
        await scene.send(request(1))
        await until(lambda: statuses(scene))
    provider.broken.clear()
    async with dispatching(kafka, tmp_path, fresh_name, provider) as scene:
        (receipt,) = await scene.receipts(1)
        await until(lambda: statuses(scene)[-1] == ("loc1", "SMS", "connected"))
    assert receipt["outcome"] == "sent"


async def test_a_slow_account_leaves_a_quick_one_its_pace(kafka: LocalKafka, tmp_path: Path, fresh_name: str) -> None:
    gate = asyncio.Event()

    async def slow(call: Call) -> web.Response:
        if call.account == "AC1":
            await gate.wait()
        return created(call.sid)

    provider = Provider(slow)
    async with dispatching(kafka, tmp_path, fresh_name, provider, sids=TWO) as scene:
        await scene.send(*(request(number) for number in range(1_000)))  # four times what a line has in memory
        await scene.send(*(request(number, location_id="loc2") for number in range(1_000, 1_200)))
        receipts = await scene.receipts(200)
        assert {(receipt["location_id"], receipt["outcome"]) for receipt in receipts} == {("loc2", "sent")}
        gate.set()
        receipts = await scene.receipts(1_200)
    assert len({receipt["decision_id"] for receipt in receipts}) == 1_200
    assert {receipt["outcome"] for receipt in receipts} == {"sent"}
    assert len(provider.calls) == 1_200
