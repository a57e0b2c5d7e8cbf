"""What becomes of messages that meet a hold, a limit or a provider that does not work, on a real Kafka."""

from __future__ import annotations

import asyncio
from pathlib import Path

from aiohttp import web

from gateway.clock import now_ms
from gateway.localkafka import LocalKafka
from tests.consumers.dispatch.provider import Call, Provider, created, for_ever, refused
from tests.consumers.dispatch.scene import dispatching
from tests.running import request, until

PHONE = "+14155550001"


async def test_r22_a_message_held_while_it_waits_is_dropped_with_the_reasons(
    kafka: LocalKafka, tmp_path: Path, fresh_name: str
) -> None:
    provider = Provider(lambda _: refused(503, 0, "later", Retry_After="1"))
    async with dispatching(kafka, tmp_path, fresh_name, provider) as scene:
        await scene.send(request(1))
        await until(lambda: provider.calls)
        await scene.hold(PHONE)
        (receipt,) = await scene.receipts(1)
        calls = len(provider.calls)
    assert receipt["outcome"] == "dropped_at_dispatch"
    assert [reason["cause"] for reason in receipt["reasons"]] == ["keyword_opt_out"]
    assert receipt["attempts"] == calls


async def test_a_message_that_waits_past_its_time_expires(kafka: LocalKafka, tmp_path: Path, fresh_name: str) -> None:
    provider = Provider(lambda _: refused(503, 0, "later", Retry_After="600"))
    async with dispatching(kafka, tmp_path, fresh_name, provider) as scene:
        not_after = now_ms() + 4_000
        await scene.send(request(1, not_after=not_after))
        (receipt,) = await scene.receipts(1)
    assert (receipt["outcome"], receipt["attempts"], receipt["error"]) == ("expired", 1, None)
    assert receipt["finished_at"] > not_after


async def test_429_makes_the_account_pause_as_long_as_it_is_asked_to(
    kafka: LocalKafka, tmp_path: Path, fresh_name: str
) -> None:
    first = asyncio.Event()

    def throttled_once(_: Call) -> web.Response | None:
        if first.is_set():
            return None
        first.set()
        return refused(429, 20429, "Too Many Requests", Retry_After="2")

    provider = Provider(throttled_once)
    async with dispatching(kafka, tmp_path, fresh_name, provider, rate=10) as scene:
        await scene.send(request(1), request(2))
        receipts = await scene.receipts(2)
    assert [receipt["outcome"] for receipt in receipts] == ["sent", "sent"]
    again = [call.at for call in provider.calls if call.to == provider.calls[0].to]
    assert again[1] - again[0] >= 2


async def test_what_is_turned_away_at_the_door_is_tried_again_until_it_is_taken(
    kafka: LocalKafka, tmp_path: Path, fresh_name: str
) -> None:
    provider = Provider(lambda _: refused(503, 0, "unavailable") if len(provider.calls) < 3 else None)
    async with dispatching(kafka, tmp_path, fresh_name, provider) as scene:
        await scene.send(request(1))
        (receipt,) = await scene.receipts(1)
    assert (receipt["outcome"], receipt["attempts"], len(provider.calls)) == ("sent", 3, 3)


async def test_a_call_without_an_answer_is_not_made_again(kafka: LocalKafka, tmp_path: Path, fresh_name: str) -> None:
    provider = Provider(for_ever)
    async with dispatching(kafka, tmp_path, fresh_name, provider, dispatch_call_timeout_ms=500) as scene:
        await scene.send(request(1))
        (receipt,) = await scene.receipts(1)
    assert (receipt["outcome"], receipt["error"]["code"]) == ("failed", "unknown_outcome")
    assert (receipt["attempts"], len(provider.calls)) == (1, 1)


async def test_r16_an_opt_out_answer_stops_the_next_message_to_that_number(
    kafka: LocalKafka, tmp_path: Path, fresh_name: str
) -> None:
    gate = asyncio.Event()

    async def opted_out(call: Call) -> web.Response:
        await gate.wait()
        if call.to == PHONE:
            return refused(400, 21610, "Attempt to send to unsubscribed recipient")
        return created(call.sid)

    provider = Provider(opted_out)
    async with dispatching(kafka, tmp_path, fresh_name, provider) as scene:
        await scene.send(*(request(1, request_id=f"r-{number}") for number in range(5)), request(2, request_id="other"))
        await until(lambda: len(provider.calls) == 2)
        gate.set()
        receipts = {receipt["request_id"]: receipt for receipt in await scene.receipts(6)}
    assert (receipts["r-0"]["outcome"], receipts["r-0"]["error"]["code"]) == ("failed", "21610")
    for number in range(1, 5):
        assert receipts[f"r-{number}"]["outcome"] == "dropped_at_dispatch"
        assert [reason["cause"] for reason in receipts[f"r-{number}"]["reasons"]] == ["carrier_opt_out"]
    assert receipts["other"]["outcome"] == "sent"
    assert sorted(call.to for call in provider.calls) == [PHONE, "+14155550002"]


async def test_messages_to_one_number_keep_their_order(kafka: LocalKafka, tmp_path: Path, fresh_name: str) -> None:
    failures = iter([True, False, True, True] + [False] * 100)
    provider = Provider(lambda _: refused(503, 0, "unavailable") if next(failures) else None)
    async with dispatching(kafka, tmp_path, fresh_name, provider) as scene:
        await scene.send(*(request(1, request_id=f"r-{number}", body=f"{number}") for number in range(8)))
        receipts = await scene.receipts(8)
    assert list(dict.fromkeys(provider.bodies)) == [str(number) for number in range(8)]
    assert {receipt["outcome"] for receipt in receipts} == {"sent"}


async def test_a_channel_nothing_is_configured_for_fails_with_that_code(
    kafka: LocalKafka, tmp_path: Path, fresh_name: str
) -> None:
    async with dispatching(kafka, tmp_path, fresh_name, Provider()) as scene:
        await scene.send(request(1, channel="Email", to="a@example.com"), request(2, location_id="loc9"))
        receipts = await scene.receipts(2)
    assert [receipt["outcome"] for receipt in receipts] == ["failed", "failed"]
    assert {receipt["error"]["code"] for receipt in receipts} == {"not_configured"}
    assert {receipt["attempts"] for receipt in receipts} == {0}
