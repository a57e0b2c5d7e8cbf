"""The filter in front of the table."""

from __future__ import annotations

import random

from hypothesis import given
from hypothesis import strategies as st

from gateway.view.held import HeldFilter


@given(st.lists(st.binary(max_size=40)), st.lists(st.binary(max_size=40)))
def test_a_key_that_was_added_is_always_a_candidate(added: list[bytes], others: list[bytes]) -> None:
    keys = HeldFilter()
    keys.add(added)
    asked = others + added
    candidates = keys.candidates(asked)
    assert candidates == sorted(candidates)
    assert {asked[index] for index in candidates} >= set(added)


def test_most_other_keys_are_not_candidates() -> None:
    rng = random.Random(1)
    keys = HeldFilter()
    keys.add(rng.randbytes(30) for _ in range(100_000))
    assert len(keys.candidates([rng.randbytes(30) for _ in range(10_000)])) < 200
