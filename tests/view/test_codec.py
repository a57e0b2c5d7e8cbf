"""Records as bytes."""

from __future__ import annotations

from dataclasses import replace
from hashlib import blake2b
from itertools import product

import msgspec
import pytest
from hypothesis import given

from gateway.dnd.causes import CAUSES, CauseRule
from gateway.dnd.model import Actor, ActorKind, Cause, Kind, Lift, LiftTerm, Place, Scope
from gateway.dnd.record import EMPTY, Mark, Record, Register, fold
from gateway.view import codec
from gateway.view.codec import decode_record, encode_record, held_record, holds_in_force, rules_digest
from tests.view.logs import Line, folded, lift, partition_logs, phone, place


@given(partition_logs())
def test_a_record_comes_back_as_it_was(lines: list[Line]) -> None:
    for record in folded(lines).values():
        assert decode_record(encode_record(record)) == record


@given(partition_logs())
def test_a_held_record_has_exactly_the_holds_in_force_with_their_times_and_ids(lines: list[Line]) -> None:
    for record in folded(lines).values():
        value = encode_record(record)
        holds = dict(record.holds())
        assert holds_in_force(value) == len(holds)
        assert dict(held_record(value).registers) == {
            key: Register(
                Mark(register.placed.at, register.placed.event_id), Mark(register.lifted.at, register.lifted.event_id)
            )
            for key, register in holds.items()
        }


@given(partition_logs())
def test_equal_records_are_equal_bytes_whatever_order_they_were_built_in(lines: list[Line]) -> None:
    for record in folded(lines).values():
        backwards = Record(dict(reversed(list(record.registers.items()))), dict(reversed(list(record.seen.items()))))
        assert encode_record(backwards) == encode_record(record)


def test_every_cause_on_every_scope_fits_and_is_seen_to_be_held() -> None:
    actor = Actor(ActorKind.USER, "u1")
    every = {(scope, cause): Register(Mark(5, "e", actor)) for scope in Scope for cause in Cause}
    value = encode_record(Record(every))
    assert len(every) > 15, "more than msgpack's one-byte arrays and maps hold"
    assert holds_in_force(value) == len(every)
    assert held_record(value).registers.keys() == every.keys()


def test_a_record_whose_holds_are_all_lifted_is_not_held() -> None:
    record = fold(EMPTY, place("p", phone(1), at=10), 10).record
    record = fold(record, lift("l", phone(1), through=10), 10).record
    assert not holds_in_force(encode_record(record))


def test_evidence_too_deep_for_the_reader_does_not_make_the_record_unreadable() -> None:
    deep = b'{"a":' + b"[" * 5_000 + b"]" * 5_000 + b"}"
    value = encode_record(fold(EMPTY, place("p", phone(1)), 10).record)
    stored = msgspec.msgpack.decode(value)
    stored[1][0][2][4] = deep
    record = decode_record(msgspec.msgpack.encode(stored))
    assert record.registers[Scope.SMS, Cause.KEYWORD_OPT_OUT].placed.evidence == {"left_out": "nested too deeply"}


PINNED = {1: "d6f34afbf8624fa9"}
"""What every kind of event folds to and is stored as, by format."""


def test_what_is_stored_changes_only_with_the_format() -> None:
    """When this fails, older tables no longer say what a fold of the log says: raise FORMAT, and pin what it is now."""
    records = []
    for number, (scope, cause, actor) in enumerate(product(Scope, Cause, ActorKind)):
        placed = Place(f"p{number}", phone(1), (scope,), (cause,), number + 9_000, Actor(None, "ü"), {"text": "STOP"})
        lifted = Lift(f"l{number}", phone(1), (LiftTerm(scope, cause, number + 9_001),), Actor(actor, "u1"))
        record = fold(fold(EMPTY, placed, 3_000).record, lifted, 3_999).record
        records.append(encode_record(fold(record, replace(placed, event_id="", at=-1), 10_000).record))
    assert blake2b(b"".join(records), digest_size=8).hexdigest() == PINNED[codec.FORMAT]


def test_the_rules_digest_changes_with_the_table_and_with_the_libraries_of_the_keys(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    before = rules_digest()
    assert rules_digest() == before
    freer = CauseRule(CAUSES[Cause.COMPLAINT].scopes, Kind.PERMANENT, frozenset({ActorKind.USER}))
    with monkeypatch.context() as patch:
        patch.setattr(codec, "CAUSES", {**CAUSES, Cause.COMPLAINT: freer})
        assert rules_digest() != before
    monkeypatch.setattr(codec, "version", lambda library: "0.0.0")
    assert rules_digest() != before
