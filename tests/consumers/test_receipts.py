"""The role `receipts` against a real Kafka and real databases: what is kept, and through what faults."""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path

import pytest

from gateway.clock import now_ms
from gateway.contract.receipts import ReceiptOutcome
from gateway.localkafka import LocalKafka
from gateway.settings import Settings
from gateway.settings.sent import DAY_MS
from gateway.streams.topics import apply
from tests.consumers.receipts import Receipts, receipt
from tests.kafka.outside import DEADLINE_S
from tests.running import Outside, environment_for, running, sample, settings_for, started, until

HOUR_MS = 3_600_000


@pytest.fixture
def settings(kafka: LocalKafka, tmp_path: Path, fresh_name: str, database_values: dict[str, object]) -> Settings:
    return settings_for(kafka, tmp_path, fresh_name, **database_values)


@pytest.fixture
def with_sqlite(kafka: LocalKafka, tmp_path: Path, fresh_name: str) -> Settings:
    return settings_for(kafka, tmp_path, fresh_name)


async def test_messages_that_providers_took_are_kept_and_read_on_from_there_after_a_restart(settings: Settings) -> None:
    receipts, now = Receipts(settings), now_ms()
    async with running(settings, "receipts") as service:
        await receipts.write(
            receipt(1, finished_at=now - HOUR_MS, sent_at=now - HOUR_MS - 500),  # by a clock that is slow
            receipt(2, finished_at=now, outcome=ReceiptOutcome.FAILED),
            receipt(3, finished_at=now, provider="mailgun", provider_message_id="3@mg.example.com"),
        )
        found = await receipts.until_kept("SM1")
        assert (found.contact_id, found.decision_id, found.request_id) == ("c1", "outbound.requests-0-1", "r-1")
        assert (found.channel, found.recipients) == ("SMS", ("+14155550001",))
        assert now - 500 <= found.created_at <= now_ms() - 500
        await receipts.until_kept("3@mg.example.com", provider="mailgun")
        assert await receipts.find("SM2") is None
        kept = service.metrics.exposition().decode()
        assert sample(kept, "sendguard_sent_messages_kept_total", provider="twilio") == 1
        assert sample(kept, "sendguard_sent_messages_kept_total", provider="mailgun") == 1
    await receipts.write(receipt(4, finished_at=now), partition=1)
    async with running(settings, "receipts") as service:
        await receipts.until_kept("SM4")
        again = service.metrics.exposition().decode()
        assert sample(again, "sendguard_sent_messages_kept_total", provider="twilio") == 1


async def test_receipts_of_a_transaction_that_was_aborted_are_none(with_sqlite: Settings) -> None:
    receipts, now = Receipts(with_sqlite), now_ms()
    async with running(with_sqlite, "receipts"):
        await receipts.write(receipt(1, finished_at=now), commit=False)
        await receipts.write(receipt(2, finished_at=now))
        await receipts.until_kept("SM2")
    assert await receipts.find("SM1") is None


async def test_a_receipt_nobody_can_read_is_counted_and_the_next_one_is_kept(
    with_sqlite: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    receipts, now = Receipts(with_sqlite), now_ms()
    async with running(with_sqlite, "receipts") as service:
        await receipts.write(b"{", b"", b'{"decision_id":"\xff"}', receipt(1, finished_at=now, contact_id="c\x001"))
        await receipts.write(receipt(2, finished_at=now))
        await receipts.until_kept("SM2")
        assert sample(service.metrics.exposition().decode(), "sendguard_receipts_unreadable_total") == 3
    assert "offset 0 is no receipt" in caplog.text


async def test_what_is_older_than_the_retention_goes_and_is_not_taken_in(
    kafka: LocalKafka, tmp_path: Path, fresh_name: str, database_values: dict[str, object]
) -> None:
    long = settings_for(kafka, tmp_path, fresh_name, sent_retention_days=10, **database_values)
    short = settings_for(kafka, tmp_path, fresh_name, sent_retention_days=2, **database_values)
    receipts, now = Receipts(long), now_ms()
    async with running(long, "receipts"):
        await receipts.write(
            receipt(1, finished_at=now - 11 * DAY_MS),
            receipt(2, finished_at=now - 3 * DAY_MS),
            receipt(3, finished_at=now - DAY_MS),
        )
        await receipts.until_kept("SM3")
        assert await receipts.find("SM1") is None
        assert await receipts.find("SM2") is not None
    async with running(short, "receipts"):
        async with asyncio.timeout(DEADLINE_S):
            while await receipts.find("SM2") is not None:  # noqa: ASYNC110 - there is nobody to be told by
                await asyncio.sleep(0.02)
        assert await receipts.find("SM3") is not None


@pytest.mark.parametrize("dies_at", [1, 2, 3, 4])
async def test_killed_before_or_behind_a_commit_it_misses_nothing(
    kafka: LocalKafka, tmp_path: Path, fresh_name: str, dies_at: int
) -> None:
    settings = settings_for(kafka, tmp_path, fresh_name)
    await apply(settings)
    receipts, now = Receipts(settings), now_ms()
    await receipts.write(*[receipt(number, finished_at=now) for number in range(3_000)])
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "tests.consumers.receipts_and_die",
        str(dies_at),
        env={**os.environ, **environment_for(kafka, tmp_path, fresh_name)},
        cwd=Path(__file__).parents[2],
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        async with asyncio.timeout(DEADLINE_S):
            await receipts.write(*[receipt(number, finished_at=now) for number in range(3_000, 6_000)], partition=1)
            assert await process.wait() == -9
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    async with running(settings, "receipts"):
        for number in (0, 1_999, 2_000, 2_999, 3_000, 5_999):
            await receipts.until_kept(f"SM{number}")


async def test_receipts_that_were_created_again_are_read_from_their_beginning(with_sqlite: Settings) -> None:
    receipts, now = Receipts(with_sqlite), now_ms()
    async with running(with_sqlite, "receipts"):
        await receipts.write(receipt(1, finished_at=now), receipt(2, finished_at=now))
        await receipts.until_kept("SM2")
    await asyncio.to_thread(Outside.of(with_sqlite).recreate, receipts.topic)
    await receipts.write(receipt(3, finished_at=now))
    async with running(with_sqlite, "receipts"):
        await receipts.until_kept("SM3")


async def test_without_its_database_it_is_not_ready_and_says_why(
    kafka: LocalKafka, tmp_path: Path, fresh_name: str, with_sqlite: Settings
) -> None:
    async with running(with_sqlite, "receipts"):
        pass
    away = settings_for(kafka, tmp_path / "away", fresh_name, database_url="postgresql://u:secret@127.0.0.1:1/none")
    async with started(away, "receipts") as service:
        await until(lambda: any("receipts are not kept" in problem.reason for problem in service.problems()))
        assert "secret" not in str(service.problems())
