"""A set of offsets of one partition as a bitmap: a million offsets take 125 KB, whichever of them are in it.

It is for offsets that lie close together and whose lower end moves up: what lies below it is cut off in time.
"""

from __future__ import annotations

TRIM_BYTES = 64 * 1024
"""So many bytes of the bitmap must be of no use before they are cut off: cutting copies the rest."""


class Offsets:
    """Offsets at or above a floor that only rises; emptied (seen by `lowest`), it begins anew with the next one."""

    def __init__(self, floor: int) -> None:
        self._bits = bytearray()
        self._base: int | None = floor & ~7
        """The offset of the first bit; a multiple of 8. None: the next offset's."""
        self._first = 0
        """No bit is set in the bytes before this one."""
        self.count = 0

    def __contains__(self, offset: int) -> bool:
        if self._base is None:
            return False
        index = offset - self._base
        return 0 <= index < len(self._bits) * 8 and bool(self._bits[index >> 3] & (1 << (index & 7)))

    def add(self, offset: int) -> None:
        """An offset below the floor cannot come back: ValueError."""
        if self._base is None:
            self._base = offset & ~7
        index = offset - self._base
        if index < 0:
            raise ValueError(f"{offset} lies below the first offset that can be held, {self._base}")
        byte, bit = index >> 3, 1 << (index & 7)
        if byte >= len(self._bits):
            self._bits.extend(bytes(byte + 1 - len(self._bits)))
        if not self._bits[byte] & bit:
            self._bits[byte] |= bit
            self._first = min(self._first, byte)
            self.count += 1

    def remove(self, offset: int) -> None:
        """KeyError when it is not there."""
        if self._base is None or offset not in self:
            raise KeyError(offset)
        index = offset - self._base
        self._bits[index >> 3] &= ~(1 << (index & 7))
        self.count -= 1

    def lowest(self) -> int | None:
        """The smallest offset, None of an empty set. Over a life it walks the bitmap once."""
        if self.count == 0 or self._base is None:
            self._bits.clear()
            self._base, self._first = None, 0
            return None
        bits, first = self._bits, self._first
        while not bits[first]:
            first += 1
        self._first = first
        byte = bits[first]
        if first >= TRIM_BYTES:
            del bits[:first]
            self._base += first * 8
            self._first = 0
            return self._base + _lowest_bit(byte)
        return self._base + first * 8 + _lowest_bit(byte)

    def highest(self) -> int | None:
        """The largest offset, None of an empty set."""
        if self.count == 0 or self._base is None:
            return None
        last = len(self._bits) - 1
        while not self._bits[last]:
            last -= 1
        return self._base + last * 8 + self._bits[last].bit_length() - 1


def _lowest_bit(byte: int) -> int:
    return (byte & -byte).bit_length() - 1
