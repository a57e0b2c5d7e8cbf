"""Changes of one contact at the same time, in one process and in several, on a real Kafka."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable
from pathlib import Path

import pytest

from gateway.clock import now_ms
from gateway.contacts import Clear, Command, SetAll, SetChannel
from gateway.dnd.model import Cause, Channel, Scope
from gateway.dnd.status import ChannelStatus
from gateway.settings import Settings
from gateway.signals.resolve import Known, resolve
from tests.contacts.people import PHONE, USER, WORKFLOW, Book
from tests.contacts.scene import Gateway, clock_that_is, gateway_on, in_directory
from tests.signals.people import stop

OFF_MS = (-3 * 3_600_000, 0, 3 * 3_600_000)
"""Of the second one's clock."""


@pytest.fixture(params=OFF_MS)
async def two(
    settings: Settings, gateway: Gateway, tmp_path: Path, request: pytest.FixtureRequest
) -> AsyncIterator[tuple[Gateway, Gateway]]:
    """Two processes on the same topics, the clock of the second one off."""
    async with gateway_on(in_directory(settings, tmp_path / "second"), clock_that_is(request.param)) as second:
        yield gateway, second


async def stopped(gateway: Gateway, event_id: str) -> None:
    """A STOP as the door writes it."""
    known = Known(await gateway.record(PHONE), fresh=True)
    await gateway.told(*resolve(stop(event_id, PHONE), known, now_ms(), now_ms()))


async def test_what_one_gateway_answered_every_other_one_shows(two: tuple[Gateway, Gateway]) -> None:
    """Linearizable: in turn through two gateways, and each answer counts."""
    one, other = two[0].service(), two[1].service()
    for turn in range(8):
        writer, reader = (one, other) if turn % 3 else (other, one)
        on = turn % 2 == 0
        changed = await writer.change("loc1", "c1", [SetChannel(Channel.SMS, on=on)], USER)
        assert changed.events, f"turn {turn} changed nothing"
        shown = await reader.show("loc1", "c1")
        assert shown == changed.after
        assert (shown.channels[Channel.SMS] is ChannelStatus.ACTIVE) is on


SWITCHES: list[tuple[Command, Scope, bool]] = [
    (SetChannel(Channel.SMS, on=True), Scope.SMS, True),
    (SetChannel(Channel.SMS, on=False), Scope.SMS, False),
    (SetChannel(Channel.CALL, on=True), Scope.CALL, True),
    (SetChannel(Channel.CALL, on=False), Scope.CALL, False),
    (SetAll(on=True), Scope.ALL, True),
    (SetAll(on=False), Scope.ALL, False),
]


@pytest.mark.parametrize("seed", range(3))
async def test_racing_toggles_end_as_in_some_order_and_no_stop_is_lost(two: tuple[Gateway, Gateway], seed: int) -> None:
    """R18, guarantee 4. Each round: toggles through two processes with clocks apart, and sometimes a STOP, at once.

    A switch ends as one of the round's changes asked for, or as it stood when none concerned it.
    """
    rng = random.Random(seed)
    book = Book({"c1": (PHONE,)})
    services = [two[0].service(book), two[1].service(book)]
    standing = dict.fromkeys((Scope.SMS, Scope.CALL, Scope.ALL), False)
    stops: set[str] = set()
    for number in range(12):
        asked: dict[Scope, set[bool]] = {scope: set() for scope in standing}
        racing: list[Awaitable[object]] = []
        for _ in range(rng.choice((2, 3, 6))):
            command, scope, on = rng.choice(SWITCHES)
            asked[scope].add(on)
            racing.append(rng.choice(services).change("loc1", "c1", [command], USER))
        if rng.random() < 0.4:
            stops.add(f"SM{number}")
            racing.append(stopped(rng.choice(two), f"SM{number}"))
        if rng.random() < 0.3:
            racing.append(rng.choice(services).change("loc1", "c1", [Clear()], WORKFLOW))
            for each in asked.values():
                each.add(False)
        await asyncio.gather(*racing)
        first, second = [await service.show("loc1", "c1") for service in services]
        assert first == second
        held = {hold.scope for hold in first.holds if hold.cause is Cause.MANUAL}
        for scope, before in standing.items():
            assert (scope in held) in (asked[scope] or {before}), f"seed {seed}, round {number}: {scope}"
            standing[scope] = scope in held
        found = {hold.event_id for hold in first.holds if hold.cause is Cause.KEYWORD_OPT_OUT}
        assert bool(found) is bool(stops), f"seed {seed}, round {number}: a STOP is lost"
        assert found <= stops


async def test_changes_of_one_contact_take_turns_in_a_process(gateway: Gateway) -> None:
    """So that many commands at once end as in the order they came, also those with several parts."""
    service = gateway.service()
    parts: list[Command] = [SetAll(on=True), SetChannel(Channel.SMS, on=True), SetChannel(Channel.FB, on=True)]
    asked: list[list[Command]] = [parts if turn % 2 == 0 else [Clear()] for turn in range(10)]
    ends = await asyncio.gather(*(service.change("loc1", "c1", commands, USER) for commands in asked))
    assert [len(changed.after.holds) for changed in ends] == [3, 0] * 5
    assert [changed.before for changed in ends[1:]] == [changed.after for changed in ends[:-1]]
