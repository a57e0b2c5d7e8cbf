"""Whether a message may go out: every hold in force on the contact and its address, on the channel and on ALL.

One rule for every sender (R2): where a request came from never matters.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from gateway.dnd.causes import CAUSES
from gateway.dnd.model import Cause, Channel, Kind, Scope
from gateway.dnd.record import Record

HeldOn = Literal["contact", "address"]


@dataclass(frozen=True, slots=True)
class Reason:
    """One hold that blocks. `since` is the hold's placed-at time (ms), `event_id` the event that placed it."""

    held_on: HeldOn
    scope: Scope
    cause: Cause
    kind: Kind
    since: int
    event_id: str


def reasons(channel: Channel, held_on: HeldOn, record: Record | None) -> list[Reason]:
    """The holds of one record that block `channel`, in a fixed order; empty = nothing blocks."""
    if record is None:
        return []
    blocking = [
        Reason(held_on, scope, cause, CAUSES[cause].kind, register.placed.at, register.placed.event_id)
        for (scope, cause), register in record.holds()
        if covers(scope, channel)
    ]
    return sorted(blocking, key=lambda reason: (reason.scope, reason.cause))


def covers(scope: Scope, channel: Channel) -> bool:
    """Whether a hold on the scope blocks the channel."""
    return scope is Scope.ALL or scope.value == channel.value
