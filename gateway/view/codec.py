"""Records as bytes: the values of the view's table.

A value is one msgpack array `[held, registers, seen]`. `registers` has those in force first and `held` is their number,
so that a decision reads only what it needs (`held_record`): where nothing is in force the second byte of the value says
so (`holds_in_force`), and actors and evidence are skipped, not built. Evidence is kept as JSON: it may be any JSON, and
only people read it.

`FORMAT` and `rules_digest()` say under which layout and which rules a table was folded. A table of other rules lacks
what its writer did not know (the hold of a cause it had no word for), so it is not read but built again from the log.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from hashlib import blake2b
from importlib.metadata import version
from itertools import islice
from operator import itemgetter
from types import MappingProxyType

import msgspec

from gateway.dnd.causes import CAUSES
from gateway.dnd.model import Actor, ActorKind, Cause, Scope, SubjectKind
from gateway.dnd.record import NEVER, Mark, Record, Register, RegisterKey

FORMAT = 1
"""Raise it when the layout of values, the fold or our own address rules change: older tables are then built again."""

_KEY_LIBRARIES = ("phonenumbers", "email-validator", "idna")
"""Their number plans and domain tables decide which spellings are one address (`gateway.dnd.addresses`)."""

_HELD = 1
"""Where `held` is in a value: after the byte that says "array of three"."""

_UNSET = Mark()
_NOBODY = Actor(None)
_NO_EVIDENCE: Mapping[str, object] = MappingProxyType({})


class _StoredMark(msgspec.Struct, array_like=True, frozen=True):
    at: int
    event_id: str
    actor_kind: ActorKind | None
    actor_id: str
    evidence: bytes


class _StoredRegister(msgspec.Struct, array_like=True, frozen=True):
    scope: Scope
    cause: Cause
    placed: _StoredMark | None
    lifted: _StoredMark | None


class _Stored(msgspec.Struct, array_like=True, frozen=True):
    held: int
    registers: list[_StoredRegister]
    seen: dict[str, int]


class _HeldMark(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """The head of a `_StoredMark`; msgspec skips the fields behind it."""

    at: int
    event_id: str


class _HeldRegister(msgspec.Struct, array_like=True, frozen=True, gc=False):
    scope: Scope
    cause: Cause
    placed: _HeldMark | None
    lifted: _HeldMark | None


class _Held(msgspec.Struct, array_like=True, frozen=True, gc=False):
    held: int
    registers: list[_HeldRegister]


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(_Stored).decode
_decode_held = msgspec.msgpack.Decoder(_Held).decode
_encode_evidence = msgspec.json.Encoder(order="deterministic").encode
_decode_evidence = msgspec.json.Decoder(dict[str, object]).decode


def encode_record(record: Record) -> bytes:
    """The value of `record`; equal records give equal bytes, whatever the order their events came in.

    Written as the plain arrays that `_Stored` reads: building its structs first takes twice as long, on every event.
    """
    registers = list(record.registers.items())
    if len(registers) > 1:
        registers.sort(key=_in_force_first)
    stored = (
        sum([register.in_force for _, register in registers]),
        [
            (scope, cause, _stored_mark(register.placed), _stored_mark(register.lifted))
            for (scope, cause), register in registers
        ],
        dict(sorted(record.seen.items())) if len(record.seen) > 1 else record.seen,
    )
    return _encode(stored)


def decode_record(value: bytes) -> Record:
    """All of it. Raises `msgspec.DecodeError` (or its `ValidationError`) when `value` is not one of ours."""
    stored = _decode(value)
    registers = {
        (register.scope, register.cause): Register(_mark(register.placed), _mark(register.lifted))
        for register in stored.registers
    }
    return Record(registers, stored.seen)


holds_in_force: Callable[[bytes], int] = itemgetter(_HELD)
"""How many holds are in force, without decoding: a C function, since a start asks it of every record."""


def held_record(value: bytes) -> Record:
    """What a decision needs: the holds in force, each with its times and event id; no actors, evidence or seen ids."""
    stored = _decode_held(value)
    registers: dict[RegisterKey, Register] = {}
    for register in islice(stored.registers, stored.held):
        placed, lifted = register.placed, register.lifted
        registers[register.scope, register.cause] = Register(
            _UNSET if placed is None else Mark(placed.at, placed.event_id, _NOBODY, _NO_EVIDENCE),
            _UNSET if lifted is None else Mark(lifted.at, lifted.event_id, _NOBODY, _NO_EVIDENCE),
        )
    return Record(registers)


def rules_digest() -> str:
    """Changes with the words events are read by, with the causes table and with the libraries that make addresses keys.

    So with what a fold of the log ends in, and under which keys. A table of the former rules would miss look-ups.
    """
    rules = [
        [version(library) for library in _KEY_LIBRARIES],
        sorted(Scope),
        sorted(SubjectKind),
        sorted(ActorKind),
        sorted((cause, sorted(rule.lifted_by)) for cause, rule in CAUSES.items()),
    ]
    return blake2b(msgspec.json.encode(rules), digest_size=8).hexdigest()


def _in_force_first(item: tuple[RegisterKey, Register]) -> tuple[bool, RegisterKey]:
    key, register = item
    return not register.in_force, key


def _stored_mark(mark: Mark) -> tuple[int, str, ActorKind | None, str, bytes] | None:
    if mark.at == NEVER and not mark.event_id:
        return None
    actor = mark.actor
    return mark.at, mark.event_id, actor.kind, actor.id, _evidence_bytes(mark.evidence)


def _mark(stored: _StoredMark | None) -> Mark:
    if stored is None:
        return _UNSET
    return Mark(stored.at, stored.event_id, Actor(stored.actor_kind, stored.actor_id), _evidence(stored.evidence))


def _evidence(stored: bytes) -> Mapping[str, object]:
    if not stored:
        return {}
    try:
        return _decode_evidence(stored)
    except RecursionError:  # depends on the caller's own depth, so it can be writable and then not readable
        return {"left_out": "nested too deeply"}


def _evidence_bytes(evidence: Mapping[str, object]) -> bytes:
    return _encode_evidence(dict(evidence)) if evidence else b""
