"""STOP and START that come again or late, through gateways whose clocks are hours apart: the newer counts (R13, R18).

Real processes on one Kafka. The guard is a third one, and right about the time.
"""

from __future__ import annotations

import asyncio
import itertools
import signal
import uuid
from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from gateway.localkafka import LocalKafka
from gateway.settings import Settings
from tests.cli.test_run import Process, service
from tests.kafka.outside import until_awaited
from tests.running import Outside, environment_for, request, running, settings_for
from tests.web.webhooks.calling import Provider, accounts_in
from tests.web.webhooks.processes import AWAY, calling, drained, phone, port_of, spooled

SLOW, FAST = -3, 3
"""Hours."""


@dataclass
class Guard:
    """A sender whose requests the guard decides."""

    outside: Outside
    sent: int = 0

    async def drops(self, people: Sequence[str]) -> list[bool]:
        """Whether a message to each is dropped now."""
        made = [request(0, to=person, request_id=uuid.uuid4().hex) for person in people]
        await asyncio.to_thread(self.outside.send, made)
        self.sent += len(made)
        decisions = await asyncio.to_thread(self.outside.decisions, self.sent)
        found = {each["request_id"]: each["outcome"] for each in decisions}
        return [found[each["request_id"]] == "dropped" for each in made]


@dataclass
class Place:
    """What the gateways share, each with a data directory of its own."""

    kafka: LocalKafka
    folder: Path
    prefix: str
    accounts: str
    numbers: itertools.count[int] = field(default_factory=itertools.count)

    @asynccontextmanager
    async def gateway(self, name: str, hours: int, *, away: bool = False) -> AsyncIterator[tuple[Process, Provider]]:
        """One whose clock is off by so much, and a provider that calls it. `away`: it does not find Kafka."""
        environment = environment_for(self.kafka, self.folder / name, self.prefix, accounts=self.accounts)
        if away:
            environment["SENDGUARD_KAFKA_BOOTSTRAP_SERVERS"] = AWAY
        module = ("tests.web.webhooks.clock_off", str(hours), "0.05" if away else "20")
        async with AsyncExitStack() as stack:
            process = await stack.enter_async_context(service(environment, "--role", "http", module=module))
            yield process, await stack.enter_async_context(calling(await port_of(process)))

    @asynccontextmanager
    async def at_work(self, name: str, hours: int) -> AsyncIterator[Provider]:
        async with self.gateway(name, hours) as (process, provider):
            await process.ready()
            yield provider


@pytest.fixture
def place(kafka: LocalKafka, tmp_path: Path, fresh_name: str) -> Place:
    return Place(kafka, tmp_path, fresh_name, str(accounts_in(tmp_path)))


@pytest.fixture
def settings(place: Place) -> Settings:
    return settings_for(place.kafka, place.folder / "guard", place.prefix)


async def entered(stack: AsyncExitStack, *managers: AbstractAsyncContextManager[Any]) -> list[Any]:
    """All of them, at the same time."""
    return list(await asyncio.gather(*[stack.enter_async_context(each) for each in managers]))


async def texted(provider: Provider, said: str, person: str, sid: str | None = None) -> None:
    assert (await provider.text(said, person, sid=sid)).status == 200


async def test_r18_a_start_that_comes_again_behind_a_newer_stop_through_any_gateway_ends_nothing(
    place: Place, settings: Settings
) -> None:
    """STOP, START, STOP and the START again, each through either of two gateways, six hours apart."""
    async with AsyncExitStack() as stack:
        guard = Guard(Outside.of(settings))
        await stack.enter_async_context(running(settings, "guard"))
        gateways = await entered(stack, *[place.at_work(f"off {off}", off) for off in (SLOW, FAST)])
        ways = list(itertools.product(gateways, repeat=4))
        people = [phone(number) for number in range(len(ways))]

        async def say(turn: int, word: str, message: str) -> None:
            sids = [f"SM{number}{message}" for number in range(len(ways))]
            each = zip(ways, people, sids, strict=True)
            await asyncio.gather(*[texted(way[turn], word, who, sid) for way, who, sid in each])

        await say(0, "STOP", "a")
        assert all(await guard.drops(people))
        await say(1, "START", "b")
        assert not any(await guard.drops(people))
        await say(2, "STOP", "c")
        await say(3, "START", "b")
        assert all(await guard.drops(people))


@pytest.mark.parametrize(("prompt", "late"), [(FAST, SLOW), (SLOW, FAST)], ids=["late is slow", "late is fast"])
async def test_r18_what_waited_in_a_spool_counts_from_when_it_came_whatever_the_clocks(
    place: Place, settings: Settings, prompt: int, late: int
) -> None:
    """One gateway is cut off from Kafka, and is killed; what it took is published when it is back.

    START, then STOP through the other gateway: for `again` that START had been told to the other one before, so its id
    is known; for `first` only the time is. And STOP of somebody who has said START through the other one before.
    """
    again, first, stopped = (phone(number) for number in range(3))
    async with AsyncExitStack() as stack:
        guard = Guard(Outside.of(settings))
        await stack.enter_async_context(running(settings, "guard"))
        away = place.gateway("late", late, away=True)
        other, (process, cut_off) = await entered(stack, place.at_work("prompt", prompt), away)
        for person in (again, stopped):
            await texted(other, "STOP", person)
            await texted(other, "START", person, f"SM{person[1:]}")
        assert not any(await guard.drops([again, first, stopped]))
        await until_awaited(lambda: drained(cut_off))
        await texted(cut_off, "START", again, f"SM{again[1:]}")
        await texted(cut_off, "START", first)
        await texted(cut_off, "STOP", stopped)
        assert await spooled(cut_off) == 3
        process.signal(signal.SIGKILL)
        await process.ended()
        for person in (again, first):
            await texted(other, "STOP", person)
        back = await stack.enter_async_context(place.at_work("late", late))
        await until_awaited(lambda: drained(back))
        assert await guard.drops([again, first, stopped]) == [True, True, True]
        for person in (again, first, stopped):
            await texted(back, "START", person)
        assert not any(await guard.drops([again, first, stopped]))
