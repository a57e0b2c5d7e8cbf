"""From signals to events: dates, reach of a lift, repetition; whole histories through resolve and fold."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from itertools import permutations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.dnd.model import Cause, Event, Lift, LiftTerm, Place, Scope
from gateway.dnd.record import EMPTY, Record, RegisterKey, fold
from gateway.providers.signals import Signal
from gateway.signals.resolve import Known, contested, not_before, place_at, resolve, resolve_spooled
from tests.signals.people import CARRIER, PHONE, STOPPED, UNREACHABLE, code_30004, contact, start, stop

HOUR_MS = 3_600_000
NOON = 1_763_900_000_000


def fresh(record: Record = EMPTY) -> Known:
    return Known(record, fresh=True)


def stale(record: Record = EMPTY) -> Known:
    return Known(record, fresh=False)


def after(*events: tuple[Event, int]) -> Record:
    record = EMPTY
    for event, broker_time in events:
        record = fold(record, event, broker_time).record
    return record


def held(record: Record) -> set[RegisterKey]:
    return {key for key, _ in record.holds()}


def only(events: list[Event]) -> Event:
    (event,) = events
    return event


def placed(signal: Signal, known: Known, now: int, received_at: int | None = None) -> Place:
    event = only(resolve(signal, known, now, now if received_at is None else received_at))
    assert isinstance(event, Place)
    return event


def lifted(signal: Signal, known: Known, now: int, received_at: int | None = None) -> Lift:
    event = only(resolve(signal, known, now, now if received_at is None else received_at))
    assert isinstance(event, Lift)
    return event


def through(lift: Lift, key: RegisterKey) -> int:
    (term,) = [term for term in lift.terms if (term.scope, term.cause) == key]
    return term.through


STOPPED_AT_NOON = after((placed(stop("s"), fresh(), NOON), NOON))
"""One STOP."""


def test_a_place_that_happens_now_is_later_than_every_lift_known() -> None:
    """Also when the lift came from a clock that is ahead of ours by hours."""
    lift = lifted(start("go"), fresh(STOPPED_AT_NOON), NOON + 3 * HOUR_MS)
    record = after((placed(stop("s"), fresh(), NOON), NOON), (lift, NOON + 3 * HOUR_MS))
    again = placed(stop("s2"), fresh(record), NOON)
    assert again.at == NOON + 3 * HOUR_MS + 1
    assert STOPPED in held(fold(record, again, NOON + 3 * HOUR_MS).record)


def test_without_a_barrier_a_place_has_its_time_of_receipt() -> None:
    assert placed(stop("s"), stale(), NOON + 400, received_at=NOON).at == NOON
    assert placed(stop("s"), fresh(), NOON + 400, received_at=NOON).at == NOON + 400


def test_what_an_old_record_knows_of_lifts_makes_a_place_later() -> None:
    record = after((placed(stop("s"), fresh(), NOON), NOON), (lifted(start("go"), stale(), NOON + 9), NOON + 9))
    assert placed(stop("s2"), stale(record), NOON).at == NOON + 10


@pytest.mark.parametrize("known", [fresh(), stale()])
def test_what_a_provider_dates_keeps_its_date(known: Known) -> None:
    """R16: a code has the creation time of its message."""
    assert placed(code_30004("c", NOON - HOUR_MS), known, NOON).at == NOON - HOUR_MS
    assert only(resolve_spooled(code_30004("c", NOON - HOUR_MS), NOON)) == placed(
        code_30004("c", NOON - HOUR_MS), known, NOON
    )


@pytest.mark.parametrize("known", [fresh(STOPPED_AT_NOON), stale(STOPPED_AT_NOON)])
def test_an_opt_in_that_a_provider_dates_ends_what_was_placed_until_then(known: Known) -> None:
    """Behind a newer opt-out it comes too late, and nobody has to be asked."""
    for sent_at, holds in ((NOON + 1, set()), (NOON - 1, {STOPPED})):
        signal = replace(start("go"), at=sent_at)
        for event in (lifted(signal, known, NOON + HOUR_MS), only(resolve_spooled(signal, NOON + HOUR_MS))):
            assert held(fold(known.record, event, NOON + HOUR_MS).record) == holds
        assert contested(signal, known, NOON, 10_000) == {}


def test_a_spooled_place_is_dated_five_seconds_after_its_receipt() -> None:
    event = only(resolve_spooled(stop("s"), NOON))
    assert isinstance(event, Place)
    assert event.at == NOON + 5_000


def test_a_spooled_place_stays_later_than_the_lifts_that_were_known_when_it_came() -> None:
    """A gateway three hours slow: the person's START came through another one, then STOP while Kafka was away."""
    lift = lifted(start("go"), fresh(STOPPED_AT_NOON), NOON + 3 * HOUR_MS)
    record = fold(STOPPED_AT_NOON, lift, NOON + 3 * HOUR_MS).record
    event = only(resolve_spooled(stop("s2"), NOON, not_before(stop("s2"), record)))
    assert STOPPED in held(fold(record, event, NOON + 4 * HOUR_MS).record)
    assert not_before(start("go2"), record) == 0


def test_a_start_reaches_the_places_it_saw_whatever_their_clock_and_all_of_its_causes() -> None:
    """R18, and a late 30004 of a message sent before it."""
    ahead = after((placed(stop("s"), fresh(), NOON + 3 * HOUR_MS), NOON + 3 * HOUR_MS))
    lift = lifted(start("go"), fresh(ahead), NOON)
    assert through(lift, STOPPED) == NOON + 3 * HOUR_MS
    assert through(lift, CARRIER) == through(lift, UNREACHABLE) == NOON


def test_without_a_barrier_a_start_reaches_its_time_of_receipt_and_nothing_more() -> None:
    """Even where an old record shows a later place: it may be one the contact has sent since."""
    ahead = after((placed(stop("s"), fresh(), NOON + 500), NOON + 500))
    for event in (
        lifted(start("go"), stale(ahead), NOON + 400, received_at=NOON),
        only(resolve_spooled(start("go"), NOON)),
    ):
        assert isinstance(event, Lift)
        assert {term.through for term in event.terms} == {NOON}


def test_r18_start_by_somebody_never_opted_out_is_no_event() -> None:
    assert resolve(start("go"), fresh(), NOON, NOON) == []
    bounced = after((Place("b", PHONE, (Scope.EMAIL,), (Cause.BOUNCE,), NOON, contact(PHONE)), NOON))
    assert resolve(start("go"), fresh(bounced), NOON, NOON) == []


def test_without_a_barrier_nobody_is_known_to_have_never_opted_out() -> None:
    assert len(resolve(start("go"), stale(), NOON, NOON)) == 1


@pytest.mark.parametrize("known", [fresh, stale])
def test_an_event_id_the_record_knows_is_not_written_again(known: Callable[[Record], Known]) -> None:
    record = fold(STOPPED_AT_NOON, lifted(start("go"), fresh(STOPPED_AT_NOON), NOON + 1), NOON + 1).record
    assert resolve(stop("s"), known(record), NOON + HOUR_MS, NOON + HOUR_MS) == []
    assert resolve(start("go"), known(record), NOON + HOUR_MS, NOON + HOUR_MS) == []
    assert resolve(stop("s2"), known(record), NOON + HOUR_MS, NOON + HOUR_MS) != []


def test_the_subject_is_written_under_its_key() -> None:
    """Mexico's two spellings reach one handset."""
    written = PHONE._replace(id="+5215512345678")
    assert placed(stop("s", written), fresh(), NOON).subject.id == "+525512345678"
    assert only(resolve_spooled(stop("s", written), NOON)).subject.id == "+525512345678"


def test_a_place_on_two_scopes_is_later_than_the_lifts_of_both() -> None:
    record = after((Lift("l", PHONE, (LiftTerm(Scope.CALL, Cause.KEYWORD_OPT_OUT, NOON),), contact(PHONE)), NOON))
    assert place_at(record, (Scope.SMS, Scope.CALL), Cause.KEYWORD_OPT_OUT, NOON - 5) == NOON + 1


# ---- a START close behind a STOP ----


def test_a_start_within_the_window_of_a_stop_is_contested() -> None:
    known = fresh(STOPPED_AT_NOON)
    assert set(contested(start("go"), known, NOON + 10_000, 10_000)) == {STOPPED}
    assert contested(start("go"), known, NOON + 10_001, 10_000) == {}
    assert contested(start("go"), known, NOON, 0) == {}
    assert contested(start("go"), stale(STOPPED_AT_NOON), NOON, 10_000) == {}


def test_only_the_contacts_own_word_contests_its_start() -> None:
    record = after((placed(code_30004("c", NOON), fresh(), NOON), NOON))
    assert contested(start("go"), fresh(record), NOON + 1, 10_000) == {}


def test_a_start_that_is_not_known_to_be_later_leaves_the_hold_and_ends_the_others() -> None:
    """R13, design: unknown or equal = stays held."""
    record = fold(STOPPED_AT_NOON, placed(code_30004("c", NOON), fresh(), NOON), NOON).record
    lift = only(resolve(start("go"), fresh(record), NOON + 5, NOON + 5, doubted=[STOPPED]))
    assert held(fold(record, lift, NOON + 5).record) == {STOPPED}


# ---- histories ----


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
    assert in_force == [True, True, False, False, True, False]
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
