"""The messages of `dnd.events`: places and lifts.

Reading is not symmetric, because losing a hold is worse than keeping one too many. A place holds whenever we can tell
whom, which channel and which cause, however it was written: times that make no sense become the record's own, unknown
words beside known ones are skipped, an unknown actor still places. A lift must be exact, or it does not lift.

Well-formed events, all but a few, are decoded straight into typed values; the forgiving reader looks at the rest.
"""

from __future__ import annotations

from typing import Annotated, Any, assert_never

import msgspec

from gateway.contract.forgiving import (
    EVIDENCE_LIMIT_BYTES,
    NESTING_LIMIT,
    TEXT_LIMIT,
    Decoded,
    Moment,
    Term,
    Text,
    Unreadable,
    bounded_evidence,
    read_forgiving,
)
from gateway.dnd.addresses import canonical
from gateway.dnd.model import Actor, ActorKind, Cause, Event, Lift, LiftTerm, Place, Scope, Subject

__all__ = ["Decoded", "Unreadable", "decode_event", "encode_event", "event_key", "read_event"]

VERSION = 1


class _Actor(msgspec.Struct, gc=False):
    kind: ActorKind
    id: Annotated[str, msgspec.Meta(max_length=TEXT_LIMIT)] = ""


class _Place(msgspec.Struct, gc=False, tag="place"):
    event_id: Text
    subject: Subject
    channels: Annotated[tuple[Scope, ...], msgspec.Meta(min_length=1)]
    causes: Annotated[tuple[Cause, ...], msgspec.Meta(min_length=1)]
    at: Moment
    actor: _Actor
    evidence: dict[str, Any] = {}


class _Lift(msgspec.Struct, gc=False, tag="lift"):
    event_id: Text
    subject: Subject
    lifts: Annotated[tuple[Term, ...], msgspec.Meta(min_length=1)]
    actor: _Actor
    evidence: dict[str, Any] = {}


_decode_exact = msgspec.json.Decoder(_Place | _Lift).decode
_encoder = msgspec.json.Encoder()


def event_key(subject: Subject) -> bytes:
    """The key of the subject's records: its JSON array without spaces, raw UTF-8. `subject` is canonical already."""
    return _encoder.encode(subject)


def encode_event(event: Event, recorded_at: int) -> bytes:
    """The value for `dnd.events`. `recorded_at`: the writer's clock, in ms. The subject is canonical already."""
    head = {"v": VERSION, "event_id": event.event_id}
    match event:
        case Place():
            body: dict[str, object] = {
                "type": "place",
                "subject": event.subject,
                "channels": event.scopes,
                "causes": event.causes,
                "at": event.at,
            }
        case Lift():
            terms = [{"channel": term.scope, "cause": term.cause, "through": term.through} for term in event.terms]
            body = {"type": "lift", "subject": event.subject, "lifts": terms}
        case _:
            assert_never(event)
    tail = {
        "recorded_at": recorded_at,
        "actor": {"kind": event.actor.kind, "id": event.actor.id},
        "evidence": bounded_evidence(event.evidence),
    }
    return _encoder.encode(head | body | tail)


def decode_event(value: bytes | None, timestamp: int) -> Event:
    """The event of a record appended at `timestamp` (ms); raises Unreadable."""
    return read_event(value, timestamp).event


def read_event(value: bytes | None, timestamp: int) -> Decoded:
    """The same, with what had to be skipped or replaced in it."""
    if value is None:
        raise Unreadable("value", "a JSON object, not null")
    if value.count(b"[") + value.count(b"{") > NESTING_LIMIT:
        return read_forgiving(value, timestamp)
    try:
        exact = _decode_exact(value)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return read_forgiving(value, timestamp)
    subject = exact.subject
    if not subject.location_id or not subject.id:
        return read_forgiving(value, timestamp)
    subject, actor = canonical(subject), Actor(exact.actor.kind, exact.actor.id)
    evidence = bounded_evidence(exact.evidence) if len(value) > EVIDENCE_LIMIT_BYTES else exact.evidence
    if isinstance(exact, _Place):
        return Decoded(Place(exact.event_id, subject, exact.channels, exact.causes, exact.at, actor, evidence))
    terms = tuple([LiftTerm(term.channel, term.cause, term.through) for term in exact.lifts])
    return Decoded(Lift(exact.event_id, subject, terms, actor, evidence))
