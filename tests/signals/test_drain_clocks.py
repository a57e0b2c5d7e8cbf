"""What waited in the spool of a gateway whose clock is hours off counts from when it came (R13, R18).

A lift dated by a fast clock would end the STOPs that came after it, and a place dated by a slow one would be void
against a lift that the gateway had not heard of.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest

from gateway.clock import now_ms
from gateway.dnd.model import Place
from gateway.localkafka import LocalKafka
from gateway.signals.broker_clock import BrokerClock
from gateway.signals.publish import Publisher
from gateway.signals.resolve import resolve_spooled
from tests.signals.folded import HOUR_MS, NOON
from tests.signals.people import PHONE, code_30004, phone, start, stop
from tests.signals.scene import Log, drained, publisher_on, spool_in


@dataclass
class Machine:
    """Its clock is `off` (ms) from the brokers', and says that it booted at `booted_at` by theirs."""

    off: int
    booted_at: int = 0

    def now(self) -> int:
        return now_ms() + self.off

    def clock(self) -> BrokerClock:
        """Of a process that has just begun."""
        return BrokerClock(self.now, lambda: self.booted_at + self.off)

    async def clock_by(self, publisher: Publisher) -> BrokerClock:
        """Of one for which Kafka was there."""
        clock = self.clock()
        asked_at = self.now()
        await publisher.publish([*resolve_spooled(stop("warm", phone(9)), now_ms())])
        clock.acknowledged(now_ms(), self.now() - asked_at)
        return clock


WAYS = {"known when it came": True, "known when it is drained": False}


@pytest.mark.parametrize("known", WAYS.values(), ids=WAYS)
@pytest.mark.parametrize("off", [3 * HOUR_MS, -3 * HOUR_MS], ids=["fast", "slow"])
async def test_r18_a_start_that_waited_ends_what_is_older_and_nothing_newer_whatever_its_gateways_clock(
    kafka: LocalKafka, fresh_name: str, tmp_path: Path, off: int, known: bool
) -> None:
    """Ten minutes in the spool, with a STOP of somebody else five minutes before it and one five minutes after."""
    log, machine, came_at = Log.on(kafka, fresh_name), Machine(off), now_ms() - 600_000
    before, after = phone(1), phone(2)
    async with publisher_on(kafka, log.topic) as right, spool_in(tmp_path) as spool:
        clock = await machine.clock_by(right) if known else None
        await right.publish([*resolve_spooled(stop("s1", before), came_at - 300_000)])
        await right.publish([*resolve_spooled(stop("s2", after), came_at + 300_000)])
        for subject in (before, after):
            await spool.put(start(f"go{subject.id}", subject), came_at + off, brokers=clock or machine.clock())
        await drained(kafka, log.topic, spool, brokers=machine.clock())
    assert (log.holds(before), log.holds(after)) == (False, True)


@pytest.mark.parametrize("known", WAYS.values(), ids=WAYS)
@pytest.mark.parametrize("off", [3 * HOUR_MS, -3 * HOUR_MS], ids=["fast", "slow"])
async def test_r13_a_stop_that_waited_counts_against_an_older_start_and_not_a_newer_one_whatever_its_gateways_clock(
    kafka: LocalKafka, fresh_name: str, tmp_path: Path, off: int, known: bool
) -> None:
    """The START came through another gateway, and this one had not heard of it."""
    log, machine, came_at = Log.on(kafka, fresh_name), Machine(off), now_ms() - 600_000
    older, newer = phone(1), phone(2)
    async with publisher_on(kafka, log.topic) as right, spool_in(tmp_path) as spool:
        clock = await machine.clock_by(right) if known else None
        await right.publish([*resolve_spooled(start("go1", older), came_at - 300_000)])
        await right.publish([*resolve_spooled(start("go2", newer), came_at + 300_000)])
        for subject in (older, newer):
            await spool.put(stop(f"s{subject.id}", subject), came_at + off, brokers=clock or machine.clock())
        await drained(kafka, log.topic, spool, brokers=machine.clock())
    assert (log.holds(older), log.holds(newer)) == (True, False)


async def test_what_was_known_of_the_clock_when_a_signal_came_counts_although_it_has_been_set_since(
    kafka: LocalKafka, fresh_name: str, tmp_path: Path
) -> None:
    log, machine, came_at = Log.on(kafka, fresh_name), Machine(3 * HOUR_MS), now_ms() - 600_000
    async with publisher_on(kafka, log.topic) as right, spool_in(tmp_path) as spool:
        clock = await machine.clock_by(right)
        await right.publish([*resolve_spooled(stop("s1"), came_at - 300_000)])
        await spool.put(start("go"), came_at + machine.off, brokers=clock)
        await drained(kafka, log.topic, spool, brokers=Machine(0).clock())
    assert not log.holds(PHONE)


@pytest.mark.parametrize("off", [4 * HOUR_MS, -4 * HOUR_MS], ids=["was fast", "was slow"])
async def test_of_a_clock_that_was_set_since_nobody_knows_when_a_start_came_and_a_stop_counts(
    kafka: LocalKafka, fresh_name: str, tmp_path: Path, off: int
) -> None:
    """And nothing had been acknowledged then: the START ends nothing, the STOP is newer than what is known."""
    log, machine, came_at = Log.on(kafka, fresh_name), Machine(off), now_ms() - 5 * HOUR_MS
    stopped, started = phone(1), phone(2)
    async with publisher_on(kafka, log.topic) as right, spool_in(tmp_path) as spool:
        await right.publish([*resolve_spooled(stop("s", stopped), came_at + HOUR_MS)])
        await right.publish([*resolve_spooled(start("go", started), came_at - HOUR_MS)])
        await spool.put(start("go2", stopped), came_at + off, brokers=machine.clock())
        await spool.put(stop("s2", started), came_at + off, brokers=machine.clock())
        await drained(kafka, log.topic, spool, brokers=Machine(0).clock())
    assert (log.holds(stopped), log.holds(started)) == (True, True)


async def test_what_a_provider_dates_needs_no_clock(kafka: LocalKafka, fresh_name: str, tmp_path: Path) -> None:
    log, machine = Log.on(kafka, fresh_name), Machine(3 * HOUR_MS)
    async with spool_in(tmp_path) as spool:
        await spool.put(code_30004("c", NOON), machine.now(), brokers=machine.clock())
        await drained(kafka, log.topic, spool, brokers=Machine(0).clock())
    ((event, _),) = log.events()
    assert isinstance(event, Place)
    assert event.at == NOON
