"""Whose turn it is: random comings and goings against what was added, in order."""

from __future__ import annotations

from collections.abc import Sequence

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from consumers.dispatch.item import Item, LineId
from consumers.dispatch.line import Line
from gateway.dnd.model import Channel
from tests.consumers.dispatch.items import email_to

LINE: LineId = ("loc1", Channel.EMAIL)

RECIPIENTS = st.lists(st.sampled_from("abcd"), min_size=1, max_size=4)
"""Also one named twice."""


class Crowd(RuleBasedStateMachine):
    """Few recipients, so that messages get in each other's way; two partitions, of which one may go away."""

    def __init__(self) -> None:
        super().__init__()
        self.line = Line(LINE)
        self.there: list[Item] = []
        """Added and not gone, in the order of the log."""
        self.under_way: list[Item] = []
        self.now = 100.0

    @rule(names=RECIPIENTS, partition=st.integers(0, 1))
    def add(self, names: Sequence[str], partition: int) -> None:
        item = email_to(names, len(self.there), partition)
        self.there.append(item)
        self.line.add(item)

    @rule()
    def take(self) -> None:
        soonest = self.line.soonest()
        item = self.line.take(self.now)
        assert (item is None) == (soonest is None or soonest > self.now)
        if item is not None:
            self.is_first(item)
            self.under_way.append(item)

    def is_first(self, item: Item) -> None:
        """In the order of all its recipients; and it is there once."""
        assert item in self.there
        assert item not in self.under_way
        earlier = self.there[: self.there.index(item)]
        assert not any(set(other.addresses) & set(item.addresses) for other in earlier)

    @precondition(lambda self: self.under_way)
    @rule(data=st.data())
    def finish(self, data: st.DataObject) -> None:
        item = self.landed(data)
        if not item.withdrawn:
            self.there.remove(item)
        self.line.finish(item)

    @precondition(lambda self: self.under_way)
    @rule(data=st.data(), pause=st.floats(0, 5))
    def try_again_later(self, data: st.DataObject, pause: float) -> None:
        self.line.again(self.landed(data), self.now + pause)

    @precondition(lambda self: self.under_way)
    @rule(data=st.data())
    def take_back(self, data: st.DataObject) -> None:
        item = self.landed(data)
        self.line.take_back(item)
        if not item.withdrawn:
            assert self.line.take(self.now) is item
            self.under_way.append(item)

    def landed(self, data: st.DataObject) -> Item:
        return self.under_way.pop(data.draw(st.integers(0, len(self.under_way) - 1)))

    @rule(seconds=st.floats(0, 3))
    def time_goes_by(self, seconds: float) -> None:
        self.now += seconds

    @precondition(lambda self: any(True for _ in self.line.waiting()))
    @rule(data=st.data())
    def one_expires(self, data: st.DataObject) -> None:
        item = data.draw(st.sampled_from(list(self.line.waiting())))
        self.is_first(item)
        self.there.remove(item)
        self.line.drop(item)
        self.line.finish(item)

    @rule(partition=st.integers(0, 1))
    def a_partition_goes_away(self, partition: int) -> None:
        gone = {item for item in self.there if item.source.partition == partition}
        self.there = [item for item in self.there if item not in gone]
        self.line.withdraw(gone)

    @invariant()
    def nobody_waits_for_nothing(self) -> None:
        """No deadlock: who is first with all its recipients is under way or waits for its own turn."""
        waiting = list(self.line.waiting())
        assert len(waiting) == len(set(waiting))
        tried = [item for item in self.under_way if not item.withdrawn]
        assert set(waiting) | set(tried) == set(self.first())
        assert set(waiting).isdisjoint(tried)

    def first(self) -> list[Item]:
        seen: set[bytes] = set()
        found = []
        for item in self.there:
            if seen.isdisjoint(item.addresses):
                found.append(item)
            seen.update(item.addresses)
        return found

    @invariant()
    def it_is_as_long_as_there_are_recipients_with_messages(self) -> None:
        assert len(self.line) == len({address for item in self.there for address in item.addresses})

    def teardown(self) -> None:
        """All come through, in each recipient's order."""
        left = len(self.there)
        for item in self.under_way:
            self.line.again(item, self.now)
        self.under_way = []
        while (last := self.line.take(self.now + 10)) is not None:
            self.is_first(last)
            self.there.remove(last)
            self.line.finish(last)
            left -= 1
        assert left == 0
        assert len(self.line) == 0
        assert self.line.soonest() is None


Crowd.TestCase.settings = settings(stateful_step_count=60)

TestEveryRecipientGetsItsMessagesInOrderAndNoneIsForgotten = Crowd.TestCase


def names(items: Sequence[Item | None]) -> list[int]:
    return [item.source.offset for item in items if item is not None]


def test_a_message_that_waits_for_its_next_try_is_not_overtaken() -> None:
    line, first, second, other = Line(LINE), email_to("a", 1), email_to("a", 2), email_to("b", 3)
    for item in (first, second, other):
        line.add(item)
    assert line.take(0.0) is first
    line.again(first, 9.0)
    assert names([line.take(0.0), line.take(0.0)]) == [3]
    assert line.soonest() == 9.0
    assert line.take(9.0) is first
    line.finish(first)
    assert line.take(9.0) is second


def test_an_email_to_several_waits_for_all_of_them_and_holds_all_of_them_up() -> None:
    line = Line(LINE)
    to_a, to_b, to_both, after = email_to("a", 1), email_to("b", 2), email_to("ab", 3), email_to("b", 4)
    for item in (to_a, to_b, to_both, after):
        line.add(item)
    assert names([line.take(0.0), line.take(0.0), line.take(0.0)]) == [1, 2]
    line.finish(to_a)
    assert line.take(0.0) is None
    line.finish(to_b)
    assert names([line.take(0.0), line.take(0.0)]) == [3]
    line.finish(to_both)
    assert line.take(0.0) is after


def test_one_mailbox_in_two_spellings_is_one_recipient() -> None:
    line, first, second = Line(LINE), email_to(["Anna"], 1), email_to(["anna"], 2)
    line.add(first)
    line.add(second)
    assert names([line.take(0.0), line.take(0.0)]) == [1]


def test_what_is_withdrawn_is_let_go() -> None:
    """It may be large, and would else be kept until its next try, in an hour perhaps."""
    line, gone, stays = Line(LINE), [email_to("a", 1), email_to("b", 2)], email_to("c", 3)
    for item in (*gone, stays):
        line.add(item)
    assert line.take(0.0) is gone[0]
    line.again(gone[0], 3_600.0)
    line.withdraw(set(gone))
    assert list(line.waiting()) == [stays]
    assert line.soonest() == 0.0
