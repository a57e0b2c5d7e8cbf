"""Opt-outs that providers answer with, on a real Kafka: dated by its clock, whatever ours says (R16)."""

from __future__ import annotations

from pathlib import Path

import pytest

from consumers.dispatch.telling import Telling
from gateway.accounts import Accounts
from gateway.clock import now_ms
from gateway.dnd.model import Place
from gateway.dnd.record import EMPTY, fold
from gateway.localkafka import LocalKafka
from gateway.metrics import Metrics
from gateway.roles import Services
from gateway.signals.broker_clock import BrokerClock
from gateway.signals.resolve import UNSEEN_LIFTS_MS, resolve_spooled
from gateway.streams.topics import apply
from tests.consumers.dispatch.test_checking import Holding, checker_on
from tests.kafka.outside import Outsider
from tests.running import settings_for
from tests.signals.folded import HOUR_MS
from tests.signals.people import CARRIER, code_30004, start
from tests.signals.scene import Log, at_work, publisher_on


@pytest.mark.parametrize("off", [3 * HOUR_MS, -3 * HOUR_MS], ids=["fast", "slow"])
async def test_r16_without_a_barrier_a_refusal_counts_against_an_older_start_whatever_the_clock(
    kafka: LocalKafka, tmp_path: Path, fresh_name: str, off: int
) -> None:
    """The START came an hour ago, through a gateway, and dispatch cannot see it: its view is not open."""
    settings = settings_for(kafka, tmp_path, fresh_name)
    await apply(settings)
    services = Services(settings, Accounts(), Metrics("test"))
    log = Log(Outsider.of(kafka), services.topics.dnd_events)
    telling = Telling(services, services.fresh_state(), checker_on(Holding()), BrokerClock(lambda: now_ms() + off))
    async with publisher_on(kafka, log.topic) as gateway, at_work(telling.run()):
        await gateway.publish([*resolve_spooled(start("go"), now_ms() - HOUR_MS)])
        await telling.publish("twilio", [code_30004("refused", None)])
    record, ahead = EMPTY, 0
    for event, broker_time in log.events():
        record = fold(record, event, broker_time).record
        if isinstance(event, Place):
            ahead = event.at - broker_time
    assert record.registers[CARRIER].in_force
    assert UNSEEN_LIFTS_MS - HOUR_MS < ahead < UNSEEN_LIFTS_MS + HOUR_MS
