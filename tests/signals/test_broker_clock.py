"""What acknowledgements say of the brokers' clock, and when that counts no longer."""

from __future__ import annotations

import time
from dataclasses import dataclass

from hypothesis import given
from hypothesis import strategies as st

from gateway.clock import now_ms
from gateway.dnd.model import Lift, Subject, SubjectKind
from gateway.dnd.record import EMPTY, fold
from gateway.localkafka import LocalKafka
from gateway.signals.broker_clock import SET_MS, BrokerClock, Offset, booted_at_ms
from gateway.signals.publish import ASKS_TIME, RECORD_LIMIT_BYTES
from gateway.signals.resolve import dated
from tests.signals.folded import HOUR_MS, NOON
from tests.signals.people import PHONE, code_30004, start, stop
from tests.signals.scene import Log, publisher_on


@dataclass
class Machine:
    """Its clock is `off` (ms) from the brokers'."""

    off: int = 0
    brokers_at: int = NOON
    up_ms: int = 5_000_000

    @property
    def clock(self) -> BrokerClock:
        return BrokerClock(lambda: self.brokers_at + self.off, lambda: self.brokers_at + self.off - self.up_ms)

    def passes(self, ms: int) -> None:
        self.brokers_at += ms
        self.up_ms += ms


def test_nothing_is_known_before_an_acknowledgement() -> None:
    assert Machine(off=HOUR_MS).clock.offset is None


@given(
    st.integers(-9 * HOUR_MS, 9 * HOUR_MS),
    st.lists(st.tuples(st.integers(0, 20_000), st.integers(0, 20_000)), min_size=1),
)
def test_the_true_difference_is_never_outside_of_what_is_known(off: int, trips: list[tuple[int, int]]) -> None:
    """Whatever a record's way there and the answer's way back take."""
    machine = Machine(off)
    clock, widths = machine.clock, []
    for there, back in trips:
        machine.passes(there)
        appended_at = machine.brokers_at
        machine.passes(back)
        clock.acknowledged(appended_at, there + back)
        assert clock.offset is not None
        assert clock.offset.least <= -off <= clock.offset.most
        widths.append(clock.offset.most - clock.offset.least)
    assert widths == sorted(widths, reverse=True), "what is known gets narrower"


def test_of_clocks_that_drift_apart_the_newest_answer_counts() -> None:
    machine = Machine()
    clock = machine.clock
    clock.acknowledged(NOON, 1)
    machine.passes(HOUR_MS)
    machine.off = 100
    clock.acknowledged(machine.brokers_at, 1)
    assert clock.offset == Offset(-101, -97)


def test_when_our_clock_is_set_nothing_is_known_until_the_next_acknowledgement() -> None:
    machine = Machine(off=3 * HOUR_MS)
    clock, booted_at = machine.clock, machine.clock.booted_at
    clock.acknowledged(NOON, 1)
    machine.passes(HOUR_MS)
    while_it_goes_on = clock.offset
    assert while_it_goes_on == Offset(-3 * HOUR_MS - 1, -3 * HOUR_MS + 3)
    machine.off = 0
    assert clock.offset is None
    assert not clock.goes_as_when(booted_at)
    clock.acknowledged(machine.brokers_at, 1)
    assert clock.offset == Offset(-1, 3)


def test_a_clock_that_is_corrected_a_little_was_not_set() -> None:
    machine = Machine()
    clock = machine.clock
    clock.acknowledged(NOON, 1)
    machine.off = SET_MS
    assert clock.offset is not None
    machine.off = SET_MS + 1
    assert clock.offset is None


def test_the_machine_booted_when_it_did_however_often_one_asks() -> None:
    first = booted_at_ms()
    assert 0 < first < now_ms()
    while time.monotonic_ns() % 10_000_000 > 1_000_000:  # another moment
        pass
    assert abs(booted_at_ms() - first) <= SET_MS


def test_an_error_in_what_is_known_holds() -> None:
    """A lift takes the earlier moment, a place the later one."""
    offset = Offset(-30, 20)
    assert dated(start("go"), NOON, offset) == NOON - 30
    assert dated(stop("s"), NOON, offset) == dated(code_30004("c", 1), NOON, offset) == NOON + 20
    assert dated(start("go"), NOON, None) == NOON


async def test_the_brokers_time_is_learnt_from_real_acknowledgements(kafka: LocalKafka, fresh_name: str) -> None:
    """Asked for with a record that says nothing, and that only as long as nothing else has told it."""
    log = Log.on(kafka, fresh_name)
    fast = BrokerClock(lambda: now_ms() + 3 * HOUR_MS)
    async with publisher_on(kafka, log.topic, brokers=fast) as publisher:
        offset = await publisher.offset(PHONE)
        assert offset.least <= -3 * HOUR_MS <= offset.most
        assert offset.most - offset.least < 20_000, "no longer than the deadline"
        assert await publisher.offset(PHONE) == offset
    ((event, broker_time),) = log.events()
    assert isinstance(event, Lift)
    assert event.event_id == ASKS_TIME
    folded = fold(EMPTY, event, broker_time)
    assert not folded.refused
    assert not any(register.lifted.at > 0 for register in folded.record.registers.values())
    assert fold(folded.record, event, broker_time).repeated


async def test_now_is_asked_of_whoever_fits_into_a_record(kafka: LocalKafka, fresh_name: str) -> None:
    """One that never fits stops nobody: it is in no event that will be written."""
    log, too_long = Log.on(kafka, fresh_name), Subject("loc1", SubjectKind.CONTACT, "c" * RECORD_LIMIT_BYTES)
    async with publisher_on(kafka, log.topic, brokers=BrokerClock(lambda: now_ms() + 3 * HOUR_MS)) as publisher:
        assert await publisher.now([too_long]) >= now_ms() + 2 * HOUR_MS  # nothing tells it any better
        before = now_ms()
        assert before <= await publisher.now([too_long, PHONE]) < before + HOUR_MS
    assert [event.subject for event, _ in log.events()] == [PHONE]
