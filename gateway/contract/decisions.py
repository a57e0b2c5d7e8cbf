"""Decisions: what `outbound.decisions` says of every request, and the headers on what is forwarded or refused."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from enum import StrEnum

import msgspec

from gateway.contract.requests import InvalidRequestError
from gateway.dnd.decide import Reason
from gateway.dnd.model import Channel

DECISION_ID = "sg-decision-id"
DECIDED_AT = "sg-decided-at"
REASON_FIELD = "sg-reason-field"
REASON_EXPECTED = "sg-reason-expected"
CHANNEL_UNAVAILABLE = "channel_unavailable"
"""The `reason` of a decision `unavailable` (R8)."""

STAND_IN = "sg-stand-in"
"""Header of a dead letter whose value is not the original but a `StandIn`."""

STAND_IN_HEAD_BYTES = 1024
"""How much of a value too large to be written is kept, enough to recognise it."""

STAND_IN_KEY_BYTES = 1024
"""Longest key beside a stand-in: the key may be what is too large. Its records then have none."""


class Outcome(StrEnum):
    """What became of a request: the first that applies of invalid, expired, dropped, unavailable, forwarded."""

    INVALID = "invalid"
    EXPIRED = "expired"
    DROPPED = "dropped"
    UNAVAILABLE = "unavailable"
    FORWARDED = "forwarded"


class HoldReason(msgspec.Struct, frozen=True, gc=False):
    """A hold in force, in the wire's words."""

    subject: str
    channel: str
    cause: str
    kind: str
    since: int
    event_id: str


class FieldReason(msgspec.Struct, frozen=True, gc=False):
    """Why a request is invalid."""

    field: str
    expected: str


class Unavailability(StrEnum):
    """Why a channel cannot be sent on."""

    DISCONNECTED = "disconnected"
    UNKNOWN = "unknown"  # nobody has said that it is connected, and the location demands that


class ChannelReason(msgspec.Struct, frozen=True, gc=False):
    """Why a request is unavailable: `{"reason":"channel_unavailable","channel":"SMS","status":"disconnected"}`.

    It has no subject, cause, kind or since, which all holds have: who reads reasons as holds must not take it for DND.
    """

    reason: str
    channel: str
    status: str


class Decision(msgspec.Struct, omit_defaults=False, gc=False):
    """One decision. `state` is the encoded `{"events": [[partition, offset], ...]}` the view had applied."""

    decision_id: str
    request_id: str | None
    location_id: str | None
    contact_id: str | None
    channel: str | None
    outcome: str
    reasons: Sequence[HoldReason | ChannelReason | FieldReason]
    state: msgspec.Raw
    decided_at: int
    removed: Sequence[str] | msgspec.UnsetType = msgspec.UNSET


class StandIn(msgspec.Struct):
    """What is written instead of a record that no topic takes."""

    head: str
    length: int
    sha256: str
    source: tuple[str, int, int]


encode_decision = msgspec.json.Encoder().encode


class _Identified(msgspec.Struct):
    decision_id: str


def decision_id_prefix(topic: str, partition: int) -> str:
    """A decision id is this and the offset: unique, the same after a crash, the idempotency key downstream."""
    return f"{topic}-{partition}-"


def offset_of(value: bytes, prefix: str) -> int:
    """The request's offset from an encoded decision with an id of this prefix; ValueError when it is none."""
    try:
        identity = msgspec.json.decode(value, type=_Identified).decision_id
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise ValueError(f"not a decision: {error}") from error
    offset = identity.removeprefix(prefix)
    if offset == identity or not (offset.isascii() and offset.isdigit()):
        raise ValueError(f"not a decision with the prefix {prefix}: {identity}")
    return int(offset)


def encode_state(positions: Sequence[int]) -> msgspec.Raw:
    """The `state` of a decision from the next offsets of `dnd.events`, by partition."""
    return msgspec.Raw(msgspec.json.encode({"events": list(enumerate(positions))}))


def hold_reasons(reasons: Sequence[Reason]) -> list[HoldReason]:
    """Reasons in the wire's words."""
    return [
        HoldReason(reason.held_on, reason.scope, reason.cause, reason.kind, reason.since, reason.event_id)
        for reason in reasons
    ]


def invalid_reason(error: InvalidRequestError) -> FieldReason:
    return FieldReason(error.field, error.expected)


def channel_reason(channel: Channel, why: Unavailability) -> ChannelReason:
    return ChannelReason(CHANNEL_UNAVAILABLE, channel, why)


def stand_in(value: bytes | None, topic: str, partition: int, offset: int) -> bytes:
    """The encoded stand-in for a value that cannot be written."""
    value = value or b""
    head = value[:STAND_IN_HEAD_BYTES].decode(errors="replace")
    digest = hashlib.sha256(value).hexdigest()
    return msgspec.json.encode(StandIn(head, len(value), digest, (topic, partition, offset)))
