"""The time in which nothing could be decided."""

from gateway.holding import Holding


def test_it_holds_until_the_first_round_has_passed() -> None:
    holding = Holding(100.0)
    assert holding.seconds(103.0) == 3.0
    assert holding.round_ended(104.0, passed=True) == 4.0
    assert holding.seconds(110.0) == 0.0


def test_the_total_grows_while_it_still_holds_and_counts_no_second_twice() -> None:
    holding = Holding(0.0)
    assert [holding.round_ended(at, passed=False) for at in (1.0, 2.5)] == [1.0, 1.5]
    assert holding.seconds(3.0) == 3.0
    assert holding.round_ended(4.0, passed=True) == 1.5


def test_time_in_which_rounds_pass_does_not_count() -> None:
    holding = Holding(0.0)
    holding.round_ended(0.0, passed=True)
    assert holding.round_ended(50.0, passed=True) == 0.0
    assert holding.round_ended(60.0, passed=False) == 0.0
    assert holding.seconds(61.0) == 1.0
    assert holding.round_ended(63.0, passed=True) == 3.0
