"""Calls that count once: what has been told is remembered for a while, within this process.

It stops who captured a signed call of a provider whose signature does not cover all of it. Across processes and
restarts the ids of events do, which count once everywhere.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from enum import Enum, auto

REMEMBERED_S = 12 * 3_600.0
"""Mailgun comes again for 8 hours, and a call of that kind may be given to somebody who watches for as long."""

REMEMBERED_CALLS = 100_000
"""Some 20 MB; the oldest are forgotten first. Twelve hours of two calls a second."""


class Turn(Enum):
    """What may be done with a call."""

    FIRST = auto()
    SEEN = auto()  # has been told, and is safe
    UNDER_WAY = auto()  # is being told: nobody knows yet how that ends


class Replays:
    """A call `begin`s, and is then `told` or `failed`."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._told: dict[str, float] = {}
        """When, oldest first."""
        self._under_way: set[str] = set()

    def begin(self, key: str) -> Turn:
        if key in self._under_way:
            return Turn.UNDER_WAY
        told = self._told.get(key)
        if told is not None and self._clock() - told < REMEMBERED_S:
            return Turn.SEEN
        self._under_way.add(key)
        return Turn.FIRST

    def told(self, key: str) -> None:
        """It is safe: from now on it is not told again."""
        self._under_way.discard(key)
        self._told.pop(key, None)
        self._told[key] = self._clock()
        while len(self._told) > REMEMBERED_CALLS:
            del self._told[next(iter(self._told))]

    def failed(self, key: str) -> None:
        """The provider comes again with it, and then it counts. Nothing after `told`."""
        self._under_way.discard(key)
