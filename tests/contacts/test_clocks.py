"""Changes through a gateway whose clock is hours off, on a real Kafka: they count from when they were made (R19)."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from gateway.clock import now_ms
from gateway.contacts import Clear, SetAll, SetChannel
from gateway.contacts.commands import Why
from gateway.dnd.model import Actor, Cause, Channel, Scope
from gateway.dnd.status import ChannelStatus
from gateway.settings import Settings
from tests.contacts.people import CONTACT, USER, WORKFLOW, place
from tests.contacts.scene import Gateway, clock_that_is, gateway_on, in_directory

HOUR_MS = 3_600_000
SMS_ON, SMS_OFF = SetChannel(Channel.SMS, on=True), SetChannel(Channel.SMS, on=False)


@pytest.fixture(params=[3 * HOUR_MS, -3 * HOUR_MS], ids=["fast", "slow"])
async def wrong(settings: Settings, tmp_path: Path, request: pytest.FixtureRequest) -> AsyncIterator[Gateway]:
    """Another process on the same topics; `gateway` is right."""
    async with gateway_on(in_directory(settings, tmp_path / "wrong"), clock_that_is(request.param)) as at_work:
        yield at_work


async def test_r19_a_command_that_waited_ends_no_hold_placed_since_through_whatever_clock(
    gateway: Gateway, wrong: Gateway
) -> None:
    """A workflow asks an hour ago; a user switches DND on now; then the command is consumed."""
    asked_at = now_ms() - HOUR_MS
    placed = await wrong.service().change("loc1", "c1", [SetAll(on=True), SMS_ON], USER)
    ended = await gateway.service().change("loc1", "c1", [Clear()], WORKFLOW, as_of=asked_at)
    assert ended.after == placed.after
    assert [each.why for each in ended.refused] == [Why.PLACED_LATER] * 2


LIFTERS = {"user": (USER, 0), "workflow": (WORKFLOW, HOUR_MS)}
"""Who lifts, and how far ahead of now their command says that it was asked for; 0 = it does not say."""


@pytest.mark.parametrize(("lifter", "ahead"), LIFTERS.values(), ids=LIFTERS)
async def test_r17_a_hold_can_be_lifted_at_once_through_whatever_clock_it_was_placed(
    gateway: Gateway, wrong: Gateway, lifter: Actor, ahead: int
) -> None:
    await wrong.service().change("loc1", "c1", [SMS_ON], USER)
    asked_at = now_ms() + ahead if ahead else None
    lifted = await gateway.service().change("loc1", "c1", [SMS_OFF], lifter, as_of=asked_at)
    assert (lifted.after.holds, lifted.refused) == ((), ())


@pytest.mark.parametrize(("lifter", "ahead"), LIFTERS.values(), ids=LIFTERS)
async def test_r19_a_lift_reaches_nothing_that_comes_after_it_through_whatever_clock_it_was_made(
    gateway: Gateway, wrong: Gateway, lifter: Actor, ahead: int
) -> None:
    """It ends what it saw, whatever time it is. What comes is dated two seconds on: the hold that is seen is dated late
    by as much as an acknowledgement takes."""
    await gateway.service().change("loc1", "c1", [SMS_ON], USER)
    asked_at = now_ms() + ahead if ahead else None
    assert (await wrong.service().change("loc1", "c1", [SMS_OFF], lifter, as_of=asked_at)).after.holds == ()
    await gateway.told(place(CONTACT, Scope.SMS, Cause.MANUAL, at=now_ms() + 2_000))
    assert (await wrong.service().show("loc1", "c1")).channels[Channel.SMS] is ChannelStatus.ACTIVE
