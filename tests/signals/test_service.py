"""The parts together: real Kafka, real view and barrier, real spool, as the role that receives webhooks runs them."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from gateway.accounts import Accounts
from gateway.clock import now_ms
from gateway.dnd.record import EMPTY
from gateway.localkafka import LocalKafka
from gateway.metrics import Metrics
from gateway.providers.signals import Note, Parsed
from gateway.roles import Services
from gateway.signals.door import Accepted, SpooledReceipt
from gateway.signals.known import FreshRecords
from gateway.signals.service import Signals, count_parsed
from gateway.signals.spool import SpoolUnavailable
from gateway.streams.topics import apply
from gateway.view.errors import ViewError
from tests.kafka.outside import Outsider, until
from tests.running import sample, settings_for
from tests.signals.people import PHONE, phone, start, stop
from tests.signals.scene import Log, at_work

ROUND_DEADLINE_MS = 10_000
"""Of the barrier's own rounds: far above what the door waits for one."""


@asynccontextmanager
async def services_on(kafka: LocalKafka, name: str, directory: Path) -> AsyncIterator[tuple[Services, Signals, Log]]:
    """All but the opening of the fresh state."""
    settings = settings_for(kafka, directory, name, barrier_deadline_ms=ROUND_DEADLINE_MS)
    await apply(settings)
    services = Services(settings, Accounts(), Metrics("test"))
    signals = Signals(services)
    async with at_work(signals.run()):
        await until(lambda: not signals.problems(), signals.problems)
        yield services, signals, Log(Outsider.of(kafka), services.topics.dnd_events)


@asynccontextmanager
async def fresh(services: Services) -> AsyncIterator[None]:
    """The view is open and a barrier has passed."""
    state = services.fresh_state()
    await state.open()
    try:
        async with at_work(state.run()):
            assert await state.loaded(asyncio.Event())
            await until(lambda: not state.problems(), state.problems)
            yield
    finally:
        state.close()


def unhurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """A busy machine is no fault."""
    monkeypatch.setattr("gateway.signals.known.BARRIER_DEADLINE_S", 20.0)
    monkeypatch.setattr("gateway.signals.service.PUBLISH_DEADLINE_S", 20.0)


async def test_stop_and_start_are_honoured_in_turn_and_repetitions_are_not_written(
    kafka: LocalKafka, fresh_name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """R13, R18: each is resolved behind a barrier, so it knows what was acknowledged a moment ago."""
    unhurried(monkeypatch)
    async with services_on(kafka, fresh_name, tmp_path) as (services, signals, log), fresh(services):
        accept = signals.door.accept
        assert await accept([start("SM0")], now_ms()) == Accepted(1)  # never opted out: its id is kept
        for number in range(1, 6):
            signal = stop(f"SM{number}") if number % 2 else start(f"SM{number}")
            assert await accept([signal], now_ms()) == Accepted(1)
            assert await accept([signal], now_ms()) == Accepted(0)
            known = await FreshRecords(services.fresh_state()).known(PHONE)
            assert known.fresh
            assert bool(dict(known.record.holds())) == bool(number % 2)
        assert log.ids() == {PHONE: [f"SM{number}" for number in range(6)]}
        text = services.metrics.exposition().decode()
        assert sample(text, "sendguard_spool_signals") == 0
        assert sample(text, "sendguard_spool_age_seconds") == 0


async def test_a_view_that_is_not_open_or_cannot_be_read_keeps_no_signal_waiting(
    kafka: LocalKafka, fresh_name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    unhurried(monkeypatch)
    async with services_on(kafka, fresh_name, tmp_path) as (services, signals, log):
        records = FreshRecords(services.fresh_state())
        assert not (await records.known(PHONE)).fresh
        assert isinstance(await signals.door.accept([stop("SM1")], now_ms()), Accepted)
        async with fresh(services):

            def broken(*_: object) -> None:
                raise ViewError("the disk is gone")

            monkeypatch.setattr(type(services.fresh_state().view), "get", broken)
            known = await records.known(PHONE)
            assert (known.record, known.fresh) == (EMPTY, False)
            assert records.last_known(PHONE) == EMPTY
            assert isinstance(await signals.door.accept([stop("SM2")], now_ms()), Accepted)
        assert log.ids() == {PHONE: ["SM1", "SM2"]}


async def test_a_barrier_that_does_not_pass_is_not_waited_for(
    breakable: LocalKafka, fresh_name: str, tmp_path: Path
) -> None:
    """And what the view knew stays known. While Kafka is frozen a signal is spooled, and after it published."""
    async with services_on(breakable, fresh_name, tmp_path) as (services, signals, log), fresh(services):
        records = FreshRecords(services.fresh_state())
        await signals.door.accept([stop("SM1")], now_ms())
        await until(lambda: dict(records.last_known(PHONE).holds()) and not signals.spool.count)
        breakable.brokers[0].freeze()
        begun = time.monotonic()
        known = await records.known(PHONE)
        assert time.monotonic() - begun < ROUND_DEADLINE_MS / 1000 / 2
        assert not known.fresh
        assert dict(known.record.holds())
        assert await signals.door.accept([stop("SM2", phone(1))], now_ms() - 60_000) == SpooledReceipt(1)
        text = services.metrics.exposition().decode()
        assert sample(text, "sendguard_spool_signals") == 1
        assert 60 <= (sample(text, "sendguard_spool_age_seconds") or 0) < 120
        breakable.brokers[0].thaw()
        await until(lambda: not signals.spool.count)
        assert log.ids() == {PHONE: ["SM1"], phone(1): ["SM2"]}


async def test_a_spool_that_cannot_be_used_is_a_problem(kafka: LocalKafka, fresh_name: str, tmp_path: Path) -> None:
    (tmp_path / "spool").write_text("in the way")
    services = Services(settings_for(kafka, tmp_path, fresh_name), Accounts(), Metrics("test"))
    signals = Signals(services)
    assert signals.problems() == ["spool: not open yet"]
    async with at_work(signals.run()):
        await until(lambda: "not open yet" not in signals.problems()[0])
        assert "spool" in signals.problems()[0]
        with pytest.raises(SpoolUnavailable):
            await signals.spool.put(stop("e"), 1)


def test_what_providers_tell_is_counted_by_kind() -> None:
    metrics = Metrics("test")
    count_parsed(metrics, "twilio", Parsed((stop("a"), start("b"), stop("c")), (Note.NO_KEYWORD,)))
    text = metrics.exposition().decode()
    assert sample(text, "sendguard_signals_total", provider="twilio", kind="keyword_opt_out") == 2
    assert sample(text, "sendguard_signals_total", provider="twilio", kind="opt_in") == 1
    assert sample(text, "sendguard_signal_notes_total", provider="twilio", note="no_keyword") == 1
