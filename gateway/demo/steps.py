"""What a campaign consists of: steps at points of its time, without clock times, which whoever plays it fills in."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from gateway.dnd.model import Event

NOW = 0
"""Stands for the time of the step in the events' `at` and `through`."""


@dataclass(frozen=True, slots=True)
class Send:
    """A workflow sends a request. `at` is the part of the campaign that is over, 0 to 1.

    `created_at` is added when it is sent, and `not_after` when `expires_in_ms` (may be negative) is given.
    """

    at: float
    body: Mapping[str, object]
    expires_in_ms: int | None = None


@dataclass(frozen=True, slots=True)
class SendRaw:
    """Somebody sends what is no request; `what` says what is wrong with it."""

    at: float
    what: str
    key: bytes | None
    value: bytes | None


@dataclass(frozen=True, slots=True)
class Signal:
    """Events happen: the next step comes after Kafka has acknowledged them."""

    at: float
    events: Sequence[Event]


Step = Send | SendRaw | Signal


@dataclass(frozen=True, slots=True)
class Campaign:
    """`before`: what was held when it began. `steps` in the order of their time."""

    before: Sequence[Event]
    steps: Sequence[Step]
