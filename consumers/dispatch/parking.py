"""Messages of a partition that wait for more than their turn: of each only its offset is kept, eight bytes.

Theory of operation. A line (location and channel) has at most `LINE_ITEMS` messages of a partition in memory. What is
read beyond that is *parked*: the message stays in the log, and its offset stands in its line's array, in log order. A
line with parked messages parks every further one, so none overtakes another. When a line has room again it is *hungry*:
the log is read again from its first parked offset on, and whatever in that stretch is the next of any line with room
is taken along, so that lines whose messages lie mixed do not each read the same stretch.

Pure: no I/O, no clock.
"""

from __future__ import annotations

from array import array
from collections import Counter

from consumers.dispatch.item import LineId
from gateway.dnd.model import Channel

LINE_ITEMS = 256
"""Messages of a line in memory, from one partition: four times what an account can have under way."""

TOTAL_ITEMS = 4_096
"""Messages in memory from one partition, all lines together: some MiB of usual messages."""

LINE_SHARE = 2
"""So many a line may always have in memory, however many the others have."""

PARKED_LIMIT = 4_000_000
"""Offsets parked in one partition, 32 MB. With so many nothing more is read: the log is the queue."""

TRIM = 4_096
"""Offsets of an array that have been taken before they are cut off: cutting copies the rest."""


class _Parked:
    """The offsets of one line; taken from the front."""

    __slots__ = ("_offsets", "_taken")

    def __init__(self) -> None:
        self._offsets = array("q")
        self._taken = 0

    def __len__(self) -> int:
        return len(self._offsets) - self._taken

    def append(self, offset: int) -> None:
        self._offsets.append(offset)

    def first(self) -> int:
        return self._offsets[self._taken]

    def take(self) -> None:
        self._taken += 1
        if self._taken >= TRIM and self._taken * 2 >= len(self._offsets):
            del self._offsets[: self._taken]
            self._taken = 0


class Parking:
    """Of one partition number: what is in memory is counted here, what is parked is kept here."""

    def __init__(self, line_items: int = LINE_ITEMS) -> None:
        self._line_items = line_items
        self._in_memory: Counter[LineId] = Counter()
        self._total = 0
        self._parked: dict[LineId, _Parked] = {}
        self._firsts: dict[tuple[Channel, int], LineId] = {}
        self._hungry: dict[LineId, None] = {}
        self.count = 0
        """Messages parked."""

    @property
    def full(self) -> bool:
        """Nothing more is to be read."""
        return self.count >= PARKED_LIMIT

    @property
    def in_memory(self) -> int:
        return self._total

    def admit(self, line: LineId, offset: int) -> bool:
        """A message was read: whether it is to be in memory; else it is parked. In log order."""
        if line not in self._parked and self._has_room(line):
            self._enter(line)
            return True
        parked = self._parked.get(line)
        if parked is None:
            parked = self._parked[line] = _Parked()
            self._firsts[line[1], offset] = line
        parked.append(offset)
        self.count += 1
        return False

    def hungry(self) -> tuple[LineId, int] | None:
        """A line that has room for parked messages, and where its first is; None = there is none."""
        while self._hungry:
            line = next(iter(self._hungry))
            if line in self._parked and self._has_room(line):
                return line, self._parked[line].first()
            del self._hungry[line]
        return None

    def readmit(self, channel: Channel, offset: int) -> LineId | None:
        """A record was read again: the line of which it is the next, and now in memory; None = leave it."""
        line = self._firsts.get((channel, offset))
        if line is None or not self._has_room(line):
            return None
        self.forget(line)
        self._enter(line)
        return line

    def forget(self, line: LineId) -> None:
        """Take the line's first parked message out."""
        parked = self._parked[line]
        del self._firsts[line[1], parked.first()]
        parked.take()
        self.count -= 1
        if parked:
            self._firsts[line[1], parked.first()] = line
        else:
            del self._parked[line]

    def leave(self, line: LineId) -> None:
        """A message in memory is finished."""
        left = self._in_memory[line] - 1
        self._total -= 1
        if left:
            self._in_memory[line] = left
        else:
            del self._in_memory[line]
        if line in self._parked and (left < LINE_SHARE or (left <= self._line_items // 2 and self._has_room(line))):
            self._hungry[line] = None

    def _enter(self, line: LineId) -> None:
        self._in_memory[line] += 1
        self._total += 1

    def _has_room(self, line: LineId) -> bool:
        here = self._in_memory.get(line, 0)
        return here < LINE_SHARE or (here < self._line_items and self._total < TOTAL_ITEMS)
