"""Opening a view's table: reading it once, proving it whole, or saying why it cannot be used.

Three things can be wrong. *Damaged*: files are missing, cut short or overwritten; the log holds everything
such a table held. *Outdated*: folded by a version with other rules or another layout. Both (`Unusable`) are set
aside under a dated name and the view starts empty. *Another log* (`ViewMismatch`): that table may be the last
copy of a hold, so only an operator decides.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import compress, islice
from pathlib import Path

import msgspec
from rocksdict import Rdict, WriteBatch

from gateway.view.codec import FORMAT, holds_in_force
from gateway.view.directory import has_files, require_ours, set_aside
from gateway.view.errors import Unusable, ViewCorrupt, ViewError, ViewMismatch
from gateway.view.held import HeldFilter
from gateway.view.meta import (
    IDENTITY_KEY,
    RECORDS_FROM,
    TALLY_KEY,
    TOPIC_ID_KEY,
    Identity,
    Progress,
    Tally,
    partition_key,
)
from gateway.view.rocksdb import is_status, let_go, open_table, scan_options, while_opening

log = logging.getLogger(__name__)

_SCAN_CHUNK = 4_096
"""Records taken from RocksDB at a time in a scan: enough to work in C loops, about 1 MiB."""


@dataclass(frozen=True, slots=True)
class Loaded:
    """An open table, with what is kept in memory of it."""

    table: Rdict
    identity: Identity
    topic_id: str | None
    tally: Tally
    progress: list[Progress]
    filter: HeldFilter


def open_or_create(directory: Path, identity: Identity) -> Loaded:
    """The table of our log, empty if it had to be set aside. Raises `ViewMismatch`, `ViewCorrupt`, `ViewError`."""
    require_ours(directory)
    try:
        return _open(directory, lambda table: _load_ours(directory, table, identity))
    except Unusable as error:
        problem = error
    aside = set_aside(directory, problem.why)
    log.warning("The view in %s is %s (%s): now %s, rebuilding from the log", directory, problem.why, problem, aside)
    try:
        return _open(directory, lambda table: _create(table, identity, problem.topic_id))
    except Unusable as error:
        raise ViewCorrupt(f"a new view in {directory} cannot be opened either: {error}") from error


def open_existing(directory: Path) -> Loaded:
    """The table as it is, of whatever log. Raises `ViewCorrupt`, `ViewError`; changes nothing."""
    require_ours(directory)
    if not has_files(directory):
        raise ViewError(f"there is no view in {directory}")
    try:
        return _open(directory, _load_any)
    except Unusable as error:
        raise ViewCorrupt(f"the view in {directory} is damaged: {error}") from error


def _open(directory: Path, load: Callable[[Rdict], Loaded]) -> Loaded:
    table = open_table(directory)
    try:
        return load(table)
    except BaseException as error:
        let_go(table)
        if isinstance(error, (msgspec.DecodeError, UnicodeDecodeError)):
            raise Unusable("damaged", str(error)) from error
        if isinstance(error, Exception) and is_status(error):
            raise while_opening(directory, error) from error
        raise


def _load_ours(directory: Path, table: Rdict, identity: Identity) -> Loaded:
    """What `open` needs of a table, or a new table's. Raises `Unusable`, `ViewMismatch`."""
    if table.latest_sequence_number() == 0:  # nothing was ever written; a scan would also find nothing behind damage
        return _create(table, identity)
    stored = _stored_identity(table)
    _require_same_log(directory, stored, identity)
    if (stored.format, stored.rules) != (identity.format, identity.rules):
        change = f"format {stored.format} rules {stored.rules}, this version has {identity.format} {identity.rules}"
        raise Unusable("outdated", change, _stored_topic_id(table))
    return _read_all(table, stored)


def _load_any(table: Rdict) -> Loaded:
    stored = _stored_identity(table)
    if stored.format != FORMAT:
        raise ViewError(f"the view has format {stored.format}, this version reads {FORMAT}: use the one that wrote it")
    return _read_all(table, stored)


def _create(table: Rdict, identity: Identity, topic_id: str | None = None) -> Loaded:
    """A new table, to be folded from the beginning of its log: of the one with `topic_id`, where that is known."""
    progress = [Progress()] * identity.partitions
    batch = WriteBatch(raw_mode=True)
    batch.put(IDENTITY_KEY, msgspec.msgpack.encode(identity))
    batch.put(TALLY_KEY, msgspec.msgpack.encode(Tally()))
    for partition, row in enumerate(progress):
        batch.put(partition_key(partition), msgspec.msgpack.encode(row))
    if topic_id is not None:
        batch.put(TOPIC_ID_KEY, topic_id.encode())
    table.write(batch)
    return Loaded(table, identity, topic_id, Tally(), progress, HeldFilter())


def _read_all(table: Rdict, identity: Identity) -> Loaded:
    progress = _stored_progress(table, identity.partitions)
    expected = msgspec.msgpack.decode(_row(table, TALLY_KEY), type=Tally)
    tally, held = Tally(), HeldFilter()
    for keys, values in scan(table):
        tally = tally.plus(keys, values)
        held.add(compress(keys, map(holds_in_force, values)))
    if tally != expected:
        raise Unusable("damaged", difference(expected, tally), _stored_topic_id(table))
    return Loaded(table, identity, _stored_topic_id(table), expected, progress, held)


def _stored_identity(table: Rdict) -> Identity:
    return msgspec.msgpack.decode(_row(table, IDENTITY_KEY), type=Identity)


def _stored_topic_id(table: Rdict) -> str | None:
    row: bytes | None = table.get(TOPIC_ID_KEY)
    return None if row is None else row.decode()


def _stored_progress(table: Rdict, partitions: int) -> list[Progress]:
    rows = (_row(table, partition_key(partition)) for partition in range(partitions))
    return [msgspec.msgpack.decode(row, type=Progress) for row in rows]


def _row(table: Rdict, key: bytes) -> bytes:
    row: bytes | None = table.get(key)
    if row is None:
        raise Unusable("damaged", f"the row {key!r} is missing")
    return row


def _require_same_log(directory: Path, stored: Identity, ours: Identity) -> None:
    for name in ("cluster_id", "topic", "partitions"):
        was, now = getattr(stored, name), getattr(ours, name)
        if was != now:
            raise ViewMismatch(
                f"the view in {directory} was built from {name} {was!r}, not {now!r}: connect to the right cluster, or "
                f"write back what it knows (`sendguard view republish`), or start empty (`sendguard view discard`)"
            )


def scan(table: Rdict) -> Iterator[tuple[tuple[bytes, ...], tuple[bytes, ...]]]:
    """All records in chunks of (keys, values). Ends early, without an error, at a damaged block: check a tally."""
    items = table.items(from_key=RECORDS_FROM, read_opt=scan_options())
    while chunk := list(islice(items, _SCAN_CHUNK)):
        keys, values = zip(*chunk, strict=True)
        yield keys, values


def difference(expected: Tally, found: Tally) -> str:
    return f"{found.count} records with checksum {found.checksum}, not {expected.count} with {expected.checksum}"
