"""The check before a call: on a real barrier for what it vouches for, in memory for what it says."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from consumers.dispatch import checking as module
from consumers.dispatch.checking import REUSED_S, Checker
from gateway.clock import now_ms
from gateway.contract.decisions import Outcome, Unavailability
from gateway.dnd.model import Actor, ActorKind, Cause, Channel, Place, Scope, Subject, SubjectKind
from gateway.guard.deciding import NOTHING_UNAVAILABLE, Unavailable
from gateway.guard.guard import FreshnessBarrier
from gateway.guard.reading import Readable, read_batch
from gateway.localkafka import LocalKafka
from gateway.streams.quorum import NotFreshError
from gateway.streams.topics import apply
from tests.contacts.scene import Gateway, gateway_on
from tests.guard.batches import NOW, HoldsInADict, Line, decide, value
from tests.guard.test_random import HOLDS, almost_requests
from tests.kafka.outside import until
from tests.running import settings_for

STOPS = 100

SMS_DISCONNECTED: Unavailable = {("loc1", Channel.SMS): Unavailability.DISCONNECTED}


def readable(request: bytes) -> Readable:
    return read_batch([Line(0, request)], lambda _: "US")


def phone_of(number: int) -> Subject:
    return Subject("loc1", SubjectKind.PHONE, f"+1415555{number:04}")


def stop(subject: Subject) -> Place:
    contact = Actor(ActorKind.CONTACT, subject.id)
    return Place(f"stop {subject.id}", subject, (Scope.SMS,), (Cause.KEYWORD_OPT_OUT,), now_ms(), contact)


def request_to(subject: Subject) -> bytes:
    return value(to=subject.id, contact_id=f"contact of {subject.id}")


@dataclass
class Rounds:
    """A barrier that passes when it is let, and counts."""

    waits: bool = False
    begun: int = 0
    go: asyncio.Event = field(default_factory=asyncio.Event)

    async def passed(self) -> None:
        self.begun += 1
        if self.waits:
            await self.go.wait()


class Holding:
    """A barrier that never passes."""

    async def passed(self) -> None:
        raise NotFreshError("no broker answers")


def checker_on(barrier: FreshnessBarrier, unavailable: Unavailable = NOTHING_UNAVAILABLE) -> Checker:
    return Checker(HoldsInADict(HOLDS), barrier, lambda: unavailable)


# What it vouches for


@pytest.fixture
async def gateway(kafka: LocalKafka, tmp_path: Path, fresh_name: str) -> AsyncIterator[Gateway]:
    """A view that follows a real log, and its barrier."""
    settings = settings_for(kafka, tmp_path, fresh_name, barrier_deadline_ms=20_000)
    await apply(settings)
    async with gateway_on(settings) as at_work:
        yield at_work


async def missed(gateway: Gateway, barrier: FreshnessBarrier) -> int:
    """How many of many STOPs are not in a check that begins when they are acknowledged."""
    checker = Checker(gateway.fresh.view, barrier, lambda: NOTHING_UNAVAILABLE)
    found = 0
    for number in range(STOPS):
        await gateway.publisher.publish([stop(phone_of(number))])
        checker.forget()
        found += (await checker.check(readable(request_to(phone_of(number))))).outcome is not Outcome.DROPPED
    return found


async def test_a_hold_that_is_acknowledged_before_a_check_is_in_it(gateway: Gateway) -> None:
    """R22, guarantee 1."""
    assert await missed(gateway, gateway.fresh.barrier) == 0


async def test_without_the_barrier_many_holds_are_missed(gateway: Gateway) -> None:
    """The mechanism switched off: so the test above can fail."""
    assert await missed(gateway, Rounds()) > STOPS // 10


async def test_a_hold_that_is_acknowledged_before_a_check_began_as_it_says_is_in_it(gateway: Gateway) -> None:
    """Also where rounds are shared and used again: many check all the time while STOPs come."""
    checker = Checker(gateway.fresh.view, gateway.fresh.barrier, lambda: NOTHING_UNAVAILABLE)
    clock = asyncio.get_running_loop().time
    acknowledged: dict[int, float] = {}
    asked = {"new": 0, "again": 0}

    async def check_all(first: int) -> None:
        while len(acknowledged) < STOPS:
            number = max(0, len(acknowledged) - 1 - first)
            asked_at = clock()
            checked = await checker.check(readable(request_to(phone_of(number))))
            asked["new" if checked.began >= asked_at else "again"] += 1
            assert checked.began >= asked_at - REUSED_S
            if acknowledged.get(number, checked.began) < checked.began:
                assert checked.outcome is Outcome.DROPPED
            await asyncio.sleep(0)

    async with asyncio.TaskGroup() as group:
        for first in range(4):
            group.create_task(check_all(first), name="checks")
        for number in range(STOPS):
            await gateway.publisher.publish([stop(phone_of(number))])
            acknowledged[number] = clock()
    assert min(asked.values()) > 10


async def test_a_round_counts_for_others_for_a_twentieth_of_a_second_and_no_longer() -> None:
    rounds, now = Rounds(), 100.0
    checker = checker_on(rounds)
    checker._clock = lambda: now
    request = readable(value())
    first = await checker.check(request)
    now += REUSED_S
    again = await checker.check(request)
    assert (rounds.begun, first.began, again.began) == (1, 100.0, 100.0)
    now += 0.001
    assert (await checker.check(request)).began == now
    assert rounds.begun == 2


async def test_a_check_is_as_old_as_the_beginning_of_its_round_and_not_as_its_end() -> None:
    rounds, now = Rounds(waits=True), 100.0
    checker = checker_on(rounds)
    checker._clock = lambda: now
    check = asyncio.create_task(checker.check(readable(value())), name="check")
    await until(lambda: rounds.begun)
    now += 7.0
    rounds.go.set()
    assert (await check).began == 100.0
    await checker.check(readable(value()))
    assert rounds.begun == 2


async def test_after_forget_no_earlier_round_counts_not_even_one_that_is_under_way() -> None:
    """A provider's refusal placed a hold: the next message to that address must not be checked by an older round."""
    rounds = Rounds(waits=True)
    checker = checker_on(rounds)
    under_way = asyncio.create_task(checker.check(readable(value())), name="check")
    await until(lambda: rounds.begun)
    checker.forget()
    rounds.go.set()
    await under_way
    await checker.check(readable(value()))
    assert rounds.begun == 2


async def test_nothing_is_said_while_the_barrier_holds() -> None:
    """Nor by a round of before that is too old."""
    checker = checker_on(Holding())
    for _ in range(2):
        with pytest.raises(NotFreshError):
            await checker.check(readable(value()))


# What it says


@given(request=almost_requests(), unavailable=st.sampled_from([NOTHING_UNAVAILABLE, SMS_DISCONNECTED]))
async def test_the_check_and_the_guard_agree(request: bytes, unavailable: Unavailable) -> None:
    """R22: the same holds, reasons and recipients, whenever it is asked."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "now_ms", lambda: NOW)
        checked = await checker_on(Rounds(), unavailable).check(readable(request))
    decided = decide([request], HOLDS, default_region="US", unavailable=unavailable)
    (decision,) = decided.decisions
    assert checked.outcome == decision["outcome"]
    assert checked.value == (decided.forwarded[0].value if decided.forwarded else None)
    assert list(checked.removed) == decision.get("removed", [])
    if checked.outcome is Outcome.DROPPED:
        assert msgspec.to_builtins(checked.reasons) == decision["reasons"]


async def test_a_probe_is_checked_for_holds_though_the_channel_is_not_connected() -> None:
    """R8: what tells whether the channel works again is a message, and it too goes to nobody who is held."""
    checker = checker_on(Rounds(), SMS_DISCONNECTED)
    free, stopped = readable(value(to="+14155552000", contact_id="c9")), readable(value())
    assert (await checker.check(free)).outcome is Outcome.UNAVAILABLE
    assert (await checker.check(free, connected=True)).outcome is Outcome.FORWARDED
    assert (await checker.check(stopped, connected=True)).outcome is Outcome.DROPPED
