"""What the role `changes` has published last of each contact, as a table on local disk.

It is a copy of `dnd.changes.state`, made from it whenever a partition is opened, and kept up to date by what is
committed after that. It may be deleted at any time: it is then read again. On disk, because everybody who was ever held
is in it; in the topic, because the next owner of a partition is another process.
"""

from __future__ import annotations

import logging
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec
from rocksdict import Rdict, WriteBatch

from gateway.contract.changes import PublishedState, decode_state
from gateway.contract.events import Unreadable
from gateway.contract.log import LogRecord
from gateway.streams.catching_up import Copy, Place
from gateway.view.errors import Unusable
from gateway.view.rocksdb import let_go, open_table

log = logging.getLogger(__name__)

_PARTITION_BYTES = 4
_PLACE = b"place"
"""Of a partition: no key of a contact, which is a JSON array."""

_decode_place = msgspec.json.Decoder(Place).decode


class Published:
    """One per process, used from one thread between construction and `close`."""

    def __init__(self, directory: Path) -> None:
        """ViewError: the disk does not let us. A damaged table is made anew."""
        directory.mkdir(parents=True, exist_ok=True)
        try:
            self._table: Rdict = open_table(directory)
        except Unusable as error:
            log.warning("the copy of published states in %s is %s and is made anew", directory, error)
            shutil.rmtree(directory)
            directory.mkdir()
            self._table = open_table(directory)

    def close(self) -> None:
        let_go(self._table)

    def get(self, partition: int, key: bytes) -> PublishedState:
        """By the key of its record; of a contact that nothing was published of, that of nobody held."""
        value: bytes | None = self._table.get(_prefix(partition) + key)
        return PublishedState() if value is None else decode_state(value)[1]

    def put(self, partition: int, states: Mapping[bytes, bytes]) -> None:
        """What was committed: the values of records by their keys."""
        batch = WriteBatch(raw_mode=True)
        for key, value in states.items():
            batch.put(_prefix(partition) + key, value)
        self._table.write(batch)

    def copy(self, partition: int) -> Copy:
        """For bringing a partition up to date."""
        prefix = _prefix(partition)
        kept: bytes | None = self._table.get(prefix + _PLACE)

        def take(records: Sequence[LogRecord], place: Place) -> None:
            batch = WriteBatch(raw_mode=True)
            for record in records:
                if record.key is not None and _is_state(record.value):
                    batch.put(prefix + record.key, record.value)
            batch.put(prefix + _PLACE, msgspec.json.encode(place))
            self._table.write(batch)

        def forget() -> None:
            self._table.delete_range(prefix, _prefix(partition + 1))

        return Copy(None if kept is None else _decode_place(kept), take, forget)


def _prefix(partition: int) -> bytes:
    return partition.to_bytes(_PARTITION_BYTES)


def _is_state(value: bytes | None) -> bool:
    """Somebody else's record in the topic is none of ours."""
    try:
        return value is not None and bool(decode_state(value))
    except Unreadable:
        return False
