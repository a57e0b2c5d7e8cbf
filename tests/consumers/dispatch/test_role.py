"""A request on its whole way, on a real Kafka and with a real HTTP server for the provider."""

from __future__ import annotations

from pathlib import Path

from gateway.localkafka import LocalKafka
from tests.consumers.dispatch.provider import Provider
from tests.consumers.dispatch.scene import dispatching
from tests.running import request


async def test_a_forwarded_request_reaches_its_provider_and_has_one_receipt(
    kafka: LocalKafka, tmp_path: Path, fresh_name: str
) -> None:
    async with dispatching(kafka, tmp_path, fresh_name, Provider()) as scene:
        await scene.send(request(1, body="hello"))
        (receipt,) = await scene.receipts(1)
    (call,) = scene.provider.calls
    assert (call.account, call.to, call.form["Body"]) == ("AC1", "+14155550001", "hello")
    assert receipt["decision_id"] == f"{scene.outside.topics.requests}-0-0"
    assert (receipt["request_id"], receipt["location_id"], receipt["contact_id"]) == ("r-1", "loc1", "c1")
    assert (receipt["channel"], receipt["to"], receipt["outcome"]) == ("SMS", "+14155550001", "sent")
    assert (receipt["provider"], receipt["provider_message_id"]) == ("twilio", "SM" + f"{1:032d}")
    assert (receipt["attempts"], receipt["error"], receipt["reasons"]) == (1, None, [])
    assert receipt["sent_at"] <= receipt["finished_at"]
