"""The bitmap against a plain set."""

from __future__ import annotations

from sys import getsizeof

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from consumers.dispatch import offsets as module
from consumers.dispatch.offsets import Offsets

FLOORS = st.sampled_from([0, 1, 7, 8, 4_711, 2**40 + 5])

STEPS = st.one_of(st.integers(0, 20), st.sampled_from([63, 64, 500, 4_096]))
"""Above the lower end: close together, as offsets of one partition are, with gaps."""


class AsASet(RuleBasedStateMachine):
    """The same calls to both."""

    def __init__(self) -> None:
        super().__init__()
        self.plain: set[int] = set()
        self.floor = 0
        self.begins_anew = False
        self.offsets = Offsets(0)

    @rule(floor=FLOORS)
    def anew(self, floor: int) -> None:
        self.plain, self.floor, self.begins_anew, self.offsets = set(), floor, False, Offsets(floor)

    @rule(step=STEPS)
    def add(self, step: int) -> None:
        offset = self.floor + step
        if self.begins_anew:
            self.floor, self.begins_anew = offset, False
        self.plain.add(offset)
        self.offsets.add(offset)

    @rule(step=st.integers(1, 200))
    def add_what_is_lower(self, step: int) -> None:
        """It may be refused; what is taken is there."""
        offset = self.floor - step
        try:
            self.offsets.add(offset)
        except ValueError:
            return
        self.plain.add(offset)
        self.floor, self.begins_anew = offset, False

    @precondition(lambda self: self.plain)
    @rule(data=st.data())
    def remove(self, data: st.DataObject) -> None:
        offset = data.draw(st.sampled_from(sorted(self.plain)))
        self.plain.remove(offset)
        self.offsets.remove(offset)

    @rule(step=STEPS)
    def remove_what_may_not_be_there(self, step: int) -> None:
        offset = self.floor + step
        if offset in self.plain:
            self.plain.remove(offset)
            self.offsets.remove(offset)
        else:
            with pytest.raises(KeyError):
                self.offsets.remove(offset)

    @rule()
    def lowest(self) -> None:
        """From then on nothing lower comes; after an empty set nothing lower than the next."""
        self.floor, self.begins_anew = min(self.plain, default=self.floor), not self.plain
        assert self.offsets.lowest() == min(self.plain, default=None)

    @rule()
    def highest(self) -> None:
        assert self.offsets.highest() == max(self.plain, default=None)

    @rule(step=st.integers(-10, 5_000))
    def contains(self, step: int) -> None:
        assert (self.floor + step in self.offsets) == (self.floor + step in self.plain)

    @invariant()
    def counts(self) -> None:
        assert self.offsets.count == len(self.plain)


class AsASetThatIsCutOften(AsASet):
    """What is below the lowest is cut off at every chance."""

    def __init__(self) -> None:
        super().__init__()
        self.cut_after, module.TRIM_BYTES = module.TRIM_BYTES, 1

    def teardown(self) -> None:
        module.TRIM_BYTES = self.cut_after


TestOffsetsAreASet = AsASet.TestCase
TestOffsetsAreASetHoweverOftenTheyAreCut = AsASetThatIsCutOften.TestCase


def test_what_lies_below_the_floor_cannot_be_added() -> None:
    offsets = Offsets(16)
    with pytest.raises(ValueError, match="15 lies below"):
        offsets.add(15)


def test_a_million_offsets_take_as_many_bits_and_a_moving_window_takes_no_more() -> None:
    """Memory is bounded while 1 M messages are parked, and while twice as many go by."""
    offsets = Offsets(0)
    for offset in range(1_000_000):
        offsets.add(offset)
    assert getsizeof(offsets._bits) < 200_000
    for offset in range(1_000_000, 3_000_000):
        offsets.add(offset)
        offsets.remove(offset - 1_000_000)
        if offset % 1_000 == 0:
            assert offsets.lowest() == offset - 999_999
    assert offsets.count == 1_000_000
    assert getsizeof(offsets._bits) < 400_000


def test_what_is_added_below_the_lowest_is_the_lowest() -> None:
    offsets = Offsets(0)
    offsets.add(500)
    assert offsets.lowest() == 500
    offsets.add(300)
    assert offsets.lowest() == 300
