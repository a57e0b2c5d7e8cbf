"""What the view writes about itself, beside the records and in the same batches.

Keys start with a zero byte, which no subject key does (those are JSON arrays and start with `[`).
"""

from __future__ import annotations

from collections.abc import Iterable
from hashlib import blake2b
from zlib import crc32

import msgspec

from gateway.contract.log import LogRecord

RECORDS_FROM = b"\x01"
"""All keys from here on are subjects."""

IDENTITY_KEY = b"\x00identity"
TOPIC_ID_KEY = b"\x00topic_id"
TALLY_KEY = b"\x00tally"

_CHECKSUM_MASK = (1 << 64) - 1


def partition_key(partition: int) -> bytes:
    return b"\x00partition/%d" % partition


class Identity(msgspec.Struct, array_like=True, frozen=True):
    """Which log this table was folded from, under which layout and rules."""

    format: int
    rules: str
    cluster_id: str
    topic: str
    partitions: int


class Fingerprint(msgspec.Struct, array_like=True, frozen=True):
    """The last record applied of a partition: when the log has another one there, it is another log."""

    offset: int
    timestamp: int
    digest: bytes

    @classmethod
    def of(cls, record: LogRecord) -> Fingerprint:
        digest = blake2b(digest_size=16)
        for part in (record.key, record.value):
            digest.update(b"-" if part is None else b"%d:" % len(part))
            digest.update(part or b"")
        return cls(record.offset, record.timestamp, digest.digest())


class Progress(msgspec.Struct, array_like=True, frozen=True):
    """How far a partition is folded: the next offset to read, and the last record applied."""

    position: int = 0
    fingerprint: Fingerprint | None = None


class Tally(msgspec.Struct, array_like=True, frozen=True):
    """Number and checksum of all records, kept up with every batch: proves a table whole, whatever files it lost.

    RocksDB alone does not: an iterator ends silently at a damaged block, and a log file or manifest that lost its end
    can leave later records on top of missing ones.
    """

    count: int = 0
    checksum: int = 0

    def plus(self, keys: Iterable[bytes], values: Iterable[bytes]) -> Tally:
        sums = list(map(crc32, values, map(crc32, keys)))
        return Tally(self.count + len(sums), (self.checksum + sum(sums)) & _CHECKSUM_MASK)

    def minus(self, keys: Iterable[bytes], values: Iterable[bytes]) -> Tally:
        sums = list(map(crc32, values, map(crc32, keys)))
        return Tally(self.count - len(sums), (self.checksum - sum(sums)) & _CHECKSUM_MASK)
