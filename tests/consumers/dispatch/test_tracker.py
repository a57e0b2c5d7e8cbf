"""What is finished and what is not, through any number of crashes, against a log and its receipts in lists."""

from __future__ import annotations

from typing import NamedTuple

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from consumers.dispatch import tracker as module
from consumers.dispatch.offsets import Offsets
from consumers.dispatch.tracker import Tracker


class Committed(NamedTuple):
    """What stands in the group's offset."""

    frontier: int
    receipts_from: int


class Partition(RuleBasedStateMachine):
    """One input partition and the partition of the receipts, with owners that crash.

    Receipts and frontier are committed together or not at all. Receipts of other inputs, markers and aborted
    transactions lie between ours.
    """

    def __init__(self) -> None:
        super().__init__()
        self.log: list[bool] = []
        """By offset: a message, or a marker."""
        self.receipts: list[int | None] = []
        """By offset: the message it is about, None = something else."""
        self.committed = Committed(0, 0)
        self.unsettled: list[int] = []

    @initialize(begin=st.integers(0, 3), older=st.integers(0, 3))
    def begin(self, begin: int, older: int) -> None:
        """A log whose first offsets are gone, and receipts of another topic."""
        self.log = [False] * begin + [True] * 6
        self.receipts = [None] * older
        self.committed = Committed(begin, 0)
        self.crash()

    @rule(messages=st.lists(st.booleans(), min_size=1, max_size=8))
    def write(self, messages: list[bool]) -> None:
        self.log += messages

    @rule(others=st.integers(1, 4))
    def write_other_receipts(self, others: int) -> None:
        self.receipts += [None] * others

    @rule(limit=st.integers(1, 6), behind=st.integers(0, 3))
    def read(self, limit: int, behind: int) -> None:
        """`behind`: the owner knows where the receipts ended a while ago, but never before it began."""
        at = self.tracker.position
        position = min(len(self.log), at + limit)
        offsets = [offset for offset in range(at, position) if self.log[offset]]
        known_end = max(self.opened_at, len(self.receipts) - behind)
        pending = self.tracker.read(offsets, position, known_end)
        assert pending == [offset for offset in offsets if offset not in self.finished]
        self.pending |= set(pending)

    @precondition(lambda self: self.pending)
    @rule(data=st.data())
    def finish(self, data: st.DataObject) -> None:
        offset = data.draw(st.sampled_from(sorted(self.pending)))
        self.pending.remove(offset)
        self.tracker.finish(offset)
        self.unsettled.append(offset)

    @rule()
    def commit(self) -> None:
        self.committed = Committed(self.tracker.frontier, self.tracker.receipts_from)
        self.receipts += [*self.unsettled, None]  # the transaction's marker
        self.unsettled = []

    @rule()
    def crash(self) -> None:
        """The next owner finds what was committed, and an aborted transaction."""
        self.receipts += [None] * len(self.unsettled)
        self.unsettled = []
        frontier, receipts_from = self.committed
        scanned = [offset for offset in self.receipts[receipts_from:] if offset is not None and offset >= frontier]
        assert len(scanned) == len(set(scanned)), "two final receipts of one message"
        finished = Offsets(frontier)
        for offset in scanned:
            finished.add(offset)
        self.tracker = Tracker(frontier, receipts_from, finished)
        self.opened_at = len(self.receipts)
        self.pending: set[int] = set()

    @property
    def finished(self) -> set[int]:
        """All that ever got a receipt that counts."""
        return {offset for offset in self.receipts if offset is not None}

    @invariant()
    def every_message_is_finished_pending_or_not_read_yet(self) -> None:
        """Those below the frontier are never read again, so all of them must be finished."""
        below = {offset for offset in range(self.committed.frontier) if self.log[offset]}
        assert below <= self.finished
        assert self.tracker.pending == len(self.pending)
        assert self.tracker.frontier == min(self.pending, default=self.tracker.position)
        read = {offset for offset in range(self.committed.frontier, self.tracker.position) if self.log[offset]}
        assert read - self.pending - set(self.unsettled) <= self.finished

    @invariant()
    def no_receipt_that_is_needed_lies_before_r(self) -> None:
        for frontier, receipts_from in (
            self.committed,
            Committed(self.tracker.frontier, self.tracker.receipts_from),
        ):
            assert all(
                at >= receipts_from
                for at, offset in enumerate(self.receipts)
                if offset is not None and offset >= frontier
            )

    def teardown(self) -> None:
        """Whatever happened: who reads on to the end has exactly the unfinished ones."""
        self.crash()
        while self.tracker.position < len(self.log):
            self.read(5, 0)
        unfinished = {offset for offset, is_message in enumerate(self.log) if is_message} - self.finished
        assert self.pending == unfinished - set(range(self.committed.frontier))


class PartitionWithFewNotes(Partition):
    """Notes are left out at every chance."""

    def __init__(self) -> None:
        super().__init__()
        self.notes_limit, module.NOTES_LIMIT = module.NOTES_LIMIT, 2

    def teardown(self) -> None:
        try:
            super().teardown()
        finally:
            module.NOTES_LIMIT = self.notes_limit


Partition.TestCase.settings = PartitionWithFewNotes.TestCase.settings = settings(
    stateful_step_count=60, max_examples=150
)

TestAfterAnyCrashExactlyTheUnfinishedArePending = Partition.TestCase
TestAlsoWhenNotesAreLeftOut = PartitionWithFewNotes.TestCase


def test_what_former_owners_finished_keeps_r_back_until_all_of_it_is_below_the_frontier() -> None:
    """Two owners: the first finishes 2 of 0 to 2; the second reads one at a time."""
    finished = Offsets(0)
    finished.add(2)
    tracker = Tracker(0, 100, finished)
    tracker.read([0], 1, 200)
    tracker.read([1], 2, 200)
    tracker.finish(0)
    assert (tracker.frontier, tracker.receipts_from) == (1, 100)
    tracker.read([2], 3, 200)
    tracker.read([3], 4, 201)
    tracker.finish(1)
    assert (tracker.frontier, tracker.receipts_from) == (3, 201)


def test_notes_are_bounded_and_the_scan_after_a_crash_stays_near() -> None:
    """One message stays while a hundred thousand go by; then it goes, and R is not far behind the end."""
    tracker = Tracker(0, 0, Offsets(0))
    tracker.read([0], 1, 0)
    for offset in range(1, 100_001):
        tracker.read([offset], offset + 1, offset)
        tracker.finish(offset)
        assert (tracker.frontier, tracker.receipts_from) == (0, 0)
        assert len(tracker._notes) <= module.NOTES_LIMIT
    tracker.finish(0)
    assert tracker.frontier == 100_001
    assert 100_000 - tracker.receipts_from <= 100_000 // (module.NOTES_LIMIT // 2)


def test_r_follows_the_frontier() -> None:
    """So that a crash does not read all receipts there ever were."""
    tracker = Tracker(0, 0, Offsets(0))
    for offset in range(1_000):
        tracker.read([offset], offset + 1, 2 * offset)
        tracker.finish(offset)
        assert tracker.receipts_from == 2 * offset


@pytest.mark.parametrize(("offsets", "position"), [([4], 6), ([5], 5), ([6], 6), ([], 4)])
def test_what_cannot_have_been_read_next_is_refused(offsets: list[int], position: int) -> None:
    tracker = Tracker(5, 0, Offsets(5))
    with pytest.raises(ValueError, match="expected from 5 on"):
        tracker.read(offsets, position, 0)


def test_a_message_is_finished_once() -> None:
    tracker = Tracker(0, 0, Offsets(0))
    tracker.read([0], 1, 0)
    tracker.finish(0)
    with pytest.raises(KeyError):
        tracker.finish(0)
