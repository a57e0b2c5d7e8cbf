"""The circuit breaker, for any course of calls."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from consumers.dispatch.breaker import FAILURES_TO_OPEN, FIRST_OPEN_S, LONGEST_OPEN_S, Breaker

LIMIT = 64

COURSES = st.lists(st.tuples(st.floats(0, 10), st.booleans()), max_size=60)
"""Seconds since the call before, and whether it worked."""


def fail(breaker: Breaker, times: int, now: float = 0.0) -> None:
    for _ in range(times):
        breaker.failed(now)


@given(COURSES)
def test_it_is_never_open_for_longer_than_five_seconds(course: list[tuple[float, bool]]) -> None:
    breaker, now = Breaker(), 0.0
    for seconds, worked in course:
        now += seconds
        if worked:
            breaker.worked()
        else:
            breaker.failed(now)
        assert breaker.until <= now + LONGEST_OPEN_S


@given(COURSES)
def test_it_opens_only_after_failures_in_a_row_and_any_success_closes_it(course: list[tuple[float, bool]]) -> None:
    breaker, now, in_a_row = Breaker(), 0.0, 0
    for seconds, worked in course:
        now += seconds
        if worked:
            breaker.worked()
            in_a_row = 0
            assert (breaker.until, breaker.trips) == (0.0, 0)
        else:
            breaker.failed(now)
            in_a_row += 1
            assert (breaker.until > now) <= (in_a_row >= FAILURES_TO_OPEN)
        assert breaker.limit(LIMIT) == (1 if breaker.trips else LIMIT)


def test_the_fifth_failure_opens_it() -> None:
    breaker = Breaker()
    fail(breaker, FAILURES_TO_OPEN - 1)
    assert (breaker.until, breaker.limit(LIMIT)) == (0.0, LIMIT)
    fail(breaker, 1)
    assert FIRST_OPEN_S / 2 <= breaker.until <= FIRST_OPEN_S
    assert breaker.limit(LIMIT) == 1


def test_calls_that_were_under_way_when_it_opened_do_not_open_it_for_longer() -> None:
    breaker = Breaker()
    fail(breaker, FAILURES_TO_OPEN)
    until = breaker.until
    fail(breaker, LIMIT)
    assert (breaker.until, breaker.trips) == (until, 1)


def test_it_opens_for_longer_each_time_one_call_after_it_fails_too() -> None:
    breaker, pauses = Breaker(), []
    fail(breaker, FAILURES_TO_OPEN)
    for _ in range(8):
        now = breaker.until
        breaker.failed(now)
        pauses.append(breaker.until - now)
    assert all(LONGEST_OPEN_S / 2 <= pause <= LONGEST_OPEN_S for pause in pauses[-4:])
    assert pauses[0] <= 2 * FIRST_OPEN_S
