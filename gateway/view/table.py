"""The view: the local table subject -> record, folded from `dnd.events`.

Theory of operation. One RocksDB holds the records, the next offset of every partition, and a tally of all records.
`apply` folds a batch of the log and writes all three in ONE write batch, so whatever instant the process or the machine
dies at, the table is the fold of the log up to exactly the positions it names, and reading on from there completes it.

`open` reads the whole table once: it fills the filter of held keys and proves the tally. A table that is damaged, or
was folded under other rules, holds nothing the log does not: it is set aside under a dated name and the view starts
empty. A table of *another log* is a different matter: it may be the last copy of a hold, so that is refused and left to
an operator.

One thread uses a view. Memory does not grow with the number of subjects.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import msgspec
from rocksdict import WriteBatch

from gateway.contract.events import event_key
from gateway.contract.log import LogRecord
from gateway.dnd.model import Subject
from gateway.dnd.record import EMPTY, Record
from gateway.view.codec import FORMAT, decode_record, held_record, holds_in_force, rules_digest
from gateway.view.directory import DirectoryLock
from gateway.view.errors import ViewCorrupt
from gateway.view.folding import Applied, Folding
from gateway.view.loading import Loaded, difference, open_existing, open_or_create, scan
from gateway.view.meta import TALLY_KEY, TOPIC_ID_KEY, Fingerprint, Identity, Progress, Tally, partition_key
from gateway.view.rocksdb import let_go, while_running


class View:
    """Open with `View.open`. Raises `ViewError` and its kinds; after one, close it and end the process."""

    def __init__(self, directory: Path, lock: DirectoryLock, loaded: Loaded) -> None:
        self._directory = directory
        self._lock = lock
        self._table = loaded.table
        self.identity = loaded.identity
        self._topic_id = loaded.topic_id
        self._tally = loaded.tally
        self._progress = loaded.progress
        self._filter = loaded.filter
        self._closed = False

    @classmethod
    def open(cls, directory: Path, *, topic: str, partitions: int, cluster_id: str) -> View:
        """Open or create. Reads the whole table once: about a second per million subjects, so not on an event loop.

        Raises `ViewLocked`, `ViewMismatch`, `ViewCorrupt`, `ViewError`.
        """
        identity = Identity(FORMAT, rules_digest(), cluster_id, topic, partitions)
        return cls._locked(directory, lambda: open_or_create(directory, identity))

    @classmethod
    def open_existing(cls, directory: Path) -> View:
        """Open what is there, whatever log it was built from, and change nothing: for `sendguard view republish`.

        Raises `ViewLocked`, `ViewCorrupt`, and `ViewError` when there is no view or one of another format.
        """
        return cls._locked(directory, lambda: open_existing(directory))

    @classmethod
    def _locked(cls, directory: Path, load: Callable[[], Loaded]) -> View:
        lock = DirectoryLock(directory)
        try:
            return cls(directory, lock, load())
        except BaseException:
            lock.release()
            raise

    def positions(self) -> list[int]:
        """The next offset to read, by partition."""
        return [progress.position for progress in self._progress]

    def fingerprint(self, partition: int) -> Fingerprint | None:
        """The last record applied of a partition, None before the first."""
        return self._progress[partition].fingerprint

    def matches(self, partition: int, record: LogRecord) -> bool:
        """Whether `record` is the last one applied. False also when none was: then nothing is proven."""
        return self._progress[partition].fingerprint == Fingerprint.of(record)

    def bind(self, topic_id: str) -> bool:
        """Keep the id Kafka gave the topic when it was created, at the first call; False when another one is kept."""
        if self._topic_id is None:
            batch = WriteBatch(raw_mode=True)
            batch.put(TOPIC_ID_KEY, topic_id.encode())
            self._write(batch)
            self._topic_id = topic_id
        return self._topic_id == topic_id

    def count(self) -> int:
        """Subjects in the table, with or without a hold in force."""
        return self._tally.count

    def lookup(self, keys: Sequence[bytes]) -> list[Record | None]:
        """The holds in force on each key, None where there are none; see `held_record` for what is left out."""
        found: list[Record | None] = [None] * len(keys)
        candidates = self._filter.candidates(keys)
        if candidates:
            values = self._read([keys[index] for index in candidates])
            for index, value in zip(candidates, values, strict=True):
                if value is not None and holds_in_force(value):
                    found[index] = held_record(value)
        return found

    def get(self, subject: Subject) -> Record:
        """All that is known of a subject, `EMPTY` when nothing is."""
        (value,) = self._read([event_key(subject)])
        return EMPTY if value is None else decode_record(value)

    def records(self) -> Iterator[tuple[Subject, Record]]:
        """Every record, as of the first one asked for. Raises `ViewCorrupt` rather than end early."""
        expected, seen = self._tally, Tally()
        for keys, values in scan(self._table):
            seen = seen.plus(keys, values)
            for key, value in zip(keys, values, strict=True):
                yield msgspec.json.decode(key, type=Subject), decode_record(value)
        if seen != expected:
            raise ViewCorrupt(f"the view in {self._directory} is damaged: {difference(expected, seen)}")

    def apply(self, partition: int, records: Sequence[LogRecord], position: int) -> Applied:
        """Fold the records of a partition and remember `position`, the next offset to read (offsets may have gaps).

        Numbered as the effects happen: 1 fold, 2 mark the keys in the filter, 3 write, 4 remember what was written.
        Records below the known position are ignored. Raises `ValueError` for one that is not below `position`.
        """
        known = self._progress[partition]
        fresh = [record for record in records if record.offset >= known.position]
        if fresh and fresh[-1].offset >= position:
            raise ValueError(f"record {fresh[-1].offset} of partition {partition} is not below position {position}")
        if position <= known.position:
            return Applied()
        folding = Folding(fresh, self._read)  # 1
        tally = self._tally.minus(folding.before.keys(), folding.before.values())
        tally = tally.plus(folding.after.keys(), folding.after.values())
        progress = Progress(position, Fingerprint.of(fresh[-1]) if fresh else known.fingerprint)
        batch = WriteBatch(raw_mode=True)
        for key, value in folding.after.items():
            batch.put(key, value)
        batch.put(partition_key(partition), msgspec.msgpack.encode(progress))
        batch.put(TALLY_KEY, msgspec.msgpack.encode(tally))
        self._filter.add(key for key, value in folding.after.items() if holds_in_force(value))  # 2
        self._write(batch)  # 3
        self._tally = tally  # 4
        self._progress[partition] = progress
        return folding.applied

    def close(self) -> None:
        """Flush and let go of the directory. Never raises: what could not be flushed is in the log. Twice is once."""
        if not self._closed:
            self._closed = True
            let_go(self._table)
            self._lock.release()

    def _write(self, batch: WriteBatch) -> None:
        try:
            self._table.write(batch)
        except Exception as error:
            raise while_running(self._directory, error) from error

    def _read(self, keys: list[bytes]) -> list[bytes | None]:
        try:
            values: list[bytes | None] = self._table.get(keys)  # type: ignore[arg-type,assignment]  # stub: no raw mode
            return values
        except Exception as error:
            raise while_running(self._directory, error) from error
