"""Whole histories of signals through resolve and fold: any order, any gateway, any clock, and everything told again."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import permutations, product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.dnd.model import Event
from gateway.dnd.record import EMPTY, Record, fold
from gateway.providers.signals import Signal
from gateway.signals.resolve import Known, resolve, resolve_spooled
from tests.signals.folded import HOUR_MS, NOON, after, held, only
from tests.signals.people import CARRIER, STOPPED, code_30004, start, stop


@dataclass
class Story:
    """Deliveries of signals to gateways with their own clocks, into one log with the broker's.

    A redelivery reaches any gateway. What a gateway does not know behind a barrier, it resolves without.
    """

    log: list[tuple[Event, int]] = field(default_factory=list)
    record: Record = EMPTY

    def deliver(self, signal: Signal, broker_time: int, *, skew: int = 0, barrier: bool = True) -> None:
        now = broker_time + skew
        for event in resolve(signal, Known(self.record if barrier else EMPTY, barrier), now, now):
            self.append(event, broker_time)

    def append(self, event: Event, broker_time: int) -> None:
        self.log.append((event, broker_time))
        self.record = fold(self.record, event, broker_time).record


SCENARIO: tuple[tuple[Signal, int], ...] = (
    (start("SM0"), -60_000),  # by somebody who never opted out
    (stop("SM1"), 0),
    (code_30004("SM0-30004", NOON - 20_000), 1_000),
    (start("SM2"), 60_000),
    (code_30004("SM00-30004", NOON - 30_000), 70_000),  # late, of a message sent before START
    (stop("SM3"), 120_000),
    (start("SM4"), 180_000),
)
"""Signals with when they are first received; the contact ends opted in."""

SKEWS = st.sampled_from([0, 3 * HOUR_MS, -3 * HOUR_MS, 1_500])


@given(st.data())
def test_repetition_at_any_time_through_any_gateway_changes_nothing(data: st.DataObject) -> None:
    """Guarantee 3: redelivered as often and as late as it may be, also behind newer signals, with clocks apart."""
    story = Story()
    told: list[Signal] = []
    in_force: list[bool] = []
    for signal, when in SCENARIO:
        story.deliver(signal, NOON + when, skew=data.draw(SKEWS))
        told.append(signal)
        in_force.append(STOPPED in held(story.record))
        for again in data.draw(st.lists(st.sampled_from(told), max_size=3)):
            before = held(story.record)
            story.deliver(again, NOON + when + 5_000, skew=data.draw(SKEWS), barrier=data.draw(st.booleans()))
            assert held(story.record) == before
    assert in_force == [False, True, True, False, False, True, False]
    assert held(story.record) == set()


@given(st.permutations(SCENARIO), st.data())
def test_the_order_of_the_log_does_not_matter(shuffled: list[tuple[Signal, int]], data: st.DataObject) -> None:
    """What was resolved once ends in one state, in whatever order and how often it is folded."""
    story = Story()
    for signal, when in SCENARIO:
        story.deliver(signal, NOON + when, skew=data.draw(SKEWS))
    by_id = {event.event_id: (event, broker_time) for event, broker_time in story.log}
    log = [by_id[signal.event_id] for signal, _ in shuffled if signal.event_id in by_id]
    log += data.draw(st.lists(st.sampled_from(log), max_size=6))
    assert after(*log).registers == story.record.registers


@pytest.mark.parametrize("order", list(permutations(range(3))))
@pytest.mark.parametrize("skew", [0, 3 * HOUR_MS, -3 * HOUR_MS])
def test_r18_a_late_code_never_undoes_a_start_and_a_start_never_undoes_a_later_stop(
    order: tuple[int, ...], skew: int
) -> None:
    """30004 for an earlier message, START, newer STOP, each through a gateway of its own, one of them hours off.

    The STOP before them all is told in time; of the rest every order of arrival."""
    for wrong in range(3):
        story = Story()
        story.deliver(stop("SM1"), NOON)
        last: list[Signal] = [code_30004("old", NOON - HOUR_MS), start("SM2"), code_30004("old2", NOON - 2 * HOUR_MS)]
        for place, number in enumerate(order):
            story.deliver(last[number], NOON + 60_000 * (place + 1), skew=skew if place == wrong else 0)
        # A START dated by a clock hours behind does not reach codes told later; that errs towards the hold.
        slow_start = skew < 0 and order[wrong] == 1 and order[-1] != 1
        assert held(story.record) <= ({CARRIER} if slow_start else set()), (order, wrong)
        story.deliver(stop("SM3"), NOON + HOUR_MS, skew=skew)
        assert STOPPED in held(story.record)
        story.deliver(start("SM2"), NOON + HOUR_MS + 60_000)
        story.deliver(start("SM2"), NOON + HOUR_MS + 60_000, barrier=False)
        assert STOPPED in held(story.record)


def test_a_start_delivered_again_from_the_spool_does_not_lift_a_newer_stop() -> None:
    """It was spooled before the STOP came, and is dated by then."""
    story = Story()
    story.deliver(stop("SM1"), NOON)
    story.deliver(stop("SM3"), NOON + 60_000)
    story.append(only(resolve_spooled(start("SM2"), NOON + 30_000)), NOON + HOUR_MS)
    assert held(story.record) == {STOPPED}


def test_a_clock_hours_ahead_can_neither_lift_the_future_nor_place_what_cannot_be_lifted() -> None:
    story = Story()
    story.deliver(stop("SM1"), NOON, skew=9 * HOUR_MS)
    story.deliver(start("SM2"), NOON + 60_000, skew=9 * HOUR_MS)
    assert held(story.record) == set()
    story.deliver(stop("SM3"), NOON + 120_000, barrier=False)
    assert held(story.record) == {STOPPED}
    story.deliver(start("SM4"), NOON + 180_000)
    assert held(story.record) == set()


Way = Callable[[Story, Signal, int], None]


def _fresh(story: Story, signal: Signal, when: int) -> None:
    story.deliver(signal, when)


def _stale(story: Story, signal: Signal, when: int) -> None:
    story.deliver(signal, when, barrier=False)


def _fast(story: Story, signal: Signal, when: int) -> None:
    story.deliver(signal, when, skew=3 * HOUR_MS)


def _slow(story: Story, signal: Signal, when: int) -> None:
    story.deliver(signal, when, skew=-3 * HOUR_MS)


def _spooled(story: Story, signal: Signal, when: int) -> None:
    for event in resolve_spooled(signal, when):
        story.append(event, when + 1_000)


WAYS: list[Way] = [_fresh, _stale, _fast, _slow, _spooled]


@pytest.mark.parametrize(("first", "stopped", "again"), list(product(WAYS, [_fresh, _fast, _slow], WAYS)))
def test_r18_a_start_without_effect_that_is_delivered_again_does_not_lift_a_later_stop(
    first: Way, stopped: Way, again: Way
) -> None:
    """Through any gateway, in any way, however late; a START of their own still frees them."""
    for later in (1_000, 15_000, 20 * HOUR_MS):
        story = Story()
        first(story, start("SM1"), NOON)
        assert held(story.record) == set()
        stopped(story, stop("SM2"), NOON + 60_000)
        again(story, start("SM1"), NOON + 60_000 + later)
        assert held(story.record) == {STOPPED}
        again(story, start("SM1"), NOON + 60_000 + later)
        assert held(story.record) == {STOPPED}
        story.deliver(start("SM3"), NOON + 60_000 + 2 * later)
        assert held(story.record) == set()


@pytest.mark.parametrize("order", list(permutations(range(4))))
def test_r18_of_starts_and_stops_in_any_order_the_last_one_told_for_the_first_time_counts(
    order: tuple[int, ...],
) -> None:
    """Each delivered again behind every one that follows."""
    said: list[Signal] = [start("SM1"), stop("SM2"), start("SM3"), stop("SM4")]
    story = Story()
    told: list[Signal] = []
    for place, number in enumerate(order):
        story.deliver(said[number], NOON + place * 60_000)
        told.append(said[number])
        expected = {STOPPED} if said[number].event_id in ("SM2", "SM4") else set()
        assert held(story.record) == expected
        for again in told:
            story.deliver(again, NOON + place * 60_000 + 30_000)
            assert held(story.record) == expected


def test_r18_a_late_code_of_a_message_older_than_a_start_without_effect_holds_nobody() -> None:
    story = Story()
    story.deliver(start("SM1"), NOON)
    story.deliver(code_30004("SM0-30004", NOON - 1), NOON + 60_000)
    assert held(story.record) == set()
    story.deliver(code_30004("SM2-30004", NOON + 1), NOON + 60_000)
    assert held(story.record) == {CARRIER}
