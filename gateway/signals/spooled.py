"""A signal as bytes on disk, with a version, so that a later release reads what an earlier one has spooled."""

from __future__ import annotations

from typing import Any, assert_never

import msgspec

from gateway.contract.forgiving import bounded_evidence
from gateway.dnd.model import Actor, ActorKind, Cause, Scope, Subject
from gateway.providers.signals import OptIn, OptOut, Signal

VERSION = 1
"""Of the fields below. A release that changes their meaning counts on and still reads the former."""


class UnreadableRowError(Exception):
    """The bytes are no signal we know; the text says why."""


class _OptOut(msgspec.Struct, gc=False, tag="opt_out"):
    event_id: str
    subject: Subject
    scopes: tuple[Scope, ...]
    cause: Cause
    at: int | None
    actor_kind: ActorKind | None
    actor_id: str
    evidence: dict[str, Any]


class _OptIn(msgspec.Struct, gc=False, tag="opt_in"):
    event_id: str
    subject: Subject
    scopes: tuple[Scope, ...]
    causes: tuple[Cause, ...]
    actor_kind: ActorKind | None
    actor_id: str
    message_id: str | None
    at: int | None
    evidence: dict[str, Any]


_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(_OptOut | _OptIn).decode


def encode_signal(signal: Signal) -> bytes:
    """The signal in the format of VERSION: JSON, so that an operator can read it. Evidence is bounded as in events."""
    evidence = dict(bounded_evidence(signal.evidence))
    actor = signal.actor
    match signal:
        case OptOut(event_id, subject, scopes, cause, at):
            return _encode(_OptOut(event_id, subject, scopes, cause, at, actor.kind, actor.id, evidence))
        case OptIn(event_id, subject, scopes, causes):
            row = _OptIn(
                event_id, subject, scopes, causes, actor.kind, actor.id, signal.message_id, signal.at, evidence
            )
            return _encode(row)
        case _:
            assert_never(signal)


def decode_signal(version: int, value: bytes) -> Signal:
    """The signal of a row; UnreadableRowError."""
    if version != VERSION:
        raise UnreadableRowError(f"version {version}, and this release reads {VERSION}")
    try:
        row = _decode(value)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, TypeError) as error:
        raise UnreadableRowError(str(error)) from error
    actor = Actor(row.actor_kind, row.actor_id)
    match row:
        case _OptOut():
            return OptOut(row.event_id, row.subject, row.scopes, row.cause, row.at, actor, row.evidence)
        case _OptIn():
            return OptIn(row.event_id, row.subject, row.scopes, row.causes, actor, row.message_id, row.evidence, row.at)
        case _:
            assert_never(row)
