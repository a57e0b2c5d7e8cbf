"""The view equals a plain fold of its log, at every position."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.contract.events import event_key
from gateway.dnd.model import ActorKind, Cause, Subject, SubjectKind
from gateway.dnd.record import EMPTY
from gateway.view.folding import Applied
from gateway.view.held import HeldFilter
from gateway.view.table import View
from tests.view.logs import START_MS, Line, folded, follow, lift, line, open_view, partition_logs, phone, place


def assert_equals_fold(view: View, lines: list[Line]) -> None:
    expected = folded(lines)
    assert dict(view.records()) == expected
    assert view.count() == len(expected)
    unknown = Subject("loc1", SubjectKind.CONTACT, "nobody")
    for subject in [*expected, unknown]:
        assert view.get(subject) == expected.get(subject, EMPTY)
    keys = [event_key(subject) for subject in [*expected, unknown]]
    held = [None if found is None else found.registers.keys() for found in view.lookup(keys)]
    holds = [dict(expected.get(subject, EMPTY).holds()).keys() or None for subject in [*expected, unknown]]
    assert held == holds


@settings(max_examples=40, deadline=None)
@given(partition_logs(), st.lists(st.tuples(st.integers(1, 9), st.booleans()), min_size=25, max_size=25))
def test_look_ups_equal_a_plain_fold_for_any_log_in_any_batches_with_restarts_between(
    lines: list[Line], steps: list[tuple[int, bool]]
) -> None:
    with tempfile.TemporaryDirectory() as scratch:
        view = open_view(Path(scratch) / "view")
        rest, done = list(lines), list[Line]()
        for size, restart in steps:
            batch, rest = rest[:size], rest[size:]
            if batch:
                view.apply(0, batch, batch[-1].offset + 1)
                done += batch
            if restart:
                view.close()
                view = open_view(Path(scratch) / "view")
            if not rest:
                break
        assert_equals_fold(view, done)
        view.close()


def test_a_hold_is_seen_by_the_very_next_look_up_and_after_a_restart(tmp_path: Path) -> None:
    subject, key = phone(1), event_key(phone(1))
    view = open_view(tmp_path / "view")
    assert view.lookup([key, key]) == [None, None]
    view.apply(0, [line(0, place("e1", subject))], 1)
    found = view.lookup([b"other", key])
    assert found[0] is None
    assert found[1] is not None
    view.close()
    reopened = open_view(tmp_path / "view")
    assert reopened.lookup([b"other", key]) == found
    reopened.close()


def test_a_lifted_hold_is_no_longer_found(tmp_path: Path) -> None:
    view = open_view(tmp_path / "view")
    view.apply(0, [line(0, place("e1", phone(1)))], 1)
    view.apply(0, [line(1, lift("e2", phone(1)))], 2)
    assert view.lookup([event_key(phone(1))]) == [None]
    assert view.get(phone(1)).registers
    view.close()


def test_a_filter_that_forgot_a_key_would_lose_its_hold(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Shows that the tests above can fail: look-ups believe the filter."""
    monkeypatch.setattr(HeldFilter, "add", lambda self, keys: None)
    view = open_view(tmp_path / "view")
    view.apply(0, [line(0, place("e1", phone(1)))], 1)
    assert view.lookup([event_key(phone(1))]) == [None]
    view.close()


def test_positions_are_those_the_reader_gave_not_the_last_offset_plus_one(tmp_path: Path) -> None:
    view = open_view(tmp_path / "view", partitions=3)
    view.apply(1, [line(4, place("e1", phone(1)))], 9)
    view.apply(2, [], 5)
    assert view.positions() == [0, 9, 5]
    view.close()
    reopened = open_view(tmp_path / "view", partitions=3)
    assert reopened.positions() == [0, 9, 5]
    reopened.close()


def test_records_below_the_position_are_ignored_and_the_position_never_goes_back(tmp_path: Path) -> None:
    lines = [line(offset, place(f"e{offset}", phone(offset))) for offset in range(6)]
    view = open_view(tmp_path / "view")
    view.apply(0, lines[:4], 4)
    before = view.fingerprint(0)
    assert view.apply(0, lines[:3], 3) == Applied()
    assert view.apply(0, [], 2) == Applied()
    assert (view.positions(), view.fingerprint(0)) == ([4], before)
    assert view.apply(0, lines[2:], 6).events == 2
    assert_equals_fold(view, lines)
    view.close()


def test_a_record_at_or_above_the_position_is_refused(tmp_path: Path) -> None:
    view = open_view(tmp_path / "view")
    with pytest.raises(ValueError, match="not below position 3"):
        view.apply(0, [line(3, place("e1", phone(1)))], 3)
    assert view.positions() == [0]
    view.close()


def test_the_fingerprint_is_that_of_the_last_record_and_matches_no_other(tmp_path: Path) -> None:
    first, last = line(0, place("e1", phone(1))), line(3, place("e2", phone(2)), START_MS + 1)
    view = open_view(tmp_path / "view")
    assert view.fingerprint(0) is None
    assert not view.matches(0, first)
    view.apply(0, [first, last], 7)
    view.apply(0, [], 9)
    view.close()
    view = open_view(tmp_path / "view")
    found = view.fingerprint(0)
    assert found is not None
    assert (found.offset, found.timestamp) == (3, START_MS + 1)
    assert view.matches(0, last)
    others = [
        first,
        Line(3, last.timestamp + 1, last.key, last.value),
        Line(2, last.timestamp, last.key, last.value),
        Line(3, last.timestamp, None, last.value),
        Line(3, last.timestamp, b"", last.value),
        Line(3, last.timestamp, last.key, None),
        Line(3, last.timestamp, (last.key or b"") + b"1", last.value),
    ]
    assert not any(view.matches(0, other) for other in others)
    view.close()


def test_a_batch_counts_what_became_of_its_events(tmp_path: Path) -> None:
    known = line(4, place("o", phone(9)))
    assert known.value is not None
    odd = Line(4, START_MS, known.key, known.value.replace(b'["SMS"]', b'["SMS","Fax"]'))
    lines = [
        line(0, place("e1", phone(1), cause=Cause.COMPLAINT)),
        line(1, place("e1", phone(1), cause=Cause.COMPLAINT), START_MS + 9),
        line(2, lift("e2", phone(1), cause=Cause.COMPLAINT, by=ActorKind.USER)),
        Line(3, START_MS, None, None),
        odd,
    ]
    view = open_view(tmp_path / "view")
    assert view.apply(0, lines, 5) == Applied(4, 1, 1, 1, 1, START_MS + 9)
    view.close()


def test_the_topic_id_is_kept_at_the_first_call_and_another_is_refused(tmp_path: Path) -> None:
    view = open_view(tmp_path / "view")
    assert view.bind("id-1")
    assert not view.bind("id-2")
    view.close()
    view = open_view(tmp_path / "view")
    assert not view.bind("id-2")
    assert view.bind("id-1")
    view.close()


def test_records_are_those_of_the_moment_they_were_asked_for(tmp_path: Path) -> None:
    view = open_view(tmp_path / "view")
    follow(view, [[line(offset, place(f"e{offset}", phone(offset))) for offset in range(5)]])
    records = view.records()
    first = next(records)
    view.apply(0, [line(5, place("e5", phone(5)))], 6)
    assert len([first, *records]) == 5
    view.close()


def test_closing_twice_is_closing(tmp_path: Path) -> None:
    view = open_view(tmp_path / "view")
    view.close()
    view.close()
