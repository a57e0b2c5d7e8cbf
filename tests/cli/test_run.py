"""`sendguard run` as a process."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import pytest

from tests.cli.shell import sendguard
from tests.running import DEADLINE_S, LOOK_EVERY_S, Outside, request

HEALTH = re.compile(r"health on (http://\S+)/readyz")


class Process:
    """One service; `said` is what it wrote to stderr so far."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self.said = ""

    async def says(self, pattern: re.Pattern[str]) -> re.Match[str]:
        """Wait until it has written that."""
        assert self._process.stderr is not None
        async with asyncio.timeout(DEADLINE_S):
            while (found := pattern.search(self.said)) is None:
                line = await self._process.stderr.readline()
                assert line, f"it ended: {self.said}"
                self.said += line.decode()
        return found

    async def ready(self) -> None:
        url = (await self.says(HEALTH))[1]
        async with asyncio.timeout(DEADLINE_S), aiohttp.ClientSession() as session:
            while True:
                async with session.get(f"{url}/readyz") as answer:
                    if answer.status == 200:
                        return
                await asyncio.sleep(LOOK_EVERY_S)

    def signal(self, number: signal.Signals) -> None:
        self._process.send_signal(number)

    async def ended(self) -> int:
        """Its exit code."""
        async with asyncio.timeout(DEADLINE_S):
            _, rest = await self._process.communicate()
        self.said += rest.decode()
        assert self._process.returncode is not None
        return self._process.returncode


@asynccontextmanager
async def service(
    environment: Mapping[str, str], *arguments: str, module: Sequence[str] = ("gateway.cli",)
) -> AsyncIterator[Process]:
    """`module`: what `sendguard` is for this one, with arguments of its own."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        *module,
        "run",
        *arguments,
        env={**os.environ, **environment},
        stdin=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        yield Process(process)
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_signal_ends_it_with_0(environment: dict[str, str], number: signal.Signals) -> None:
    async with service(environment) as process:
        await process.ready()
        process.signal(number)
        assert await process.ended() == 0
    assert "Traceback" not in process.said


async def test_what_it_decided_before_the_signal_is_committed_and_the_next_process_goes_on_behind_it(
    environment: dict[str, str], outside: Outside
) -> None:
    for numbers in (range(3), range(3, 5)):
        async with service(environment, "--role", "guard") as process:
            await process.ready()
            await asyncio.to_thread(outside.send, [request(number) for number in numbers])
            await asyncio.to_thread(outside.decisions, numbers.stop)
            process.signal(signal.SIGTERM)
            assert await process.ended() == 0
    decided = await asyncio.to_thread(outside.decisions, 5)
    assert [each["request_id"] for each in decided] == [f"r-{number}" for number in range(5)]


async def test_a_signal_while_kafka_is_away_ends_it_with_0(environment: dict[str, str]) -> None:
    away = environment | {"SENDGUARD_KAFKA_BOOTSTRAP_SERVERS": "127.0.0.1:1"}
    async with service(away) as process:
        await process.says(re.compile("Kafka cannot be reached"))
        process.signal(signal.SIGTERM)
        assert await process.ended() == 0


STUCK = """
import asyncio
from gateway.cli.run import until_signal

async def serve(stop):
    print("up", flush=True)
    await stop.wait()
    print("told", flush=True)
    await asyncio.Event().wait()

asyncio.run(until_signal(serve))
"""


async def test_a_second_signal_ends_it_at_once_whatever_it_waits_for() -> None:
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", STUCK, stdout=asyncio.subprocess.PIPE)
    assert process.stdout is not None
    async with asyncio.timeout(DEADLINE_S):
        assert await process.stdout.readline() == b"up\n"
        process.send_signal(signal.SIGTERM)
        assert await process.stdout.readline() == b"told\n"
        process.send_signal(signal.SIGTERM)
        assert await process.wait() == -signal.SIGTERM


HUNG_UP = """
import asyncio
from gateway.cli.run import until_signal

async def serve(stop):
    print("up", flush=True)
    await stop.wait()

asyncio.run(until_signal(serve, lambda: print("hung up", flush=True)))
"""


async def test_a_hang_up_is_handed_on_and_ends_nothing() -> None:
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", HUNG_UP, stdout=asyncio.subprocess.PIPE)
    assert process.stdout is not None
    async with asyncio.timeout(DEADLINE_S):
        assert await process.stdout.readline() == b"up\n"
        for _ in range(2):
            process.send_signal(signal.SIGHUP)
            assert await process.stdout.readline() == b"hung up\n"
        process.send_signal(signal.SIGTERM)
        assert await process.wait() == 0


async def test_a_hang_up_reads_the_accounts_file_again(environment: dict[str, str], tmp_path: Path) -> None:
    accounts = tmp_path / "accounts.toml"
    accounts.write_text("")
    async with service(environment | {"SENDGUARD_ACCOUNTS": str(accounts)}) as process:
        await process.ready()
        process.signal(signal.SIGHUP)
        await process.says(re.compile("accounts: read again, nothing has changed"))
        accounts.write_text("[locations.loc1]\nmax_per_second = 0\n")
        process.signal(signal.SIGHUP)
        await process.says(re.compile("accounts: .*: locations.loc1.max_per_second: expected a number"))
        process.signal(signal.SIGTERM)
        assert await process.ended() == 0


@pytest.mark.parametrize("roles", [(), ("--role", "guard")])
@pytest.mark.parametrize("folder", ["/proc/nowhere", __file__])
async def test_a_data_directory_that_cannot_be_used_ends_it_with_2_whatever_the_role(
    environment: dict[str, str], folder: str, roles: tuple[str, ...]
) -> None:
    async with service(environment | {"SENDGUARD_DATA_DIR": folder}, *roles) as process:
        assert await process.ended() == 2
    assert f"data_dir: expected a directory that this process may write to, {folder}: " in process.said
    assert "Traceback" not in process.said


async def test_a_log_that_could_lose_a_hold_ends_it_with_1_and_is_named(
    environment: dict[str, str], outside: Outside
) -> None:
    await asyncio.to_thread(outside.change, outside.topics.dnd_events, cleanup_policy="compact")
    async with service(environment) as process:
        assert await process.ended() == 1
    assert "dnd.events: cleanup.policy: expected delete, found compact" in process.said
    assert "Traceback" not in process.said


async def test_a_second_process_on_the_same_data_directory_ends_with_1(environment: dict[str, str]) -> None:
    async with service(environment) as first:
        await first.ready()
        async with service(environment) as second:
            assert await second.ended() == 1
    assert "data directory of its own" in second.said


async def test_a_taken_port_ends_it_with_1_and_names_the_setting(environment: dict[str, str]) -> None:
    async with service(environment) as first:
        port = (await first.says(HEALTH))[1].rpartition(":")[2]
        async with service(environment | {"SENDGUARD_HTTP_PORT": port}) as second:
            assert await second.ended() == 1
    assert "SENDGUARD_HTTP_PORT" in second.said


def test_an_unknown_role_ends_with_2(environment: dict[str, str]) -> None:
    ended = sendguard(environment, "run", "--role", "gaurd")
    assert (ended.code, "roles are" in ended.err) == (2, True)


async def test_a_config_file_is_read_and_the_environment_wins(
    environment: dict[str, str], tmp_path_factory: pytest.TempPathFactory
) -> None:
    config = tmp_path_factory.mktemp("config") / "sendguard.toml"
    config.write_text("http_port = 1\n" + f"kafka_bootstrap_servers = {json.dumps('127.0.0.1:1')}\n")
    async with service(environment, "--config", str(config), "--role", "http") as process:
        await process.ready()
        process.signal(signal.SIGTERM)
        assert await process.ended() == 0
