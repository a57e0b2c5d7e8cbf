"""Which keys may have a hold in force: answers most look-ups without going to RocksDB.

One byte per slot, one probe, process-local `hash()`. A set slot means "ask the table", an empty one "no hold": it is
filled from every held record when the view opens and by every batch before that batch is written, and never cleared,
so there are no false negatives. A lifted hold leaves its slot set until the next start; that costs one look-up.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence
from itertools import repeat

SLOTS = 1 << 24
"""16 MiB. At 1 M held subjects 6 % of the misses go on to RocksDB's own bloom filter, at 10 M 45 %.

Measured: a miss costs 0.3 us here and 0.6 to 1.5 us in RocksDB. Bits instead of bytes are no faster, though smaller.
"""

_MASK = SLOTS - 1


class HeldFilter:
    """A set of keys that may answer yes too often, never too seldom."""

    def __init__(self) -> None:
        self._slots = bytearray(SLOTS)

    def add(self, keys: Iterable[bytes]) -> None:
        slots = map(_MASK.__and__, map(hash, keys))
        deque(map(self._slots.__setitem__, slots, repeat(1)), maxlen=0)

    def candidates(self, keys: Sequence[bytes]) -> list[int]:
        """The indexes of the keys that may be held."""
        slots, mask = self._slots, _MASK
        return [index for index, key in enumerate(keys) if slots[hash(key) & mask]]
