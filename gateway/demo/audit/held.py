"""Who was on hold at a point of `dnd.events`: folded from the log itself, apart from any view of the service."""

from __future__ import annotations

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import NamedTuple

from gateway.contract.events import Unreadable, decode_event
from gateway.dnd.addresses import recipient_key
from gateway.dnd.decide import reasons
from gateway.dnd.model import Channel, Event, Subject, SubjectKind
from gateway.dnd.record import EMPTY, fold
from gateway.guard.reading import DefaultRegion
from gateway.streams.tap import Tapped


@dataclass(frozen=True, slots=True)
class Standpoint:
    """A point of the log: the next offset of each partition; 0 for one that is not named."""

    positions: Mapping[int, int]

    def includes(self, other: Standpoint) -> bool:
        return all(self.positions.get(partition, 0) >= position for partition, position in other.positions.items())

    def join(self, other: Standpoint) -> Standpoint:
        """The later position of each partition."""
        both = self.positions.keys() | other.positions.keys()
        return Standpoint({each: max(self.positions.get(each, 0), other.positions.get(each, 0)) for each in both})


class Sighting(NamedTuple):
    """A reader of the log had read a partition up to before this offset by then (ms)."""

    partition: int
    next_offset: int
    at: int


class Sightings:
    """What the log had told its readers by when.

    A record is dated before it is appended, and its writer hears of it later still; on a busy machine that takes a
    while. What somebody has read, every reader can have: an event seen before a request was dated is the guard's to
    know.
    """

    def __init__(self, sightings: Iterable[Sighting]) -> None:
        by_partition: dict[int, list[Sighting]] = defaultdict(list)
        for each in sorted(sightings, key=lambda each: each.at):
            by_partition[each.partition].append(each)
        self._times = {partition: [each.at for each in seen] for partition, seen in by_partition.items()}
        # The reader's clock may have been set back.
        self._read = {
            partition: list(accumulate((each.next_offset for each in seen), max))
            for partition, seen in by_partition.items()
        }

    def before(self, at: int) -> Standpoint:
        """Behind everything seen earlier (ms)."""
        positions = {}
        for partition, times in self._times.items():
            if earlier := bisect_left(times, at):
                positions[partition] = self._read[partition][earlier - 1]
        return Standpoint(positions)


class _Logged(NamedTuple):
    timestamp: int
    partition: int
    offset: int
    event: Event


class HoldLog:
    """The log of holds, in memory."""

    def __init__(self, records: Iterable[Tapped], default_region: DefaultRegion) -> None:
        self._default_region = default_region
        self._by_subject: dict[Subject, list[_Logged]] = defaultdict(list)
        offsets: dict[int, list[int]] = defaultdict(list)
        times: dict[int, list[int]] = defaultdict(list)
        for record in sorted(records, key=lambda record: (record.partition, record.offset)):
            offsets[record.partition].append(record.offset)
            times[record.partition].append(record.timestamp)
            try:
                event = decode_event(record.value, record.timestamp)
            except Unreadable:
                continue
            logged = _Logged(record.timestamp, record.partition, record.offset, event)
            self._by_subject[event.subject].append(logged)
        self._offsets = offsets
        # A broker's clock that was set back must not let a later record count as earlier.
        self._times = {partition: list(accumulate(each, max)) for partition, each in times.items()}

    def before(self, timestamp: int) -> Standpoint:
        """Behind every event the broker dated earlier (ms)."""
        positions = {}
        for partition, times in self._times.items():
            if earlier := bisect_left(times, timestamp):
                positions[partition] = self._offsets[partition][earlier - 1] + 1
        return Standpoint(positions)

    def moments(self, subjects: Iterable[Subject], since: int, until: int) -> list[Standpoint]:
        """Where the log stood from one time (ms) to another, as far as it makes a difference to the subjects."""
        told = {logged.timestamp + 1 for subject in subjects for logged in self._by_subject.get(subject, ())}
        return [self.before(at) for at in (since, *sorted(at for at in told if since < at <= until))]

    def held(self, subject: Subject, channel: Channel, stood: Standpoint) -> bool:
        """Whether a hold on the channel or on ALL was in force."""
        record = EMPTY
        for logged in sorted(self._by_subject.get(subject, ()), key=lambda each: each[:3]):
            if logged.offset < stood.positions.get(logged.partition, 0):
                record = fold(record, logged.event, logged.timestamp).record
        return bool(reasons(channel, "address", record))

    def reached(self, location_id: str, contact_id: str, channel: Channel, to: Sequence[str]) -> list[Subject]:
        """The subjects a message concerns: the contact, then every address. BadAddress for one that is none."""
        region = self._default_region(location_id)
        keys = [recipient_key(channel, each, region) for each in to]
        return [
            Subject(location_id, SubjectKind.CONTACT, contact_id),
            *(Subject(location_id, kind, key) for kind, key in keys),
        ]
