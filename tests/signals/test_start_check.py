"""Which of STOP and START came last, asked from a server that answers as Twilio's API does (R13, R18)."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import pytest
from aiohttp import web

from gateway.accounts import Accounts
from gateway.clock import now_ms
from gateway.dnd.record import Mark
from gateway.localkafka import LocalKafka
from gateway.metrics import Metrics
from gateway.providers.signals import OptIn, OptOut
from gateway.providers.twilio.webhooks import parse_inbound
from gateway.signals import start_check
from gateway.signals.door import Accepted
from gateway.signals.spool import Spool
from gateway.signals.start_check import ANSWER_LIMIT_BYTES, TwilioStartCheck
from tests.kafka.outside import until
from tests.providers.twilio.calls import LOCATION, PERSON, form
from tests.running import sample
from tests.signals.scene import Knows, Log, door_to, publisher_on
from tests.signals.twilio_api import TwilioApi, serving

NOON = 1_763_900_000_000
SLACK_S = 5.0
"""For a busy machine."""


def stop(sid: str = "SM1") -> OptOut:
    (signal,) = parse_inbound(form("inbound_stop", MessageSid=sid), LOCATION, Accounts().location(LOCATION)).signals
    assert isinstance(signal, OptOut)
    return replace(signal, subject=PERSON)


def start(sid: str = "SM2") -> OptIn:
    (signal,) = parse_inbound(form("inbound_start", MessageSid=sid), LOCATION, Accounts().location(LOCATION)).signals
    assert isinstance(signal, OptIn)
    return replace(signal, subject=PERSON)


def mark(signal: OptOut) -> Mark:
    """As the record has it."""
    return Mark(NOON, signal.event_id, signal.actor, signal.evidence)


def accounts(api: TwilioApi, **changed: Any) -> Accounts:
    account = {
        "account_sid": api.account_sid,
        "auth_token": [api.auth_token, "token-of-last-year"],
        "public_url": "https://gw.example.com",
        "api_base": api.url,
    }
    location = {"twilio": account | changed}
    return Accounts.parse({"locations": {LOCATION: location, "shares it": location, "has none": {}}}, "accounts")


@pytest.fixture
async def api() -> AsyncIterator[TwilioApi]:
    async with serving(TwilioApi()) as running:
        yield running


@pytest.fixture
def metrics() -> Metrics:
    return Metrics("test")


@pytest.fixture
async def check(api: TwilioApi, metrics: Metrics) -> AsyncIterator[TwilioStartCheck]:
    found = TwilioStartCheck(accounts(api), metrics)
    async with found.opened():
        yield found


def counted(metrics: Metrics, result: str) -> float:
    return sample(metrics.exposition().decode(), "sendguard_start_checks_total", result=result) or 0.0


@pytest.mark.parametrize(
    ("started_after_ms", "expected", "result"),
    [
        (1_000, True, "later"),
        (9_000, True, "later"),
        (0, False, "not_later"),
        (-1_000, False, "not_later"),
    ],
)
async def test_the_start_is_later_if_twilio_took_it_in_later(
    api: TwilioApi,
    check: TwilioStartCheck,
    metrics: Metrics,
    started_after_ms: int,
    expected: bool,
    result: str,
) -> None:
    api.created = {"SM1": NOON, "SM2": NOON + started_after_ms}
    assert await check.sent_after(start(), mark(stop())) is expected
    assert sorted(api.asked) == [f"/2010-04-01/Accounts/AC1/Messages/{sid}.json" for sid in ("SM1", "SM2")]
    assert counted(metrics, result) == 1


@pytest.mark.parametrize("missing", ["SM1", "SM2"])
async def test_of_a_message_that_twilio_does_not_have_nothing_is_known(
    api: TwilioApi, check: TwilioStartCheck, metrics: Metrics, missing: str
) -> None:
    api.created = {"SM1": NOON, "SM2": NOON + 1_000}
    del api.created[missing]
    assert await check.sent_after(start(), mark(stop())) is None
    assert counted(metrics, "unknown") == 1


@pytest.mark.parametrize(
    "broken",
    [
        web.Response(status=500),
        web.Response(status=429, body=b'{"code": 20429}'),
        web.Response(status=200, body=b"<html>"),
        web.Response(status=200, body=b" " * (2 * ANSWER_LIMIT_BYTES)),
        web.Response(status=200, body=b'{"sid": "SM1"}'),
    ],
    ids=["broken", "busy", "no JSON", "endless", "no date"],
)
async def test_an_answer_that_says_nothing_leaves_it_unknown(
    api: TwilioApi, check: TwilioStartCheck, broken: web.Response
) -> None:
    api.created, api.broken = {"SM1": NOON, "SM2": NOON + 1_000}, broken
    assert await check.sent_after(start(), mark(stop())) is None
    api.broken = None
    assert await check.sent_after(start(), mark(stop())) is True


async def test_the_token_follows_no_redirect(api: TwilioApi, check: TwilioStartCheck) -> None:
    api.created = {"SM1": NOON, "SM2": NOON + 1_000}
    async with serving(TwilioApi(created=api.created)) as elsewhere:
        path = "/2010-04-01/Accounts/AC1/Messages/SM2.json"
        api.broken = web.Response(status=307, headers={"Location": elsewhere.url + path})
        assert await check.sent_after(start(), mark(stop())) is None
        assert elsewhere.asked == []


async def test_a_server_that_hangs_is_not_waited_for_longer_than_the_deadline(
    api: TwilioApi, check: TwilioStartCheck
) -> None:
    api.hangs = True
    begun = time.monotonic()
    assert await check.sent_after(start(), mark(stop())) is None
    assert time.monotonic() - begun < start_check.ASK_DEADLINE_S + SLACK_S
    assert len(api.asked) == 2, "both are asked at once"


async def test_nobody_there_to_ask_leaves_it_unknown(metrics: Metrics) -> None:
    check = TwilioStartCheck(accounts(TwilioApi(url="http://127.0.0.1:1")), metrics)
    assert await check.sent_after(start(), mark(stop())) is None, "not open yet"
    async with check.opened():
        assert await check.sent_after(start(), mark(stop())) is None
    assert await check.sent_after(start(), mark(stop())) is None, "closed"


async def test_locations_that_share_an_account_ask_with_it_and_one_without_asks_nobody(
    api: TwilioApi, check: TwilioStartCheck
) -> None:
    api.created = {"SM1": NOON, "SM2": NOON + 1_000}
    for location, expected in (("shares it", True), ("has none", None)):
        signal = replace(start(), subject=PERSON._replace(location_id=location))
        assert await check.sent_after(signal, mark(stop())) is expected
    assert len(api.asked) == 2


@pytest.mark.parametrize(
    "evidence", [{}, {"provider": "whatsapp", "message_sid": "SM1"}, {"provider": "twilio", "message_sid": 1}]
)
async def test_what_did_not_come_through_twilio_is_not_asked_for(
    api: TwilioApi, check: TwilioStartCheck, evidence: dict[str, object]
) -> None:
    assert await check.sent_after(start(), replace(mark(stop()), evidence=evidence)) is None
    assert await check.sent_after(replace(start(), evidence=evidence), mark(stop())) is None
    assert api.asked == []


async def test_the_first_token_is_used_and_a_wrong_one_is_said_once(
    api: TwilioApi, metrics: Metrics, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, logger="gateway.signals.start_check")
    api.created = {"SM1": NOON, "SM2": NOON + 1_000}
    check = TwilioStartCheck(accounts(api), metrics)
    async with check.opened():
        for token, expected in (("exchanged", None), ("exchanged", None), ("token", True), ("token", True)):
            api.auth_token = token
            assert await check.sent_after(start(), mark(stop())) is expected
    said = [record.getMessage() for record in caplog.records]
    assert [("20003" in text, "says again" in text) for text in said] == [(True, False), (False, True)]
    assert not any(PERSON.id in text or "token" in text for text in said)


def test_the_window_is_the_location_s() -> None:
    locations = {"short": {"start_check_window_s": 2.5}, "none": {"start_check_window_s": 0}}
    check = TwilioStartCheck(Accounts.parse({"locations": locations}, "accounts"), Metrics("test"))
    assert [check.window_ms(location) for location in ("short", "none", "unknown")] == [2_500, 0, 10_000]


@pytest.mark.parametrize(("started_after_ms", "held"), [(1_000, False), (0, True), (-2_000, True), (None, True)])
async def test_r13_r18_a_start_close_behind_a_stop_frees_only_if_twilio_took_it_in_later(
    kafka: LocalKafka,
    fresh_name: str,
    spool: Spool,
    api: TwilioApi,
    check: TwilioStartCheck,
    started_after_ms: int | None,
    held: bool,
) -> None:
    """From the webhook's fields to the log and back: the hold's evidence names the message to ask for."""
    api.created = {"SM1": NOON} | ({} if started_after_ms is None else {"SM2": NOON + started_after_ms})
    log = Log.on(kafka, fresh_name)
    async with publisher_on(kafka, log.topic) as publisher:
        assert await door_to(publisher, spool).accept([stop()], now_ms()) == Accepted(1)
        door = door_to(publisher, spool, Knows(log.record(PERSON)), start_check=check)
        assert await door.accept([start()], now_ms()) == Accepted(1)
        assert bool(dict(log.record(PERSON).holds())) == held
        # The same one again, outside the window, is no other answer.
        door = door_to(publisher, spool, Knows(log.record(PERSON)), start_check=check)
        assert await door.accept([start()], now_ms() + 60_000) == Accepted(0)
        assert bool(dict(log.record(PERSON).holds())) == held


async def test_who_waits_for_an_answer_when_it_is_closed_gets_none(api: TwilioApi, metrics: Metrics) -> None:
    api.hangs = True
    check = TwilioStartCheck(accounts(api), metrics)
    async with check.opened():
        waiting = asyncio.create_task(check.sent_after(start(), mark(stop())))
        await until(lambda: len(api.asked) == 2)
    assert await waiting is None
