"""The bounds of every pause."""

from __future__ import annotations

from math import inf, nan

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consumers.dispatch.retrying import FIRST_S, LEAST_ASKED_S, LONGEST_ASKED_S, LONGEST_S, asked_s, pause_s

TRIES = st.integers(1, 20) | st.integers(1, 10**9)


@given(TRIES, st.floats(0.001, 10), st.floats(1, 1_000))
def test_a_pause_is_between_half_and_all_of_what_doubling_gives_up_to_the_longest(
    tries: int, first_s: float, longest_s: float
) -> None:
    whole = min(longest_s, first_s * 2.0 ** min(tries - 1, 64))
    assert whole / 2 <= pause_s(tries, first_s, longest_s) <= whole


def test_the_first_pauses_of_a_message_double_and_end_at_a_minute() -> None:
    pauses = [pause_s(tries) for tries in range(1, 30)]
    assert FIRST_S / 2 <= pauses[0] <= FIRST_S
    assert all(LONGEST_S / 2 <= pause <= LONGEST_S for pause in pauses[8:])


def test_messages_that_failed_together_are_not_tried_again_together() -> None:
    """The jitter: a provider that is back is not hit by all at once."""
    assert len({pause_s(3) for _ in range(100)}) > 90


@given(st.floats(allow_nan=True, allow_infinity=True), st.floats(0, 60))
def test_what_a_provider_asks_for_is_bounded_both_ways(after_s: float, otherwise: float) -> None:
    assert LEAST_ASKED_S <= asked_s(after_s, otherwise) <= LONGEST_ASKED_S


@pytest.mark.parametrize(
    ("after_s", "waits"),
    [
        (None, 7.0),
        (3.0, 3.0),
        (0.0, LEAST_ASKED_S),
        (-1.0, LEAST_ASKED_S),
        (inf, LONGEST_ASKED_S),
        (nan, LEAST_ASKED_S),
    ],
)
def test_the_providers_word_counts_and_without_it_our_own(after_s: float | None, waits: float) -> None:
    assert asked_s(after_s, 7.0) == waits
