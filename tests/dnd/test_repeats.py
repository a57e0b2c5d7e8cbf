"""Event ids seen again: for a week, for the newest 256 of a subject, places and lifts apart."""

from __future__ import annotations

from dataclasses import replace

from gateway.dnd.model import Actor, ActorKind, Cause, Lift, LiftTerm, Place, Scope
from gateway.dnd.record import EMPTY, SEEN_FOR_MS, SEEN_LIMIT, Record, RegisterKey, fold
from tests.dnd.strategies import SUBJECT, folded

CONTACT = Actor(ActorKind.CONTACT, "+14155552671")
STOPPED = (Scope.SMS, Cause.KEYWORD_OPT_OUT)
DAY_MS = 24 * 3_600_000


def stop(event_id: str, at: int) -> Place:
    return Place(event_id, SUBJECT, (Scope.SMS,), (Cause.KEYWORD_OPT_OUT,), at, CONTACT)


def start(event_id: str, through: int) -> Lift:
    return Lift(event_id, SUBJECT, (LiftTerm(*STOPPED, through),), CONTACT)


def held(record: Record) -> set[RegisterKey]:
    return {key for key, _ in record.holds()}


def test_a_redelivered_start_with_a_later_time_does_not_lift_a_newer_stop() -> None:
    """R13, R18: the provider repeats the START hours later, and whoever receives it writes the time of the repeat."""
    record = folded([(stop("SM1", 10), 10), (start("SM2", 20), 20), (stop("SM3", 30), 30)])
    repeated = fold(record, start("SM2", 8 * 3_600_000), 8 * 3_600_000)
    assert repeated.repeated
    assert held(repeated.record) == {STOPPED}


def test_a_redelivered_start_that_names_more_than_the_first_time_lifts_nothing() -> None:
    """Its writer may see other holds by then. What an id did once it does not do again with another list."""
    record = folded([(start("SM1", 5), 5), (stop("SM2", 30), 30)])
    wider = replace(start("SM1", 99), terms=(LiftTerm(*STOPPED, 99), LiftTerm(Scope.SMS, Cause.CARRIER_OPT_OUT, 99)))
    assert held(fold(record, wider, 99).record) == {STOPPED}


def test_a_repeat_is_known_whatever_the_order_of_what_it_names() -> None:
    both = replace(stop("SM1", 10), scopes=(Scope.SMS, Scope.CALL))
    assert fold(folded([(both, 10)]), replace(both, scopes=(Scope.CALL, Scope.SMS)), 20).repeated


def test_a_redelivered_stop_with_a_later_time_does_not_hold_again_after_a_start() -> None:
    record = folded([(stop("SM1", 10), 10), (start("SM2", 20), 20)])
    assert held(fold(record, stop("SM1", 500), 500).record) == set()


def test_an_id_is_known_for_seven_days_of_broker_time() -> None:
    record = folded([(start("SM1", 5), 0), (stop("SM2", 10), 10)])
    busy = fold(record, stop("SM3", 11), SEEN_FOR_MS - 1).record
    assert fold(busy, start("SM1", 7 * DAY_MS), SEEN_FOR_MS - 1).repeated
    assert SEEN_FOR_MS == 7 * DAY_MS


def test_an_id_is_forgotten_after_seven_days_and_costs_nothing_then() -> None:
    record = folded([(start("SM1", 5), 0), (stop("SM2", 10), SEEN_FOR_MS)])
    assert list(record.seen) == ["place:SMS,keyword_opt_out:SM2"]


def test_places_of_two_causes_under_one_id_both_hold() -> None:
    bounce = Place("webhook-1", stop("", 0).subject, (Scope.EMAIL,), (Cause.BOUNCE,), 10, Actor(ActorKind.PROVIDER))
    unsubscribe = replace(bounce, causes=(Cause.UNSUBSCRIBE,))
    record = folded([(bounce, 10), (unsubscribe, 10)])
    assert {cause for (_, cause), _ in record.holds()} == {Cause.BOUNCE, Cause.UNSUBSCRIBE}


def test_the_time_of_the_first_arrival_is_kept() -> None:
    record = folded([(stop("SM1", 10), 10), (stop("SM1", 10), 6 * DAY_MS)])
    assert record.seen == {"place:SMS,keyword_opt_out:SM1": 10}


def test_the_newest_256_ids_of_a_subject_are_known() -> None:
    record = folded((stop(f"SM{number}", number), number) for number in range(SEEN_LIMIT + 50))
    assert len(record.seen) == SEEN_LIMIT == 256
    assert fold(record, stop("SM50", 9_999), 9_999).repeated
    assert not fold(record, stop("SM49", 9_999), 9_999).repeated


def test_joined_records_know_the_newest_256_ids_of_both_with_the_first_arrival_of_each() -> None:
    one = folded((stop(f"SM{number}", number), number) for number in range(200))
    two = folded((stop(f"SM{number}", number), number + 1) for number in range(100, 400))
    joined = one.join(two)
    assert len(joined.seen) == SEEN_LIMIT
    assert joined.seen["place:SMS,keyword_opt_out:SM150"] == 150
    assert joined.seen["place:SMS,keyword_opt_out:SM399"] == 400


def test_a_place_is_not_lost_because_a_lift_carried_its_id() -> None:
    record = fold(EMPTY, start("same", 5), 10).record
    assert held(fold(record, stop("same", 20), 20).record) == {STOPPED}


def test_a_lift_is_not_lost_because_a_place_carried_its_id() -> None:
    record = fold(EMPTY, stop("same", 5), 10).record
    assert held(fold(record, start("same", 20), 20).record) == set()


def test_events_without_an_id_are_not_taken_for_repeats_of_each_other() -> None:
    record = folded([(stop("", 10), 10), (start("", 20), 20)])
    assert held(fold(record, stop("", 30), 30).record) == {STOPPED}
    assert record.seen == {}
