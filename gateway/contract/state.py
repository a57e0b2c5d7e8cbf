"""The messages of `dnd.state`: the folded record of a subject, for other stream consumers. Nothing of ours starts here.

A hold is in force while `placed_at` is set and greater than `lifted_through` (null = never lifted). What is not in
force is written too, so that a reader sees that it ended. `offsets` is how far `dnd.events` had been folded, as
`[partition, next offset]`. Of a lift only its time is public, and the event ids seen lately are not written.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

from gateway.dnd.model import Actor, ActorKind, Cause, Scope, Subject
from gateway.dnd.record import NEVER, Mark, Record, Register

VERSION = 1


@dataclass(frozen=True, slots=True)
class SubjectState:
    """A subject's record, and the next offset to fold by partition of `dnd.events`."""

    subject: Subject
    record: Record
    offsets: Mapping[int, int]


class _Actor(msgspec.Struct):
    kind: ActorKind | None = None
    id: str = ""


class _Hold(msgspec.Struct):
    channel: Scope
    cause: Cause
    placed_at: int | None
    lifted_through: int | None
    event_id: str
    actor: _Actor
    evidence: Mapping[str, Any] = {}


class _State(msgspec.Struct):
    v: int
    subject: Subject
    holds: list[_Hold]
    offsets: list[tuple[int, int]]


_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(_State).decode


def encode_state(state: SubjectState) -> bytes:
    """The value for `dnd.state`; its key is `gateway.contract.events.event_key` of the subject."""
    holds = [
        _Hold(
            channel=scope,
            cause=cause,
            placed_at=_shown(register.placed),
            lifted_through=_shown(register.lifted),
            event_id=register.placed.event_id,
            actor=_Actor(register.placed.actor.kind, register.placed.actor.id),
            evidence=register.placed.evidence,
        )
        for (scope, cause), register in sorted(state.record.registers.items())
    ]
    return _encode(_State(VERSION, state.subject, holds, sorted(state.offsets.items())))


def decode_state(value: bytes) -> SubjectState:
    """What `encode_state` wrote; msgspec.DecodeError for anything else."""
    wire = _decode(value)
    registers = {
        (hold.channel, hold.cause): Register(
            placed=Mark(_kept(hold.placed_at), hold.event_id, Actor(hold.actor.kind, hold.actor.id), hold.evidence),
            lifted=Mark(_kept(hold.lifted_through)),
        )
        for hold in wire.holds
    }
    return SubjectState(wire.subject, Record(registers), dict(wire.offsets))


def _shown(mark: Mark) -> int | None:
    return None if mark.at == NEVER else mark.at


def _kept(at: int | None) -> int:
    return NEVER if at is None else at
