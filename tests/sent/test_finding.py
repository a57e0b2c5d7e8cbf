"""The look-up behind a provider's late word (R16)."""

from __future__ import annotations

import asyncio
import logging

import pytest
from sqlalchemy import URL

from gateway.dnd.model import Actor, ActorKind, Cause, Scope, Subject, SubjectKind
from gateway.metrics import Metrics
from gateway.providers.signals import OptOut
from gateway.sent import SentLookup, SentMessage, SentMessages
from tests.running import sample
from tests.sent.messages import AT, at, message

PERSON = Subject("loc1", SubjectKind.PHONE, "+14155552671")


def failed(message_id: str | None = "SM1", at: int | None = None, **evidence: object) -> OptOut:
    actor = Actor(ActorKind.PROVIDER, "twilio")
    return OptOut("e1", PERSON, (Scope.SMS,), Cause.CARRIER_OPT_OUT, at, actor, evidence, message_id)


class Asked:
    """A look-up, and what it counted."""

    def __init__(self, store: SentMessages, deadline_s: float = 10.0) -> None:
        self._metrics = Metrics("test")
        self._lookup = SentLookup(store, self._metrics, deadline_s)
        self.completed = self._lookup.completed

    def counted(self, result: str) -> float:
        return sample(self._metrics.exposition().decode(), "sendguard_sent_lookups_total", result=result) or 0


class NeverAnswers(SentMessages):
    """As a database behind a network that swallows everything."""

    async def find(self, location_id: str, provider: str, provider_message_id: str) -> SentMessage | None:
        await asyncio.Event().wait()
        raise AssertionError


class IsAway(SentMessages):
    async def find(self, location_id: str, provider: str, provider_message_id: str) -> SentMessage | None:
        raise ConnectionRefusedError


async def test_r16_a_failure_is_dated_by_its_message_and_says_whose_it_was(sent: SentMessages) -> None:
    async with sent.writer() as writer:
        await writer.keep([message(1)], at(p0=1))
    asked = Asked(sent)
    found = await asked.completed(failed(code="30004"))
    assert found.at == AT + 1
    assert found.evidence == {"code": "30004", "contact_id": "c1", "decision_id": "outbound.requests-0-1"}
    assert asked.counted("found") == 1


async def test_what_the_call_says_itself_stays(sent: SentMessages) -> None:
    async with sent.writer() as writer:
        await writer.keep([message(1)], at(p0=1))
    asked = Asked(sent)
    assert (await asked.completed(failed(at=5))).at == 5
    assert (await asked.completed(failed(contact_id="c9"))).evidence["contact_id"] == "c9"
    told = failed(at=5, contact_id="c9")
    assert await asked.completed(told) is told
    assert asked.counted("found") == 2


@pytest.mark.parametrize("message_id", ["SM2", None])
async def test_r16_a_message_nobody_knows_counts_from_the_moment_it_is_told(
    sent: SentMessages, message_id: str | None
) -> None:
    told = failed(message_id)
    assert await Asked(sent).completed(told) is told


async def test_a_store_that_does_not_answer_costs_no_more_than_the_deadline(database: URL) -> None:
    asked, told = Asked(NeverAnswers(database), deadline_s=0.01), failed()
    assert await asked.completed(told) is told
    assert asked.counted("failed") == 1


async def test_a_store_that_is_away_is_said_once(database: URL, caplog: pytest.LogCaptureFixture) -> None:
    asked, told = Asked(IsAway(database)), failed()
    with caplog.at_level(logging.INFO):
        for _ in range(3):
            assert await asked.completed(told) is told
    assert len(caplog.records) == 1
    assert asked.counted("failed") == 3
