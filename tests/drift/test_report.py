"""The report: one row for each location and list."""

from __future__ import annotations

from gateway.drift import Counts, ListState, MissingThere, report


def state(account: str, finished_at: int | None, error: str | None = None, **counts: Counts) -> ListState:
    return ListState("mailgun", account, "bounces", finished_at=finished_at, error=error, counts=counts)


def test_the_domains_of_a_location_are_one_row() -> None:
    one = Counts(5, 1, 2, 0, 0, {"missing_here": ["a@x.org", "b@x.org"]})
    other = Counts(3, 0, 1, 4, 0, {"missing_here": ["a@x.org"]})
    rows = report(
        [state("one", 200, loc1=one, loc2=Counts(5)), state("two", 100, "answered 401", loc1=other)],
        [
            MissingThere("loc1", "mailgun", "bounces", 7, ["c@x.org"], 200),
            MissingThere("gone", "mailgun", "bounces", 9, [], 200),
        ],
    )
    first, second = rows
    assert (first.location_id, first.accounts, first.finished_at, first.errors) == (
        "loc1",
        ["one", "two"],
        100,
        ["two: answered 401"],
    )
    examples = {"missing_here": ["a@x.org", "b@x.org"], "missing_there": ["c@x.org"]}
    assert first.found == Counts(8, 1, 3, 4, 7, examples)
    assert (second.location_id, second.found.entries, second.accounts) == ("loc2", 5, ["one"])


def test_a_list_that_was_never_read_through_is_shown_too() -> None:
    (row,) = report([state("one", None, "no answer")], [])
    assert (row.location_id, row.finished_at, row.errors) == ("", None, ["one: no answer"])
    (row, _) = report([state("one", 5, loc1=Counts()), state("two", None, loc1=Counts(), loc2=Counts())], [])
    assert row.finished_at is None


def test_where_nothing_differs_there_are_no_examples() -> None:
    (row,) = report([state("one", 200, loc1=Counts(3))], [MissingThere("loc1", "mailgun", "bounces", 0, [], 200)])
    assert row.found == Counts(3)


def test_it_may_be_made_again_from_the_same_states() -> None:
    states = [state("one", 200, loc1=Counts(1, 0, 1, 0, 0, {"missing_here": ["a@x.org"]}))]
    missing = [MissingThere("loc1", "mailgun", "bounces", 1, ["b@x.org"], 200)]
    assert report(states, missing) == report(states, missing)
