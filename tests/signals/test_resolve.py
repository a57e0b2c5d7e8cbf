"""From signals to events: dates, reach of a lift, repetition."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from gateway.dnd.model import Actor, ActorKind, Cause, Lift, LiftTerm, Place, Scope
from gateway.dnd.record import EMPTY, Record, RegisterKey, fold
from gateway.providers.signals import Signal
from gateway.signals.resolve import Known, cautious, contested, not_before, place_at, resolve, resolve_spooled
from tests.signals.folded import HOUR_MS, NOON, after, held, only
from tests.signals.people import CARRIER, PHONE, STOPPED, UNREACHABLE, code_30004, contact, start, stop


def fresh(record: Record = EMPTY) -> Known:
    return Known(record, fresh=True)


def stale(record: Record = EMPTY) -> Known:
    return Known(record, fresh=False)


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


def test_without_a_barrier_a_place_is_dated_five_seconds_after_its_receipt() -> None:
    """A START that nobody has seen may run ahead by as much."""
    assert placed(stop("s"), stale(), NOON + 400, received_at=NOON).at == NOON + 5_000
    assert placed(stop("s"), fresh(), NOON + 400, received_at=NOON).at == NOON + 400


def test_what_an_old_record_knows_of_lifts_makes_a_place_later() -> None:
    lift = lifted(start("go"), stale(), NOON + 9_000)
    record = after((placed(stop("s"), fresh(), NOON), NOON), (lift, NOON + 9_000))
    assert placed(stop("s2"), stale(record), NOON).at == NOON + 9_001


def test_a_place_behind_a_barrier_is_newer_than_the_one_it_finds_whatever_the_clock() -> None:
    """So an appeal, or a clean-up, that was begun in between does not end it: it ends what it saw."""
    again = placed(stop("s2"), fresh(STOPPED_AT_NOON), NOON - 3 * HOUR_MS)
    record = fold(STOPPED_AT_NOON, again, NOON + 60_000).record
    appeal = Lift("appeal", PHONE, (LiftTerm(*STOPPED, NOON),), Actor(ActorKind.SUPPORT, "x"))
    assert STOPPED in held(fold(record, appeal, NOON + 120_000).record)


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


def test_r18_start_by_somebody_never_opted_out_does_nothing_but_leaves_its_id() -> None:
    bounced = after((Place("b", PHONE, (Scope.EMAIL,), (Cause.BOUNCE,), NOON, contact(PHONE)), NOON))
    for record in (EMPTY, bounced):
        lift = lifted(start("go"), fresh(record), NOON)
        assert {term.through for term in lift.terms} == {NOON}
        folded = fold(record, lift, NOON).record
        assert held(folded) == held(record)
        assert resolve(start("go"), fresh(folded), NOON + HOUR_MS, NOON + HOUR_MS) == []


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
    assert set(contested(start("go"), known, NOON - HOUR_MS, 10_000)) == {STOPPED}  # told first, handled last
    assert contested(start("go"), stale(STOPPED_AT_NOON), NOON, 10_000) == {}


def test_only_the_contacts_own_word_contests_its_start() -> None:
    record = after((placed(code_30004("c", NOON), fresh(), NOON), NOON))
    assert contested(start("go"), fresh(record), NOON + 1, 10_000) == {}


def test_a_start_that_is_not_known_to_be_later_leaves_the_hold_and_ends_the_others() -> None:
    """R13, design: unknown or equal = stays held."""
    record = fold(STOPPED_AT_NOON, placed(code_30004("c", NOON), fresh(), NOON), NOON).record
    lift = only(resolve(start("go"), fresh(record), NOON + 5, NOON + 5, doubted=[STOPPED]))
    assert held(fold(record, lift, NOON + 5).record) == {STOPPED}


def test_a_start_that_nobody_can_check_ends_only_what_is_older_than_the_window() -> None:
    """R13, design: without a barrier no STOP is known, so all may be from within it."""
    for placed_at, holds in ((NOON - 10_001, set()), (NOON - 10_000, {STOPPED}), (NOON, {STOPPED})):
        record = after((placed(stop("s"), fresh(), placed_at), NOON))
        signal = cautious(start("go"), NOON, 10_000)
        for event in (lifted(signal, stale(), NOON + 400, NOON), only(resolve_spooled(signal, NOON))):
            assert held(fold(record, event, NOON + 400).record) == holds
            assert contested(start("go"), fresh(record), NOON, 10_000).keys() == holds


def test_nothing_but_an_undated_start_is_held_back_by_caution() -> None:
    dated = replace(start("go"), at=NOON - 5)
    for signal in (stop("s"), dated):
        assert cautious(signal, NOON, 10_000) is signal
    assert cautious(start("go"), NOON, 0) == start("go")
