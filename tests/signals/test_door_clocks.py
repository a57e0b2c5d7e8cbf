"""STOP and START through gateways whose clocks are hours off, while Kafka takes them (R13, R18)."""

from __future__ import annotations

import pytest

from gateway.clock import now_ms
from gateway.localkafka import LocalKafka
from gateway.providers.signals import Signal
from gateway.signals.broker_clock import BrokerClock
from gateway.signals.door import Accepted
from gateway.signals.resolve import resolve_spooled
from gateway.signals.spool import Spool
from tests.signals.folded import HOUR_MS
from tests.signals.people import PHONE, phone, start, stop
from tests.signals.scene import Knows, Log, door_to, publisher_on


async def test_clocks_hours_apart_do_not_matter_behind_a_barrier(
    kafka: LocalKafka, fresh_name: str, spool: Spool
) -> None:
    """R18: STOP and START in turn through two gateways, one of them three hours slow."""
    log = Log.on(kafka, fresh_name)
    async with (
        publisher_on(kafka, log.topic, brokers=BrokerClock()) as right,
        publisher_on(kafka, log.topic, brokers=BrokerClock(lambda: now_ms() - 3 * HOUR_MS)) as slow,
    ):
        for number in range(6):
            publisher = slow if number in (1, 2, 5) else right
            door = door_to(publisher, spool, Knows(log.record(PHONE)))
            signal = stop(f"e{number}") if number % 2 == 0 else start(f"e{number}")
            assert await door.accept([signal], publisher.brokers.ours()) == Accepted(1)
            assert log.holds(PHONE) == (number % 2 == 0)


@pytest.mark.parametrize("off", [3 * HOUR_MS, -3 * HOUR_MS], ids=["fast", "slow"])
async def test_r13_r18_without_a_barrier_a_wrong_clock_does_not_matter_either(
    kafka: LocalKafka, fresh_name: str, spool: Spool, off: int
) -> None:
    """STOP counts against a START of an hour ago that the gateway had not heard of, and START against such a STOP."""
    log, hour_ago = Log.on(kafka, fresh_name), now_ms() - HOUR_MS
    started, stopped = phone(1), phone(2)
    async with (
        publisher_on(kafka, log.topic) as right,
        publisher_on(kafka, log.topic, brokers=BrokerClock(lambda: now_ms() + off)) as wrong,
    ):
        await right.publish([*resolve_spooled(start("go1", started), hour_ago)])
        await right.publish([*resolve_spooled(stop("s1", stopped), hour_ago)])
        told: list[Signal] = [stop("s2", started), start("go2", stopped)]
        assert await door_to(wrong, spool).accept(told, wrong.brokers.ours()) == Accepted(2)
    assert (log.holds(started), log.holds(stopped)) == (True, False)
