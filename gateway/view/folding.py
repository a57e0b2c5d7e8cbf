"""Folding a batch of the log in memory: which subjects it changes, and to what."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from gateway.contract.events import Unreadable, event_key, read_event
from gateway.contract.log import LogRecord
from gateway.dnd.model import Event
from gateway.dnd.record import EMPTY, fold
from gateway.view.codec import decode_record, encode_record

Read = Callable[[list[bytes]], list[bytes | None]]


@dataclass(frozen=True, slots=True)
class Applied:
    """What a batch did. `events` were read, `repeated` of them had been seen before; `refused_lifts` counts terms.

    `newest_timestamp`: the latest broker time (ms) among the records that were new, None when none was.
    """

    events: int = 0
    refused_lifts: int = 0
    repeated: int = 0
    unreadable: int = 0
    unknown_words: int = 0
    newest_timestamp: int | None = None


class Folding:
    """Folds a batch in memory: `before` and `after` are the values of the subjects it changed."""

    def __init__(self, fresh: Sequence[LogRecord], read: Read) -> None:
        events: list[tuple[bytes, Event, int]] = []
        unreadable = unknown = refused = repeated = 0
        for entry in fresh:
            try:
                event, skipped = read_event(entry.value, entry.timestamp)
            except Unreadable:
                unreadable += 1
                continue
            unknown += len(skipped)
            events.append((event_key(event.subject), event, entry.timestamp))
        keys = list(dict.fromkeys(key for key, _, _ in events))
        old = {key: value for key, value in zip(keys, read(keys), strict=True) if value is not None} if keys else {}
        current = {key: decode_record(value) for key, value in old.items()}
        changed: set[bytes] = set()
        for key, event, timestamp in events:
            folded = fold(current.get(key, EMPTY), event, timestamp)
            refused += len(folded.refused)
            if folded.repeated:
                repeated += 1
                continue
            current[key] = folded.record
            changed.add(key)
        self.before = {key: value for key, value in old.items() if key in changed}
        self.after = {key: encode_record(record) for key, record in current.items() if key in changed}
        newest = max((entry.timestamp for entry in fresh), default=None)
        self.applied = Applied(len(events), refused, repeated, unreadable, unknown, newest)
