"""The role `reconcile` against a real Kafka, real databases and providers' servers."""

from __future__ import annotations

import asyncio
import json
import os
import sys
import time
from pathlib import Path

import pytest
from click.testing import CliRunner

from gateway.app import Service
from gateway.cli import main
from gateway.dnd.model import Cause
from gateway.drift import DriftRow, DriftStore, report
from gateway.localkafka import LocalKafka
from gateway.settings import Settings
from gateway.streams.topics import apply
from tests.consumers.crm import Crm
from tests.consumers.reconcile.providers import API_KEY, DOMAIN, SID, TOKEN, Mailgun, Twilio, busy, serving
from tests.kafka.outside import DEADLINE_S, until_awaited
from tests.running import (
    Outside,
    environment_for,
    request,
    running,
    sample,
    settings_for,
    started,
    until,
    values_for,
)

HOUR_MS = 3_600_000
PERSON, MAIL = "+14155550007", "person@example.com"


def accounts_in(folder: Path, mailgun: Mailgun, twilio: Twilio) -> str:
    path = folder / "accounts.toml"
    path.write_text(
        f"""
[locations.loc1.twilio]
account_sid = "{SID}"
auth_token = "{TOKEN}"
public_url = "https://gw.example.com"
api_base = "{twilio.url}"
[locations.loc1.mailgun]
signing_key = "unused"
api_key = "{API_KEY}"
domains = ["{DOMAIN}"]
api_base = "{mailgun.url}"
""",
        encoding="utf-8",
    )
    return str(path)


QUICK: dict[str, object] = {"reconcile_calls_per_second": 1_000, "reconcile_page_size": 20}


async def rows(settings: Settings) -> dict[str, DriftRow]:
    """The report, by list."""
    store = DriftStore.of(settings)
    try:
        return {row.listed: row for row in report(await store.states(), await store.missing())}
    finally:
        await store.close()


async def until_compared(settings: Settings, since: int = 0) -> dict[str, DriftRow]:
    """Until all lists have been read through after that time, and compared both ways."""

    async def compared() -> bool:
        store = DriftStore.of(settings)
        try:
            states = await store.states()
            missing = await store.missing()
        finally:
            await store.close()
        return (
            len(states) == 4
            and all((state.finished_at or 0) > since and not state.under_way for state in states)
            and len(missing) == 3
            and all(each.compared_at > since for each in missing)
        )

    await until_awaited(compared)
    return await rows(settings)


def drift(service: Service, listed: str, side: str) -> float | None:
    labels = {"location": "loc1", "provider": "twilio" if listed == "messages" else "mailgun", "list": listed}
    return sample(service.metrics.exposition().decode(), "sendguard_drift_addresses", side=side, **labels)


async def test_r9_r13_what_never_reached_us_drops_the_next_request_and_the_report_says_so(
    kafka: LocalKafka, tmp_path: Path, fresh_name: str, database_values: dict[str, object]
) -> None:
    mailgun, twilio, now = Mailgun(), Twilio(), time.time_ns() // 1_000_000
    mailgun.on("unsubscribes", MAIL, at=now - HOUR_MS)
    twilio.says("STOP", PERSON, now - HOUR_MS)
    async with serving(mailgun, twilio):
        accounts = accounts_in(tmp_path, mailgun, twilio)
        settings = settings_for(kafka, tmp_path / "data", fresh_name, accounts=accounts, **QUICK, **database_values)
        outside = Outside.of(settings)
        async with running(settings, "guard", "reconcile") as service:
            found = await until_compared(settings)
            assert (found["unsubscribes"].found.missing_here, found["messages"].found.missing_here) == (1, 1)
            outside.send([request(1, to=PERSON), request(2, to=MAIL, channel="Email"), request(3, to="+14155550008")])
            decided = {each["request_id"]: each for each in await asyncio.to_thread(outside.decisions, 3)}
            assert [decided[f"r-{number}"]["outcome"] for number in (1, 2, 3)] == ["dropped", "dropped", "forwarded"]
            assert decided["r-1"]["reasons"][0]["cause"] == Cause.KEYWORD_OPT_OUT
            await until(lambda: drift(service, "messages", "missing_here") == 1)
            mailgun.off("unsubscribes", MAIL)
            now = time.time_ns() // 1_000_000
            shown = await asyncio.to_thread(_shell, settings, "--now")
            assert "4 lists are read" in shown
            found = await until_compared(settings, now)
            assert found["unsubscribes"].found.missing_there == 1
            assert found["unsubscribes"].found.missing_here == 0
            await until(lambda: drift(service, "unsubscribes", "missing_there") == 1)
            counted = service.metrics.exposition().decode()
            labels = {"provider": "twilio", "list": "messages"}
            assert sample(counted, "sendguard_reconcile_placed_total", **labels) == 1
        given = json.loads(await asyncio.to_thread(_shell, settings, "--json"))
        assert {row["listed"]: row["found"]["missing_there"] for row in given} == {
            "bounces": 0,
            "complaints": 0,
            "messages": 0,
            "unsubscribes": 1,
        }
        assert f"loc1 unsubscribes missing there: {MAIL}" in await asyncio.to_thread(_shell, settings)


def _shell(settings: Settings, *options: str) -> str:
    database = settings.database_url
    variables = {"SENDGUARD_DATA_DIR": str(settings.data_dir)}
    if database is not None:
        variables["SENDGUARD_DATABASE_URL"] = database.reveal()
    result = CliRunner().invoke(main, ["reconcile", *options], env=variables)
    assert result.exit_code == 0, result.output
    return result.output


@pytest.mark.parametrize("dies_at", [2, 4, 9])
async def test_killed_in_the_middle_it_goes_on_behind_the_last_page_done(
    kafka: LocalKafka, tmp_path: Path, fresh_name: str, dies_at: int
) -> None:
    mailgun, twilio, now = Mailgun(), Twilio(), time.time_ns() // 1_000_000
    people = [f"p{number:02}@example.com" for number in range(70)]
    for listed in ("bounces", "unsubscribes", "complaints"):
        mailgun.on(listed, *people, at=now - HOUR_MS)
    for number in range(50):
        twilio.says("STOP", f"+1415555{number:04d}", now - HOUR_MS)
    async with serving(mailgun, twilio):
        values: dict[str, object] = {"accounts": accounts_in(tmp_path, mailgun, twilio)} | QUICK
        settings = settings_for(kafka, tmp_path / "data", fresh_name, **values)
        await apply(settings)
        await _until_dead(environment_for(kafka, tmp_path / "data", fresh_name, **values), dies_at)
        states = {state.listed: state for state in await _states(settings)}
        before = len(mailgun.asked)
        async with running(settings, "reconcile"):
            await until_compared(settings)
    done = states.get("bounces")
    if done is not None and done.under_way and done.next_path is not None:
        assert mailgun.asked[before] == done.next_path
    events = [event for event, _ in await Crm(settings).log()]
    assert len({(event.event_id, event.subject) for event in events}) == 3 * 70 + 50
    held = {event.subject for event in events}
    assert {subject.id for subject in held} == {*people, *[f"+1415555{number:04d}" for number in range(50)]}


async def _states(settings: Settings) -> list:  # type: ignore[type-arg]
    store = DriftStore.of(settings)
    try:
        return await store.states()
    finally:
        await store.close()


async def _until_dead(environment: dict[str, str], dies_at: int) -> None:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "tests.consumers.reconcile.reconcile_and_die",
        str(dies_at),
        env={**os.environ, **environment},
        cwd=Path(__file__).parents[3],
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        async with asyncio.timeout(DEADLINE_S):
            assert await process.wait() == -9
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def test_one_dead_account_holds_up_no_other_and_its_error_is_shown(
    kafka: LocalKafka, tmp_path: Path, fresh_name: str
) -> None:
    mailgun, twilio, now = Mailgun(), Twilio(), time.time_ns() // 1_000_000
    mailgun.instead = lambda _: busy(503, Retry_After="250")
    twilio.says("STOP", PERSON, now - HOUR_MS)
    async with serving(mailgun, twilio):
        accounts = accounts_in(tmp_path, mailgun, twilio)
        settings = settings_for(kafka, tmp_path / "data", fresh_name, accounts=accounts, **QUICK)
        async with running(settings, "reconcile"):
            await until_awaited(lambda: _placed(settings))
            assert len(mailgun.asked) == 1
            mailgun.instead = lambda _: busy(401)
    async with serving(mailgun, twilio):
        accounts_in(tmp_path, mailgun, twilio)
        async with running(settings, "reconcile"):
            await until_awaited(lambda: _said(settings))


async def _placed(settings: Settings) -> bool:
    row = (await rows(settings)).get("messages")
    return row is not None and row.found.missing_here == 1


async def _said(settings: Settings) -> bool:
    row = (await rows(settings)).get("bounces")
    return row is not None and row.errors == [f"{DOMAIN}: answered 401: slow down"]


async def test_without_its_database_it_is_not_ready_and_says_why(
    kafka: LocalKafka, tmp_path: Path, fresh_name: str
) -> None:
    await apply(settings_for(kafka, tmp_path, fresh_name))
    values = values_for(kafka, tmp_path, fresh_name) | {"database_url": "postgresql://u:secret@127.0.0.1:1/none"}
    async with started(Settings.of(**values), "reconcile") as service:
        await until(lambda: any("lists are not compared" in problem.reason for problem in service.problems()))
        assert "secret" not in str(service.problems())
