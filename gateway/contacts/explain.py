"""What the guard would decide of a request now, with whom and what is behind each reason. Nothing is written.

The answer is the guard's own: the request is read and decided by `read_batch` and `BatchDecision`, as a batch of one,
and what they append is looked at instead of sent. So the two cannot differ, but in what the guard takes from the Kafka
record around the request: its header names, and whether topics take a value that large.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import assert_never

import msgspec

from gateway.clock import now_ms
from gateway.contacts.log import DndReads, View
from gateway.contacts.state import Hold
from gateway.contract.decisions import ChannelReason, FieldReason, HoldReason, Outcome
from gateway.contract.topics import Topics
from gateway.dnd.model import Cause, Scope, Subject
from gateway.guard.deciding import NOTHING_UNAVAILABLE, BatchDecision, Header, Unavailable
from gateway.guard.reading import DefaultRegion, read_batch

_TOPICS = Topics()
"""Only to tell the decision from the other outputs."""


class OtherLocation(Exception):  # noqa: N818 - an outcome of asking, not a fault
    """The request is of another location than the one asked for, of which nothing is told."""


@dataclass(frozen=True, slots=True)
class HeldReason:
    """One reason as the decision has it, and the hold it names: whose it is, who may lift it, on what evidence."""

    wire: HoldReason
    hold: Hold


@dataclass(frozen=True, slots=True)
class Explanation:
    """A decision without its id. `reasons` tells why it is dropped, `fault` why invalid, `unavailable` why that (R8).

    `removed`: recipients of an email that are taken out; with them forwarded, `reasons` is empty as in the decision.
    """

    request_id: str | None
    location_id: str | None
    contact_id: str | None
    channel: str | None
    outcome: Outcome
    reasons: tuple[HeldReason, ...]
    fault: FieldReason | None
    removed: tuple[str, ...]
    decided_at: int
    unavailable: ChannelReason | None = None


class Explainer:
    """`explain` from any number of tasks, while the fresh state runs."""

    def __init__(
        self,
        reads: DndReads,
        default_region: DefaultRegion,
        unavailable: Callable[[], Unavailable] = lambda: NOTHING_UNAVAILABLE,
        *,
        clock: Callable[[], int] = now_ms,
    ) -> None:
        """`default_region` and `unavailable`: what the guard is given."""
        self._reads = reads
        self._default_region = default_region
        self._unavailable = unavailable
        self._clock = clock

    async def explain(self, location_id: str, value: bytes) -> Explanation:
        """`value`: what would be the value of a record of `outbound.requests`. NotAvailable, OtherLocation."""
        view = await self._reads.passed()
        return explanation(location_id, value, view, self._default_region, self._clock(), self._unavailable())


def explanation(
    location_id: str,
    value: bytes,
    view: View,
    default_region: DefaultRegion,
    now: int,
    unavailable: Unavailable = NOTHING_UNAVAILABLE,
) -> Explanation:
    """On what the view has at present. OtherLocation."""
    batch = read_batch([_Asked(value)], default_region)
    (request,) = batch.requests
    if request is not None and request.location_id != location_id:
        raise OtherLocation(f"the request is not of the location {location_id}")
    outputs = _Outputs()
    BatchDecision(_TOPICS, 0, batch, view, now, outputs, unavailable).decide()
    written = _decode(outputs.decision)
    subjects = [msgspec.json.decode(key, type=Subject) for key in batch.keys]
    reasons: tuple[HeldReason, ...] = ()
    fault: FieldReason | None = None
    not_connected: ChannelReason | None = None
    match written.outcome:
        case Outcome.INVALID:
            (fault,) = _field_reasons(written.reasons)
        case Outcome.UNAVAILABLE:
            (not_connected,) = _channel_reasons(written.reasons)
        case Outcome.DROPPED | Outcome.EXPIRED | Outcome.FORWARDED:
            reasons = tuple(_held(each, subjects, view) for each in _hold_reasons(written.reasons))
        case _:
            assert_never(written.outcome)
    return Explanation(
        request_id=written.request_id,
        location_id=written.location_id,
        contact_id=written.contact_id,
        channel=written.channel,
        outcome=written.outcome,
        reasons=reasons,
        fault=fault,
        removed=written.removed,
        decided_at=written.decided_at,
        unavailable=not_connected,
    )


@dataclass(slots=True)
class _Asked:
    """A record that is in no topic."""

    value: bytes | None
    offset: int = 0
    key: bytes | None = None
    headers: Sequence[Header] = ()


class _Outputs:
    """Keeps the decision; what would be forwarded or refused goes nowhere."""

    def __init__(self) -> None:
        self.decision = b""

    def append(
        self,
        topic: str,
        key: bytes | None,  # noqa: ARG002 - the sink's
        value: bytes | None,
        timestamp_ms: int,  # noqa: ARG002
        headers: list[Header] | None = None,  # noqa: ARG002
    ) -> None:
        if topic == _TOPICS.decisions and value is not None:
            self.decision = value


class _Written(msgspec.Struct):
    """A decision, read back."""

    request_id: str | None
    location_id: str | None
    contact_id: str | None
    channel: str | None
    outcome: Outcome
    reasons: msgspec.Raw
    decided_at: int
    removed: tuple[str, ...] = ()


_decode = msgspec.json.Decoder(_Written).decode
_hold_reasons = msgspec.json.Decoder(list[HoldReason]).decode
_channel_reasons = msgspec.json.Decoder(list[ChannelReason]).decode
_field_reasons = msgspec.json.Decoder(list[FieldReason]).decode


def _held(reason: HoldReason, subjects: Sequence[Subject], view: View) -> HeldReason:
    """The hold behind a reason, from the same view at the same moment: the contact is first among the subjects."""
    key = Scope(reason.channel), Cause(reason.cause)
    for subject in subjects[:1] if reason.subject == "contact" else subjects[1:]:
        register = view.get(subject).registers.get(key)
        if register is not None and (register.placed.at, register.placed.event_id) == (reason.since, reason.event_id):
            return HeldReason(reason, Hold.of(subject, key, register))
    raise AssertionError(f"no subject of the request has the hold {key} that its decision names")
