"""How far the brokers' clock is from ours: `dnd.events` is dated by theirs, and what we write is compared with it.

Theory of operation. The clock of a gateway may be wrong by hours, and another gateway's is right: by their own clocks a
START that waited in a spool is newer than the STOP that came after it. So what is written without a look at the record
is dated as the brokers would have dated it. An acknowledgement says when the leader took the record, and that was
between the moment we handed it over and the moment we heard of it: the two clocks differ by so much at least and by so
much at most. Ranges that agree are made one, narrower; when they do not, a clock has moved, and the newer one counts.

Nobody can date by that once our clock has been set. `booted_at` tells: the machine started at one moment, so when our
clock calls it by another name, the clock was set since, or this is another machine.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import NamedTuple

from gateway.clock import now_ms

SET_MS = 1_000
"""A clock that moved by more was set; by less it was corrected, as clocks are all the time."""

_SINCE_BOOT = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)
"""It goes on while the machine sleeps, where there is such a clock, and nobody can set it."""


class Offset(NamedTuple):
    """The brokers' clock less ours, in ms: from `least` to `most`."""

    least: int
    most: int

    def earliest(self, at: int) -> int:
        """By the brokers' clock, what is `at` by ours; not later than it was."""
        return at + self.least

    def latest(self, at: int) -> int:
        """The same, not earlier than it was."""
        return at + self.most


def booted_at_ms() -> int:
    """When this machine started, by our clock (ms)."""
    return now_ms() - time.clock_gettime_ns(_SINCE_BOOT) // 1_000_000


class BrokerClock:
    """Learns from acknowledgements, in one process."""

    def __init__(self, clock: Callable[[], int] = now_ms, booted_at: Callable[[], int] = booted_at_ms) -> None:
        """Both in ms since the epoch, by one clock that may be wrong."""
        self.ours = clock
        self._booted_at = booted_at
        self._known: Offset | None = None
        self._known_by = 0

    def acknowledged(self, appended_at: int, took_ms: float) -> None:
        """A record that was handed over `took_ms` ago has been taken at `appended_at`, by the brokers' clock."""
        heard_at = self.ours()
        # One more at each end: both clocks are read in whole milliseconds.
        new, old = Offset(appended_at - heard_at - 1, appended_at - heard_at + int(took_ms) + 2), self.offset
        if old is not None and old.least <= new.most and new.least <= old.most:
            new = Offset(max(old.least, new.least), min(old.most, new.most))
        self._known, self._known_by = new, self._booted_at()

    @property
    def offset(self) -> Offset | None:
        """None: nothing was acknowledged yet, or not since our clock was set."""
        return self._known if self.goes_as_when(self._known_by) else None

    def goes_as_when(self, booted_at: int) -> bool:
        """Whether a time of ours from when the machine had booted at `booted_at` can be compared with one of now."""
        return abs(self._booted_at() - booted_at) <= SET_MS

    @property
    def booted_at(self) -> int:
        """When this machine started, by our clock as it goes now."""
        return self._booted_at()
