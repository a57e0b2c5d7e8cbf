"""What the view knows, written back as events, gives the same holds."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given

from gateway.contract.events import event_key
from gateway.dnd.model import Actor, ActorKind, Cause, Event, Lift, Place, Scope
from gateway.dnd.record import EMPTY, Mark, Record, Register, fold
from gateway.view.errors import ViewLocked
from gateway.view.operator import discard, events_of, republish
from tests.view.logs import (
    START_MS,
    Line,
    folded,
    follow,
    lift,
    line,
    open_view,
    partition_logs,
    phone,
    place,
    random_log,
)

LATER_MS = START_MS + 30 * 24 * 3_600_000


def through_a_new_log(events: list[Event]) -> dict[object, Record]:
    """Encoded, appended to an empty log a month later, decoded and folded."""
    return dict(folded(line(offset, event, LATER_MS) for offset, event in enumerate(events)).items())


def times(record: Record) -> dict[object, tuple[int, int]]:
    return {key: (register.placed.at, register.lifted.at) for key, register in record.registers.items()}


@given(partition_logs())
def test_republished_from_an_empty_log_the_registers_are_the_same(lines: list[Line]) -> None:
    before = folded(lines)
    events = [event for subject, record in before.items() for event in events_of(subject, record)]
    after = through_a_new_log(events)
    for subject, record in before.items():
        assert times(after[subject]) == times(record)
        assert dict(after[subject].holds()).keys() == dict(record.holds()).keys()
        for key, register in record.registers.items():
            assert after[subject].registers[key].placed.actor == register.placed.actor
            assert after[subject].registers[key].lifted.actor == register.lifted.actor


def test_several_places_under_one_id_and_time_are_written_back_apart() -> None:
    """Together they would hold every scope for every cause."""
    subject = phone(1)
    keyword = place("e0", subject)
    others = replace(keyword, scopes=(Scope.ALL, Scope.CALL), causes=(Cause.MANUAL,))
    before = folded(line(offset, event) for offset, event in enumerate([keyword, others]))[subject]
    after = through_a_new_log(list(events_of(subject, before)))
    assert times(after[subject]) == times(before)


@given(partition_logs())
def test_at_no_step_of_republishing_is_a_hold_in_force_that_was_not(lines: list[Line]) -> None:
    for subject, record in folded(lines).items():
        holds, current = dict(record.holds()).keys(), EMPTY
        for event in events_of(subject, record):
            current = fold(current, event, LATER_MS).record
            assert dict(current.holds()).keys() <= holds


@given(partition_logs())
def test_no_hold_is_lost_on_the_way_and_ids_that_were_known_stay_known(lines: list[Line]) -> None:
    for subject, record in folded(lines).items():
        current = EMPTY
        for event in events_of(subject, record):
            current = fold(current, event, LATER_MS).record
        assert current.seen.keys() >= record.seen.keys()


@given(partition_logs())
def test_republishing_twice_changes_nothing(lines: list[Line]) -> None:
    for subject, record in folded(lines).items():
        events = list(events_of(subject, record))
        assert through_a_new_log(events + events) == through_a_new_log(events)


def test_a_redelivered_start_lifts_nothing_after_republishing_either() -> None:
    subject = phone(1)
    record = EMPTY
    for event in (
        place("stop-1", subject, at=START_MS),
        lift("start-1", subject, through=START_MS),
        lift("start-2", subject, through=START_MS + 1),
        place("stop-2", subject, at=START_MS + 5),
    ):
        record = fold(record, event, START_MS).record
    events = list(events_of(subject, record))
    current = EMPTY
    for event in [*events, lift("start-1", subject, through=START_MS + 60_000)]:
        current = fold(current, event, LATER_MS).record
    assert list(current.holds())


def test_two_lifts_with_one_id_are_both_republished() -> None:
    """An id is known for seven days; after that another event of the subject may come with the same one."""
    user = Actor(ActorKind.USER, "u1")
    record = Record(
        {
            (Scope.SMS, Cause.MANUAL): Register(lifted=Mark(START_MS, "same" * 64, user)),
            (Scope.ALL, Cause.MANUAL): Register(lifted=Mark(START_MS, "same" * 64, user, {"another": "event"})),
        }
    )
    events = list(events_of(phone(1), record))
    assert times(through_a_new_log(events)[phone(1)]) == times(record)


def test_a_whole_view_republished_into_another_is_the_same_view(tmp_path: Path) -> None:
    log = random_log(5, 1, lines=1_500, subjects=120)
    old = open_view(tmp_path / "old")
    follow(old, log)
    events = list(republish(old))
    assert {type(event) for event in events} == {Place, Lift}
    new = open_view(tmp_path / "new", cluster_id="cluster-b")
    follow(new, [[line(offset, event, LATER_MS) for offset, event in enumerate(events)]])
    before, after = dict(old.records()), dict(new.records())
    assert {subject: times(record) for subject, record in before.items()} == {
        subject: times(record) for subject, record in after.items()
    }
    keys = [event_key(subject) for subject in before]
    assert [found is None for found in old.lookup(keys)] == [found is None for found in new.lookup(keys)]
    old.close()
    new.close()


def test_discarding_moves_the_view_aside_and_the_next_start_is_empty(tmp_path: Path) -> None:
    view = open_view(tmp_path / "view")
    view.apply(0, [line(0, place("e1", phone(1)))], 1)
    with pytest.raises(ViewLocked):
        discard(tmp_path / "view")
    view.close()
    aside = discard(tmp_path / "view")
    assert aside is not None
    assert aside.name.startswith("view.discarded-")
    assert discard(tmp_path / "view") is None
    view = open_view(tmp_path / "view")
    assert view.positions() == [0]
    view.close()
    kept = open_view(aside)
    assert kept.count() == 1
    kept.close()
