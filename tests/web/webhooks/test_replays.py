"""What is remembered of calls that count once, and for how long."""

from __future__ import annotations

import pytest

from gateway.web.webhooks import replays
from gateway.web.webhooks.replays import REMEMBERED_S, Replays, Turn


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_a_call_is_first_then_under_way_then_seen_until_it_is_forgotten() -> None:
    clock = Clock()
    remembered = Replays(clock)
    assert [remembered.begin("a"), remembered.begin("a")] == [Turn.FIRST, Turn.UNDER_WAY]
    remembered.told("a")
    clock.now = REMEMBERED_S - 1
    assert remembered.begin("a") is Turn.SEEN
    clock.now = REMEMBERED_S
    assert remembered.begin("a") is Turn.FIRST


def test_a_call_that_failed_counts_when_it_comes_again() -> None:
    remembered = Replays()
    remembered.begin("a")
    remembered.failed("a")
    assert remembered.begin("a") is Turn.FIRST


def test_not_more_is_remembered_than_fits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(replays, "REMEMBERED_CALLS", 3)
    remembered = Replays()
    for key in "abcd":
        remembered.begin(key)
        remembered.told(key)
    assert [remembered.begin(key) for key in "dcba"] == [Turn.SEEN, Turn.SEEN, Turn.SEEN, Turn.FIRST]
