"""Which messages of a partition are finished: what lets dispatch read past a message that has to wait.

Theory of operation. The log is the queue: a message that waits stays in `outbound.<channel>`, and dispatch reads on. So
of the offsets below the read position some are finished (their final receipt is committed) and some are *pending*. The
*frontier* is the smallest pending offset, or the read position when there is none. It is what is committed as the
group's offset: everything below it is finished.

After a crash the messages from the frontier on are read again, and those of them that are finished must be told from
those that are not. Their receipts say it, and to find these without reading all receipts, a position R of the receipts
is committed beside the frontier, such that every receipt of a message at or above the frontier lies at or behind R.
For that the tracker keeps *notes*: before the message at offset `o` was read, the receipts ended at `e`. A receipt is
written after its message was read, so receipts of messages at or above `o` lie at or behind `e`; R is the `e` of the
last note whose `o` is not above the frontier. Leaving notes out makes R older, never wrong.

Pure: no I/O, no clock.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

from consumers.dispatch.offsets import Offsets

NOTES_LIMIT = 4_096
"""Notes kept; of more every second one is left out, and the scan after a crash begins a little earlier."""


class Tracker:
    """Of one partition of one topic, for as long as it is owned without a break."""

    def __init__(self, frontier: int, receipts_from: int, finished: Offsets) -> None:
        """`finished`: offsets at or above `frontier` with a receipt; their receipts lie at or behind `receipts_from`.

        The first reading starts at `frontier`.
        """
        self._pending = Offsets(frontier)
        self._finished = finished
        highest = finished.highest()
        self._settled_before = frontier if highest is None else highest + 1
        """From here on nothing was finished by former owners."""
        self._position = frontier
        self._notes = deque([(frontier, receipts_from)])

    @property
    def pending(self) -> int:
        """How many messages have been read and are not finished."""
        return self._pending.count

    @property
    def position(self) -> int:
        """The next offset to read."""
        return self._position

    @property
    def frontier(self) -> int:
        """Everything below is finished."""
        lowest = self._pending.lowest()
        return self._position if lowest is None else lowest

    @property
    def receipts_from(self) -> int:
        """R: where to look for receipts of messages at or above the frontier."""
        frontier = self.frontier
        while len(self._notes) > 1 and self._notes[1][0] <= frontier:
            self._notes.popleft()
        return self._notes[0][1]

    def read(self, offsets: Sequence[int], position: int, receipts_end: int) -> list[int]:
        """Records at these offsets (ascending) were read, up to before `position`; those not finished are pending now.

        What has no record between them (markers, aborted transactions) is finished. `receipts_end`: an offset at or
        below the receipts' end before the reading. Returns the offsets that are pending now.
        """
        if position < self._position or (offsets and not self._position <= offsets[0] <= offsets[-1] < position):
            raise ValueError(f"read {offsets[:1]}..{offsets[-1:]} up to {position}, expected from {self._position} on")
        if self._position >= self._settled_before and receipts_end > self._notes[-1][1]:
            self._note(self._position, receipts_end)
        if self._position >= self._settled_before:
            fresh = list(offsets)
        else:
            fresh = [offset for offset in offsets if offset not in self._finished]
        for offset in fresh:
            self._pending.add(offset)
        self._position = position
        if position >= self._settled_before:
            self._finished = Offsets(position)
        return fresh

    def finish(self, offset: int) -> None:
        """The message's final receipt is about to be committed together with the frontier. KeyError: not pending."""
        self._pending.remove(offset)

    def _note(self, offset: int, receipts_end: int) -> None:
        if len(self._notes) >= NOTES_LIMIT:
            self._notes = deque(list(self._notes)[::2])
        self._notes.append((offset, receipts_end))
