"""The role http while Kafka or the disk is away, and while its process dies: what was answered with 200 is not lost."""

from __future__ import annotations

import asyncio
import itertools
import random
import signal
import time
from pathlib import Path

import aiohttp
import pytest

from gateway.accounts import Accounts
from gateway.localkafka import LocalKafka, LocalKafkaConfig
from gateway.metrics import Metrics
from gateway.roles import Services
from gateway.settings import Settings
from gateway.signals.service import spool_directory
from gateway.streams.topics import apply
from gateway.web import role
from gateway.web.role import build
from gateway.web.server import HttpServer
from tests.cli.test_run import service
from tests.kafka.outside import until_awaited
from tests.running import (
    DEADLINE_S,
    Outside,
    environment_for,
    get,
    request,
    running,
    sample,
    settings_for,
    started,
    until,
)
from tests.web.webhooks.calling import Provider, accounts_in
from tests.web.webhooks.processes import AWAY, calling, drained, keys, phone, port_of, spooled

STOPS_AT_ONCE = 5
BETWEEN_STOPS_S = 0.5

KILLS = 3
"""Of a process that Kafka is there for, each at another moment."""


@pytest.fixture
def settings(kafka: LocalKafka, tmp_path: Path, fresh_name: str) -> Settings:
    return settings_for(kafka, tmp_path / "data", fresh_name, accounts=str(accounts_in(tmp_path)))


def without_kafka(settings: Settings, folder: Path) -> Settings:
    """The same process at a time when Kafka is away."""
    return Settings.of(
        kafka_bootstrap_servers=AWAY,
        topic_prefix=settings.topics.prefix,
        data_dir=str(settings.data_dir),
        http_port=0,
        accounts=str(folder / "accounts.toml"),
    )


async def test_a_stop_that_comes_while_kafka_is_away_at_the_start_is_kept_and_drained_later(
    settings: Settings, tmp_path: Path
) -> None:
    async with started(without_kafka(settings, tmp_path), "http") as away:
        async with calling(away) as provider:
            await until(lambda: (spool_directory(settings) / "signals.sqlite").exists())
            for number in range(3):
                assert (await provider.text("STOP", phone(number))).status == 200
        text = away.metrics.exposition().decode()
        assert sample(text, "sendguard_webhooks_total", provider="twilio", result="spooled") == 3
        assert sample(text, "sendguard_spool_signals") == 3
    async with running(settings, "http", "guard") as back:
        await until(lambda: sample(back.metrics.exposition().decode(), "sendguard_spool_signals") == 0)
        outside = Outside.of(settings)
        await asyncio.to_thread(outside.send, [request(number) for number in range(4)])
        decisions = await asyncio.to_thread(outside.decisions, 4)
    assert [each["outcome"] for each in decisions] == ["dropped", "dropped", "dropped", "forwarded"]


@pytest.mark.parametrize(
    ("outage", "lasts_s"),
    [
        ("killed", 10.0),
        pytest.param("killed", 60.0, marks=pytest.mark.soak),
        pytest.param("frozen", 60.0, marks=pytest.mark.soak),
    ],
)
async def test_an_outage_while_stops_arrive_loses_none(
    tmp_path: Path, fresh_name: str, outage: str, lasts_s: float
) -> None:
    """They come all the time; each is answered with 200 before Kafka is back, and all of them count then."""
    accounts = str(accounts_in(tmp_path))
    with LocalKafka(LocalKafkaConfig()) as breakable:
        settings = settings_for(breakable, tmp_path / "data", fresh_name)
        await apply(settings)
        environment = environment_for(breakable, tmp_path / "data", fresh_name, accounts=accounts)
        async with service(environment, "--role", "guard", "--role", "http") as process:
            await process.ready()
            async with calling(await port_of(process)) as provider:
                assert (await provider.text("STOP", phone(0))).status == 200
                (broker,) = breakable.brokers
                away, back = (broker.freeze, broker.thaw) if outage == "frozen" else (broker.kill, broker.start)
                await asyncio.to_thread(away)
                stopped = await stops_for(lasts_s, provider)
                assert await spooled(provider) == stopped
                await asyncio.to_thread(back)
                await until_awaited(lambda: drained(provider))
            outside = Outside.of(settings)
            await asyncio.to_thread(outside.send, [request(number) for number in range(stopped + 2)])
            decisions = await asyncio.to_thread(outside.decisions, stopped + 2)
    assert [each["outcome"] for each in decisions] == ["dropped"] * (stopped + 1) + ["forwarded"]


async def stops_for(lasts_s: float, provider: Provider) -> int:
    """People 1, 2, ... say STOP, some at a time, all answered with 200; how many they are."""
    stopped, ends_at = 0, time.monotonic() + lasts_s
    while time.monotonic() < ends_at:
        numbers = range(stopped + 1, stopped + 1 + STOPS_AT_ONCE)
        answers = await asyncio.gather(*[provider.text("STOP", phone(number)) for number in numbers])
        assert {answer.status for answer in answers} == {200}
        stopped = numbers[-1]
        await asyncio.sleep(
            BETWEEN_STOPS_S
        )  # that they come during all of the outage, and not only in its first second
    return stopped


async def test_kill_9_between_spool_and_drain_loses_nothing(
    kafka: LocalKafka, settings: Settings, tmp_path: Path, fresh_name: str
) -> None:
    """A process that has answered and not published yet is killed; the next one on its data directory publishes."""
    await apply(settings)
    there = environment_for(kafka, tmp_path / "data", fresh_name, accounts=str(tmp_path / "accounts.toml"))
    answered: list[int] = []
    async with service(there | {"SENDGUARD_KAFKA_BOOTSTRAP_SERVERS": AWAY}, "--role", "http") as process:
        async with calling(await port_of(process)) as provider:
            await until(lambda: (spool_directory(settings) / "signals.sqlite").exists())

            async def stops(first: int) -> None:
                for number in range(first, first + 100):
                    assert (await provider.text("STOP", phone(number))).status == 200
                    answered.append(number)

            calls = [asyncio.create_task(stops(first)) for first in range(0, 2_000, 100)]
            await until(lambda: len(answered) >= 30)
            process.signal(signal.SIGKILL)
            ends = await asyncio.gather(*calls, return_exceptions=True)
        assert all(isinstance(end, aiohttp.ClientError) for end in ends)
        await process.ended()
    async with running(settings, "http") as back:
        await until(lambda: sample(back.metrics.exposition().decode(), "sendguard_spool_signals") == 0)
    held = {subject[2] for subject in await keys(settings, len(answered))}
    assert {phone(number) for number in answered} <= held


async def test_kill_9_in_mid_request_loses_nothing_that_was_answered(
    kafka: LocalKafka, settings: Settings, tmp_path: Path, fresh_name: str
) -> None:
    """Again and again, with calls in every state; what is on disk from before is drained at the same time."""
    seed = random.randrange(2**32)
    print(f"seed {seed}")
    chance, numbers = random.Random(seed), itertools.count()
    await apply(settings)
    there = environment_for(kafka, tmp_path / "data", fresh_name, accounts=str(tmp_path / "accounts.toml"))
    answered: set[str] = set()

    async def stops(provider: Provider) -> None:
        while True:
            person = phone(next(numbers))
            assert (await provider.text("STOP", person)).status == 200
            answered.add(person)

    for kill in range(KILLS):
        away = {"SENDGUARD_KAFKA_BOOTSTRAP_SERVERS": AWAY} if kill == 0 else {}
        async with service(there | away, "--role", "http") as process:
            async with calling(await port_of(process)) as provider:
                await until(lambda: (spool_directory(settings) / "signals.sqlite").exists())
                behind = len(answered) + chance.randrange(1, 60)
                calls = [asyncio.create_task(stops(provider)) for _ in range(20)]
                await until(lambda behind=behind: len(answered) > behind)  # type: ignore[misc]  # a loop's variable
                process.signal(signal.SIGKILL)
                ends = await asyncio.gather(*calls, return_exceptions=True)
            assert [end for end in ends if not isinstance(end, aiohttp.ClientError)] == []
            await process.ended()
    async with running(settings, "http") as back:
        await until(lambda: sample(back.metrics.exposition().decode(), "sendguard_spool_signals") == 0)
    assert answered <= {subject[2] for subject in await keys(settings, len(answered))}


async def test_neither_kafka_nor_disk_is_503_not_ready_and_better_by_itself(settings: Settings, tmp_path: Path) -> None:
    """Root may write everywhere, so the disk is broken by what cannot be a directory."""
    spool = spool_directory(settings)
    spool.parent.mkdir(parents=True)
    spool.write_text("not a directory")
    async with started(without_kafka(settings, tmp_path), "http") as broken, calling(broken) as provider:
        answer = await provider.text("STOP", phone(1))
        assert (answer.status, int(answer.headers["Retry-After"]) > 0) == (503, True)
        text = broken.metrics.exposition().decode()
        assert sample(text, "sendguard_webhooks_refused_total", provider="twilio", location="loc1", status="503") == 1
        assert (await get(broken, "/livez"))[0] == 200
        spool.unlink()
        await until(lambda: (spool / "signals.sqlite").exists())
        assert (await provider.text("STOP", phone(1))).status == 200


async def test_a_spool_that_cannot_be_written_is_a_reason_not_to_be_ready(settings: Settings) -> None:
    spool = spool_directory(settings)
    spool.parent.mkdir(parents=True)
    spool.write_text("not a directory")
    await apply(settings)
    async with started(settings, "http") as broken, calling(broken) as provider:
        await until(lambda: "spool: " in str(broken.problems()))
        async with asyncio.timeout(DEADLINE_S):  # Kafka alone is enough, once the producer has found it
            while (await provider.text("STOP", phone(1))).status != 200:
                pass
        assert (await get(broken, "/readyz"))[0] == 503
        spool.unlink()
        await until(lambda: not broken.problems())


async def test_a_spool_that_is_not_drained_for_long_is_a_reason_not_to_be_ready(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    away, metrics = without_kafka(settings, tmp_path), Metrics("test")
    services = Services(away, Accounts.load(away.accounts), metrics)
    http = build(services)

    def of_the_spool() -> list[str]:
        return [each for each in http.problems() if each.startswith("spool: ")]

    server = HttpServer(away.http, list, metrics, services.web)
    await server.start()
    try:
        async with calling(server.port) as provider:
            await until(lambda: not of_the_spool())
            assert (await provider.text("STOP", phone(1))).status == 200
        assert of_the_spool() == []
        monkeypatch.setattr(role, "SPOOL_OLD_S", -1)
        assert of_the_spool() != []
    finally:
        await server.stop()


async def test_calls_while_the_service_stops_are_kept_or_not_answered(settings: Settings) -> None:
    """The door is open as long as the server listens: a call is safe, or it fails and comes again."""
    stop, answered = asyncio.Event(), set()
    async with running(settings, "guard", "http", stop=stop) as gateway, calling(gateway) as provider:

        async def stops(first: int) -> None:
            number = first
            while True:
                if (await provider.text("STOP", phone(number))).status != 200:
                    raise AssertionError("it was answered, and not with 200")
                answered.add(phone(number))
                number += 10

        calls = [asyncio.create_task(stops(first)) for first in range(10)]
        await until(lambda: len(answered) > 50)
        stop.set()
        ends = await asyncio.gather(*calls, return_exceptions=True)
    assert [end for end in ends if not isinstance(end, aiohttp.ClientError)] == []
    async with running(settings, "http") as back:
        await until(lambda: sample(back.metrics.exposition().decode(), "sendguard_spool_signals") == 0)
    held = {subject[2] for subject in await keys(settings, len(answered))}
    assert answered <= held
