"""What happened in a fault test: what the driver sent, what of it was acknowledged, what the topics hold.

Plain data, from the driver and from an independent client; nothing of the product is used, so that a mistake of ours
cannot hide in the checker too.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import NamedTuple

Headers = tuple[tuple[str, bytes], ...]

REQUEST_ID = "test-request-id"
"""Header by which a request is known even when its value cannot be read."""


class Subject(NamedTuple):
    """As in the contract: location, kind, id."""

    location_id: str
    kind: str
    id: str


class Expected(StrEnum):
    """What the driver knows of a request before anybody decides it."""

    VALID = "valid"
    INVALID = "invalid"
    UNWRITABLE = "unwritable"
    """Valid, but larger than its output topic takes."""


@dataclass(frozen=True, slots=True)
class SentRequest:
    """`sent` is the driver's clock, a count of its steps: before the record was handed to the client."""

    request_id: str
    expected: Expected
    channel: str
    subjects: tuple[Subject, ...]
    sent: int


class Action(StrEnum):
    PLACE = "place"
    LIFT = "lift"


@dataclass(frozen=True, slots=True)
class SentEvent:
    """A place at, or a lift through, `time`, in ms. `sent` as with requests."""

    event_id: str
    action: Action
    subject: Subject
    scope: str
    cause: str
    time: int
    sent: int


@dataclass(slots=True)
class Sent:
    """The driver's log. `*_acknowledged`: by id, the driver's clock when Kafka's acknowledgement came.

    `*_unknown`: by id, why nobody knows whether the record is in its topic. It need not be there; but a request that
    is there must be decided as any other.
    """

    requests: dict[str, SentRequest] = field(default_factory=dict)
    requests_acknowledged: dict[str, int] = field(default_factory=dict)
    events: dict[str, SentEvent] = field(default_factory=dict)
    events_acknowledged: dict[str, int] = field(default_factory=dict)
    requests_unknown: dict[str, str] = field(default_factory=dict)
    events_unknown: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Record:
    """One record as the independent client read it."""

    topic: str
    partition: int
    offset: int
    key: bytes | None
    value: bytes | None
    headers: Headers = ()

    def header(self, name: str) -> bytes | None:
        return next((value for key, value in self.headers if key == name), None)

    def __str__(self) -> str:
        return f"{self.topic}-{self.partition}-{self.offset}"


@dataclass(frozen=True, slots=True)
class History:
    """`outputs` by channel. `requests` also has those that were deleted later, as read before."""

    sent: Sent
    requests: Sequence[Record]
    decisions: Sequence[Record]
    outputs: Mapping[str, Sequence[Record]]
    dead: Sequence[Record]
    events: Sequence[Record]

    def written(self) -> Iterator[Record]:
        """Everything the guard wrote besides decisions."""
        for records in self.outputs.values():
            yield from records
        yield from self.dead
