"""The limits of an account, and what it asks for."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import aiohttp
import pytest
from aiohttp import web

from consumers.reconcile import calling
from consumers.reconcile.calling import Caller, GaveUp, Refused
from gateway.metrics import Metrics
from tests.consumers.reconcile.providers import API_KEY, DOMAIN, Mailgun, at_call, busy, serving
from tests.running import sample

PATH = f"/v3/{DOMAIN}/bounces?limit=2"


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(calling, "FIRST_PAUSE_S", 0.001)
    monkeypatch.setattr(calling, "LONGEST_PAUSE_S", 0.001)


@pytest.fixture
async def mailgun() -> AsyncIterator[Mailgun]:
    provider = Mailgun()
    async with serving(provider):
        yield provider


def caller(session: aiohttp.ClientSession, mailgun: Mailgun, per_second: int = 1_000) -> Caller:
    return Caller(session, mailgun.url, "api", API_KEY, per_second, Metrics("test"))


async def test_no_more_pages_are_asked_for_in_a_second_than_the_account_allows(
    session: aiohttp.ClientSession, mailgun: Mailgun
) -> None:
    slow, begun = caller(session, mailgun, per_second=20), time.monotonic()
    for _ in range(11):
        await slow.get(PATH, "mailgun")
    assert time.monotonic() - begun >= 10 / 20 - 0.02


@pytest.mark.parametrize("as_date", [False, True])
async def test_who_asks_to_wait_is_waited_for(
    session: aiohttp.ClientSession, mailgun: Mailgun, *, as_date: bool
) -> None:
    until = format_datetime(datetime.now(UTC) + timedelta(seconds=3), usegmt=True)  # whole seconds: 2 to 3
    mailgun.instead = at_call(0, busy(429, Retry_After=until if as_date else "2"))
    begun = time.monotonic()
    await caller(session, mailgun).get(PATH, "mailgun")
    assert time.monotonic() - begun >= 1.9


async def test_who_stays_busy_is_given_up_after_so_many_tries(session: aiohttp.ClientSession, mailgun: Mailgun) -> None:
    mailgun.instead = lambda _: busy(500)
    metrics = Metrics("test")
    with pytest.raises(GaveUp, match="answered 500: slow down, 6 times"):
        await Caller(session, mailgun.url, "api", API_KEY, 1_000, metrics).get(PATH, "mailgun")
    assert len(mailgun.asked) == calling.TRIES
    counted = metrics.exposition().decode()
    assert sample(counted, "sendguard_reconcile_calls_total", provider="mailgun", status="500") == 6


async def test_a_redirect_is_not_followed_with_the_key(session: aiohttp.ClientSession, mailgun: Mailgun) -> None:
    other = Mailgun()
    async with serving(other):
        mailgun.instead = lambda _: web.Response(status=302, headers={"Location": f"{other.url}{PATH}"})
        with pytest.raises(Refused, match="answered 302"):
            await caller(session, mailgun).get(PATH, "mailgun")
    assert other.asked == []


async def test_an_answer_without_end_is_cut_off(
    session: aiohttp.ClientSession, mailgun: Mailgun, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(calling, "ANSWER_LIMIT_BYTES", 1_000)
    mailgun.instead = lambda _: web.Response(body=b"x" * 2_000)
    with pytest.raises(GaveUp, match="no answer"):
        await caller(session, mailgun).get(PATH, "mailgun")


async def test_nobody_there_is_no_answer(session: aiohttp.ClientSession) -> None:
    nobody = Caller(session, "http://127.0.0.1:1", "api", API_KEY, 1_000, Metrics("test"))
    with pytest.raises(GaveUp, match="no answer"):
        await nobody.get(PATH, "mailgun")


@pytest.mark.parametrize(
    ("refusal", "said"),
    [
        (busy(401), "answered 401: slow down"),
        (busy(429, Retry_After="3600"), "answered 429: slow down; it asks to wait for 3600 s"),
        (busy(503, Retry_After="3600"), "answered 503: slow down; it asks to wait for 3600 s"),
    ],
)
async def test_what_means_the_whole_account_is_not_asked_of_its_other_lists(
    session: aiohttp.ClientSession, mailgun: Mailgun, refusal: web.Response, said: str
) -> None:
    mailgun.instead = at_call(0, refusal)
    ours = caller(session, mailgun)
    for _ in range(3):
        with pytest.raises(GaveUp) as given_up:
            await ours.get(PATH, "mailgun")
        assert str(given_up.value) == said
        assert given_up.value.wait_s == (3_600 if "Retry-After" in refusal.headers else 0)
    assert len(mailgun.asked) == 1
    await caller(session, mailgun).get(PATH, "mailgun")  # in the next turn


async def test_a_list_that_is_refused_says_nothing_of_the_others(
    session: aiohttp.ClientSession, mailgun: Mailgun
) -> None:
    mailgun.instead = at_call(0, busy(404))
    ours = caller(session, mailgun)
    with pytest.raises(Refused, match="answered 404"):
        await ours.get(PATH, "mailgun")
    await ours.get(PATH, "mailgun")
