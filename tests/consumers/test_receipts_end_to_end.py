"""R16 from a receipt to the guard's decision: a code told late, by a callback that does not say when it was sent."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import pytest

from gateway.clock import now_ms
from gateway.localkafka import LocalKafka
from tests.consumers.receipts import Receipts, receipt
from tests.running import Outside, request, running, sample, settings_for
from tests.web.webhooks.calling import Provider, accounts_in, mailgun_event

PERSON = "+14155550007"


class Scene:
    """A gateway, what it decides, its provider, and a dispatcher's receipts."""

    def __init__(self, outside: Outside, provider: Provider, receipts: Receipts) -> None:
        self.provider = provider
        self.receipts = receipts
        self._outside = outside
        self._sent = 0

    async def decided(self, to: str = PERSON, channel: str = "SMS") -> dict[str, object]:
        """What becomes of a request that is made now."""
        self._sent += 1
        await asyncio.to_thread(self._outside.send, [request(self._sent, to=to, channel=channel)])
        found = await asyncio.to_thread(self._outside.decisions, self._sent)
        return next(each for each in found if each["request_id"] == f"r-{self._sent}")


@asynccontextmanager
async def scene(kafka: LocalKafka, folder: Path, prefix: str, *roles: str) -> AsyncIterator[Scene]:
    settings = settings_for(kafka, folder / "data", prefix, accounts=str(accounts_in(folder)))
    async with running(settings, "guard", "http", *roles) as service, aiohttp.ClientSession() as session:
        provider = Provider(f"http://127.0.0.1:{service.port}", session)
        yield Scene(Outside.of(settings), provider, Receipts(settings))
        if roles:
            found = sample(service.metrics.exposition().decode(), "sendguard_sent_lookups_total", result="found")
            assert found == 1


@pytest.mark.parametrize("kept", [True, False])
async def test_r16_a_late_30004_without_a_time_of_a_message_older_than_start_does_not_block_again(
    kafka: LocalKafka, tmp_path: Path, fresh_name: str, kept: bool
) -> None:
    """Where nobody keeps what was sent it blocks: the look-up is what frees."""
    async with scene(kafka, tmp_path, fresh_name, *(["receipts"] if kept else [])) as at:
        forwarded = await at.decided()
        assert forwarded["outcome"] == "forwarded"
        sent_at = now_ms()
        await at.receipts.write(
            receipt(1, decision_id=forwarded["decision_id"], to=PERSON, sent_at=sent_at, finished_at=sent_at + 200)
        )
        if kept:
            await at.receipts.until_kept("SM1")
        for said in ("STOP", "START"):
            assert (await at.provider.text(said, PERSON)).status == 200
        assert (await at.provider.failed("30004", PERSON, sid="SM1")).status == 200
        assert (await at.decided())["outcome"] == ("forwarded" if kept else "dropped")


async def test_r16_a_30004_of_a_message_younger_than_start_blocks(
    kafka: LocalKafka, tmp_path: Path, fresh_name: str
) -> None:
    async with scene(kafka, tmp_path, fresh_name, "receipts") as at:
        for said in ("STOP", "START"):
            assert (await at.provider.text(said, PERSON)).status == 200
        sent_at = now_ms() + 1
        await at.receipts.write(receipt(1, to=PERSON, sent_at=sent_at, finished_at=sent_at))
        await at.receipts.until_kept("SM1")
        assert (await at.provider.failed("30004", PERSON, sid="SM1")).status == 200
        assert (await at.decided())["outcome"] == "dropped"


async def test_r9_a_bounce_says_whose_message_it_was_where_the_event_does_not(
    kafka: LocalKafka, tmp_path: Path, fresh_name: str
) -> None:
    async with scene(kafka, tmp_path, fresh_name, "receipts") as at:
        event = mailgun_event("permanent_bounce", "person@example.com", **{"user-variables": {}})
        message_id = event["message"]["headers"]["message-id"]
        sent = {"provider": "mailgun", "provider_message_id": message_id, "channel": "Email"}
        await at.receipts.write(receipt(1, to="person@example.com", finished_at=now_ms(), **sent))
        await at.receipts.until_kept(message_id, provider="mailgun")
        assert (await at.provider.mailgun(event)).status == 200
        assert (await at.decided("person@example.com", "Email"))["outcome"] == "dropped"
