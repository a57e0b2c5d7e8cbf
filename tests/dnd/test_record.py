"""The laws of the fold: order, repetition and place of arrival do not matter, and what a lift and a clock can do."""

from __future__ import annotations

from itertools import combinations

from hypothesis import given
from hypothesis import strategies as st

from gateway.dnd.causes import may_lift
from gateway.dnd.model import Actor, ActorKind, Cause, Event, Lift, LiftTerm, Place, Scope
from gateway.dnd.record import (
    EMPTY,
    LIFT_MARGIN_MS,
    NEVER,
    PLACE_MARGIN_MS,
    Mark,
    Record,
    Register,
    RegisterKey,
    fold,
)
from tests.dnd.strategies import (
    ACTORS,
    BROKER_TIMES,
    SUBJECT,
    TIMES,
    Log,
    events,
    folded,
    lifts,
    logs,
    places,
    records,
)

CONTACT = Actor(ActorKind.CONTACT, "+14155552671")
STOPPED = (Scope.SMS, Cause.KEYWORD_OPT_OUT)


def stop(event_id: str, at: int) -> Place:
    return Place(event_id, SUBJECT, (Scope.SMS,), (Cause.KEYWORD_OPT_OUT,), at, CONTACT)


def start(event_id: str, through: int, actor: Actor = CONTACT) -> Lift:
    return Lift(event_id, SUBJECT, (LiftTerm(*STOPPED, through),), actor)


def held(record: Record) -> set[RegisterKey]:
    return {key for key, _ in record.holds()}


# The laws


@given(st.data())
def test_the_order_of_events_does_not_matter(data: st.DataObject) -> None:
    """Guarantee 3, R21: delays, reordering and many partitions end in the same registers, also where all times tie."""
    log = data.draw(logs())
    shuffled = data.draw(st.permutations(log))
    assert folded(shuffled).registers == folded(log).registers


@given(logs(), st.integers(0, 8))
def test_the_join_of_partial_folds_is_the_fold_of_all(log: Log, cut: int) -> None:
    assert folded(log[:cut]).join(folded(log[cut:])).registers == folded(log).registers


@given(records(), records(), records())
def test_join_is_associative_commutative_and_idempotent(one: Record, two: Record, three: Record) -> None:
    assert one.join(two).join(three) == one.join(two.join(three))
    assert one.join(two) == two.join(one)
    assert one.join(one) == one


@given(records(), records())
def test_no_hold_is_lost_and_no_lift_undone_when_records_are_joined(one: Record, two: Record) -> None:
    """R21: union, per register. A hold of one side may end only by a lift that the other side has seen."""
    joined = one.join(two)
    for key in held(one):
        other = two.registers.get(key, Register())
        assert key in held(joined) or other.lifted.at >= one.registers[key].placed.at
    for key, register in joined.registers.items():
        sides = [record.registers.get(key, Register()) for record in (one, two)]
        assert register.lifted.at == max(side.lifted.at for side in sides)
        assert register.placed.at == max(side.placed.at for side in sides)


@given(st.data())
def test_repeats_change_nothing(data: st.DataObject) -> None:
    """Guarantee 3: whatever is delivered again, as often and as late as it may be."""
    log = data.draw(logs())
    again = data.draw(st.lists(st.sampled_from(log), max_size=8)) if log else []
    record = folded(log)
    for event, _ in again:
        repeated = fold(record, event, data.draw(BROKER_TIMES))
        assert repeated.repeated
        assert repeated.record == record


@given(logs())
def test_a_hold_is_in_force_when_some_place_is_later_than_every_lift_that_the_table_allows(log: Log) -> None:
    """The whole meaning of the fold, said once more without registers."""
    placed: dict[RegisterKey, int] = {}
    lifted: dict[RegisterKey, int] = {}
    for event, broker_time in log:
        if isinstance(event, Place):
            for key in [(scope, cause) for scope in event.scopes for cause in event.causes]:
                placed[key] = max(placed.get(key, 0), min(event.at, broker_time + PLACE_MARGIN_MS))
        else:
            for term in event.terms:
                if may_lift(event.actor.kind, term.cause):
                    through = min(term.through, broker_time + LIFT_MARGIN_MS)
                    lifted[term.scope, term.cause] = max(lifted.get((term.scope, term.cause), NEVER), through)
    assert held(folded(log)) == {key for key, at in placed.items() if at > lifted.get(key, NEVER)}


# What one event can do


@given(records(), places("new"), BROKER_TIMES)
def test_a_place_touches_only_its_scopes_and_causes_and_ends_no_hold(record: Record, place: Place, now: int) -> None:
    """A hold of one cause never overwrites, downgrades or lifts another."""
    after = fold(record, place, now).record
    named = {(scope, cause) for scope in place.scopes for cause in place.causes}
    for key in after.registers.keys() | record.registers.keys():
        if key in named:
            assert after.registers[key].lifted == record.registers.get(key, Register()).lifted
        else:
            assert after.registers[key] == record.registers[key]
    assert held(record) <= held(after)


@given(records(), lifts("new"), BROKER_TIMES)
def test_a_lift_ends_only_what_it_names(record: Record, lift: Lift, now: int) -> None:
    """By scope, by cause and by `through`: never a hold placed later, and never by an actor the table does not name."""
    result = fold(record, lift, now)
    ended = held(record) - held(result.record)
    for key in ended:
        through = max(term.through for term in lift.terms if (term.scope, term.cause) == key)
        assert record.registers[key].placed.at <= through
        assert may_lift(lift.actor.kind, key[1])
    assert held(result.record) <= held(record)
    refused = [(term.scope, term.cause) for term in lift.terms if not may_lift(lift.actor.kind, term.cause)]
    assert result.refused == tuple(refused)


@given(records(), places("new"), BROKER_TIMES)
def test_an_unknown_actor_may_place(record: Record, place: Place, now: int) -> None:
    unknown = Place("new", SUBJECT, place.scopes, place.causes, PLACE_MARGIN_MS + 70_000, Actor(None), {})
    after = fold(record, unknown, now + 70_000).record
    assert {(scope, cause) for scope in place.scopes for cause in place.causes} <= held(after)


@given(records(), lifts("new"), BROKER_TIMES)
def test_an_unknown_actor_never_lifts(record: Record, lift: Lift, now: int) -> None:
    result = fold(record, Lift("new", SUBJECT, lift.terms, Actor(None, "somebody")), now)
    assert result.record.registers == record.registers
    assert len(result.refused) == len(lift.terms)


def test_of_two_marks_of_one_time_the_same_wins_everywhere() -> None:
    """Marks that differ in one thing alone, down to the order of two fields of the evidence, which is no difference."""
    marks = [
        Mark(5, "e1", CONTACT, {"text": "STOP", "code": 1}),
        Mark(5, "e2", CONTACT, {"text": "STOP", "code": 1}),
        Mark(5, "e1", Actor(ActorKind.USER, "a"), {"text": "STOP", "code": 1}),
        Mark(5, "e1", Actor(None, "a"), {"text": "STOP", "code": 1}),
        Mark(5, "e1", CONTACT, {"text": "STOP", "code": 2}),
        Mark(5, "e1", CONTACT, {}),
    ]
    for one, two in combinations(marks, 2):
        assert one.join(two) == two.join(one)
    assert marks[0].join(Mark(5, "e1", CONTACT, {"code": 1, "text": "STOP"})) == marks[0]


# Clocks


@given(TIMES, BROKER_TIMES)
def test_a_lift_reaches_at_most_five_seconds_past_broker_time(through: int, now: int) -> None:
    register = fold(EMPTY, start("s", through), now).record.registers[STOPPED]
    assert register.lifted.at == max(NEVER, min(through, now + 5_000))


@given(TIMES, BROKER_TIMES)
def test_a_place_reaches_at_most_six_seconds_past_broker_time(at: int, now: int) -> None:
    register = fold(EMPTY, stop("p", at), now).record.registers[STOPPED]
    assert register.placed.at == max(0, min(at, now + 6_000))


@given(TIMES, BROKER_TIMES, st.integers(0, 100_000))
def test_a_place_dated_lifted_through_plus_one_always_counts(through: int, now: int, later: int) -> None:
    """A writer that has seen the lift dates its place one later; no clock and no margin may cut it below the lift."""
    record = fold(EMPTY, start("s", through), now).record
    lifted_through = record.registers[STOPPED].lifted.at
    assert held(fold(record, stop("p", lifted_through + 1), now + later).record) == {STOPPED}


@given(TIMES, TIMES, BROKER_TIMES, BROKER_TIMES)
def test_a_place_of_a_clock_far_ahead_can_be_lifted_by_one_that_is_right(
    at: int, through: int, now: int, later: int
) -> None:
    record = fold(EMPTY, stop("p", at), now).record
    right = now + PLACE_MARGIN_MS + later
    assert held(fold(record, start("s", right), right).record) == set()


@given(st.integers(max_value=-1), BROKER_TIMES)
def test_a_place_dated_before_1970_holds(at: int, now: int) -> None:
    assert held(fold(EMPTY, stop("p", at), now).record) == {STOPPED}


@given(events(), BROKER_TIMES)
def test_no_lift_alone_makes_a_hold(event: Event, now: int) -> None:
    record = fold(EMPTY, event, now).record
    assert isinstance(event, Place) or held(record) == set()


def test_a_time_ahead_of_the_limit_is_cut_before_it_is_compared() -> None:
    """Two gateways with clocks a year ahead: the later arrival wins, not the wilder clock."""
    year = 365 * 24 * 3_600_000
    record = folded([(start("s", 2 * year), 1_000), (stop("p", year), 2_500)])
    assert held(record) == {STOPPED}


def test_the_actor_is_kept_with_what_it_did() -> None:
    support = Actor(ActorKind.SUPPORT, "ann")
    register = folded([(stop("p", 10), 20), (start("s", 10, support), 30)]).registers[STOPPED]
    assert (register.placed.actor, register.lifted.actor) == (CONTACT, support)
    assert (register.placed.event_id, register.lifted.event_id) == ("p", "s")


@given(ACTORS, st.sampled_from(Cause), st.sampled_from(Scope), BROKER_TIMES)
def test_a_refused_lift_is_named_and_leaves_no_trace_in_the_registers(
    actor: Actor, cause: Cause, scope: Scope, now: int
) -> None:
    result = fold(EMPTY, Lift("s", SUBJECT, (LiftTerm(scope, cause, now),), actor), now)
    allowed = may_lift(actor.kind, cause)
    assert result.refused == (() if allowed else ((scope, cause),))
    assert bool(result.record.registers) is allowed
