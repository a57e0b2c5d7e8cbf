"""Kill -9, and orderly stops, of the role `dispatch` in the midst of its work: one receipt for each message."""

from __future__ import annotations

import asyncio
import os
import random
import signal
import sys
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from aiohttp import web

from consumers.dispatch.account import FLIGHT_LIMIT
from consumers.dispatch.committing import UNSETTLED_LIMIT
from gateway.localkafka import LocalKafka
from gateway.settings import Settings
from tests.consumers.dispatch.provider import Call, Provider, created, serving
from tests.consumers.dispatch.scene import accounts_file, receipts
from tests.kafka.outside import DEADLINE_S
from tests.running import Outside, environment_for, request, running, settings_for, until

MESSAGES = 1_500
"""Several times what a line has in memory."""

RATE = 300
"""A second: there is time to die in."""

DEATHS = 3

PARTITIONS = 2


async def test_a_dispatcher_that_is_killed_again_and_again_gives_each_message_one_receipt(
    kafka: LocalKafka, tmp_path: Path, fresh_name: str
) -> None:
    seed = random.randrange(2**32)
    print(f"seed {seed}")
    chance = random.Random(seed)
    provider = Provider(answers_soon(chance))
    async with serving(provider):
        scene = await _forwarded(kafka, tmp_path, fresh_name, provider)
        for death in range(1, DEATHS + 1):
            async with dispatcher(scene.environment) as process:
                await _calls_are_made(provider, chance.randint(50, MESSAGES // DEATHS // 2))
                process.kill()
                await process.wait()
            print(f"death {death} at {len(provider.calls)} calls")
        async with running(scene.settings, "dispatch"):
            found = await asyncio.to_thread(receipts, scene.outside, MESSAGES)
    _one_for_each(found)
    calls = Counter(provider.bodies)
    assert calls.keys() == {str(number) for number in range(MESSAGES)}
    repeated = sum(calls.values()) - MESSAGES
    print(f"{repeated} calls repeated")
    assert repeated <= DEATHS * (FLIGHT_LIMIT + PARTITIONS * UNSETTLED_LIMIT)
    # Of what was sent again the call before had no receipt.
    last = {f"r-{call.form['Body']}": call.sid for call in provider.calls}
    assert {receipt["request_id"]: receipt["provider_message_id"] for receipt in found} == last


async def test_an_orderly_stop_loses_and_doubles_nothing(kafka: LocalKafka, tmp_path: Path, fresh_name: str) -> None:
    seed = random.randrange(2**32)
    print(f"seed {seed}")
    chance = random.Random(seed)
    provider = Provider(answers_soon(chance))
    async with serving(provider):
        scene = await _forwarded(kafka, tmp_path, fresh_name, provider)
        for _ in range(DEATHS):
            async with dispatcher(scene.environment) as process:
                await _calls_are_made(provider, chance.randint(50, MESSAGES // DEATHS // 2))
                process.send_signal(signal.SIGTERM)
                assert await process.wait() == 0
        async with running(scene.settings, "dispatch"):
            found = await asyncio.to_thread(receipts, scene.outside, MESSAGES)
    _one_for_each(found)
    assert Counter(provider.bodies) == {str(number): 1 for number in range(MESSAGES)}


def answers_soon(chance: random.Random) -> Any:
    """In 10 to 200 ms."""

    async def answer(call: Call) -> web.Response:
        await asyncio.sleep(chance.uniform(0.01, 0.2))
        return created(call.sid)

    return answer


class _Forwarded:
    """What the guard has forwarded, and what a dispatcher in a process of its own needs."""

    def __init__(self, settings: Settings, environment: dict[str, str]) -> None:
        self.settings = settings
        self.environment = environment
        self.outside = Outside.of(settings)


async def _forwarded(kafka: LocalKafka, folder: Path, name: str, provider: Provider) -> _Forwarded:
    accounts = str(accounts_file(folder, provider.url, RATE))
    settings = settings_for(kafka, folder, name, accounts=accounts)
    scene = _Forwarded(settings, environment_for(kafka, folder, name, accounts=accounts))
    async with running(settings, "guard"):
        for partition in range(PARTITIONS):
            numbers = range(partition, MESSAGES, PARTITIONS)
            requests = [request(number, body=str(number)) for number in numbers]
            await asyncio.to_thread(scene.outside.send, requests, partition)
        await asyncio.to_thread(scene.outside.decisions, MESSAGES)
    return scene


async def _calls_are_made(provider: Provider, more: int) -> None:
    goal = len(provider.calls) + more
    await until(lambda: len(provider.calls) >= goal, lambda: f"{len(provider.calls)} calls, not {goal}")


def _one_for_each(found: list[dict[str, Any]]) -> None:
    assert Counter(receipt["request_id"] for receipt in found) == {f"r-{number}": 1 for number in range(MESSAGES)}
    assert {receipt["outcome"] for receipt in found} == {"sent"}


@asynccontextmanager
async def dispatcher(environment: dict[str, str]) -> AsyncIterator[asyncio.subprocess.Process]:
    """The role in a process of its own."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "gateway.cli", "run", "--role", "dispatch"), env=os.environ | environment
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        async with asyncio.timeout(DEADLINE_S):
            await process.wait()
