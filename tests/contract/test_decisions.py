"""Decisions: their ids, their shape on the wire, and the stand-in for what cannot be written."""

import hashlib

import msgspec
import pytest

from gateway.contract.decisions import (
    STAND_IN_HEAD_BYTES,
    Decision,
    Outcome,
    decision_id_prefix,
    encode_decision,
    encode_state,
    hold_reasons,
    invalid_reason,
    offset_of,
    stand_in,
)
from gateway.contract.requests import InvalidRequestError
from gateway.dnd.decide import Reason
from gateway.dnd.model import Cause, Kind, Scope

OF_THE_CONTRACT = (
    b'{"decision_id":"outbound.requests-3-4711","request_id":"r-1","location_id":"loc1","contact_id":"c1",'
    b'"channel":"SMS","outcome":"dropped","reasons":[{"subject":"address","channel":"SMS","cause":"keyword_opt_out",'
    b'"kind":"permanent","since":1763899999000,"event_id":"SM123"}],"state":{"events":[[0,91],[1,17]]},'
    b'"decided_at":1763900000123}'
)


def decision(**changes: object) -> Decision:
    reason = Reason("address", Scope.SMS, Cause.KEYWORD_OPT_OUT, Kind.PERMANENT, 1763899999000, "SM123")
    found = Decision(
        decision_id_prefix("outbound.requests", 3) + "4711",
        "r-1",
        "loc1",
        "c1",
        "SMS",
        Outcome.DROPPED,
        hold_reasons([reason]),
        encode_state([91, 17]),
        1763900000123,
    )
    return msgspec.structs.replace(found, **changes)


def test_a_decision_is_written_as_in_the_contract() -> None:
    assert encode_decision(decision()) == OF_THE_CONTRACT


def test_the_addresses_taken_out_are_listed_only_where_there_are_any() -> None:
    written = msgspec.json.decode(encode_decision(decision(removed=["a@example.com"])))
    assert written["removed"] == ["a@example.com"]
    assert "removed" not in msgspec.json.decode(OF_THE_CONTRACT)


def test_what_could_not_be_read_is_null_and_the_field_is_named() -> None:
    error = InvalidRequestError("to[1]", "a phone number")
    refused = decision(request_id=None, channel=None, outcome=Outcome.INVALID, reasons=[invalid_reason(error)])
    written = msgspec.json.decode(encode_decision(refused))
    assert (written["request_id"], written["channel"], written["contact_id"]) == (None, None, "c1")
    assert written["reasons"] == [{"field": "to[1]", "expected": "a phone number"}]


def test_the_outcomes_are_those_of_the_contract_in_their_order() -> None:
    assert list(Outcome) == ["invalid", "expired", "dropped", "unavailable", "forwarded"]


@pytest.mark.parametrize("topic", ["outbound.requests", "eu-1.outbound.requests", "a-1-2"])
def test_the_offset_is_read_back_from_the_id_whatever_the_topic_is_called(topic: str) -> None:
    prefix = decision_id_prefix(topic, 12)
    assert offset_of(encode_decision(decision(decision_id=f"{prefix}987654321")), prefix) == 987654321


NO_DECISIONS = [
    b"",
    b"\xff",
    b'"\xff"',
    b"{}",
    b"[]",
    b'{"decision_id":7}',
    b'{"decision_id":""}',
    b'{"decision_id":"outbound.requests-3-"}',
    b'{"decision_id":"outbound.requests-3-x"}',
    b'{"decision_id":"outbound.requests-3--1"}',
    b'{"decision_id":"outbound.requests-33-1"}',
    b'{"decision_id":"other.requests-3-1"}',
    '{"decision_id":"outbound.requests-3-٣"}'.encode(),
]


@pytest.mark.parametrize("value", NO_DECISIONS)
def test_what_is_no_decision_of_this_partition_gives_no_offset(value: bytes) -> None:
    with pytest.raises(ValueError, match="not a decision"):
        offset_of(value, decision_id_prefix("outbound.requests", 3))


def test_a_stand_in_says_where_the_original_is_and_how_to_recognise_it() -> None:
    original = "Ж".encode() * STAND_IN_HEAD_BYTES
    written = msgspec.json.decode(stand_in(original, "outbound.requests", 3, 4711))
    assert written == {
        "head": "Ж" * (STAND_IN_HEAD_BYTES // 2),
        "length": len(original),
        "sha256": hashlib.sha256(original).hexdigest(),
        "source": ["outbound.requests", 3, 4711],
    }


@pytest.mark.parametrize("original", [None, b"", b"\xff" * 5_000, "€".encode() * 5_000])
def test_a_stand_in_is_small_and_can_be_written_whatever_the_original_is(original: bytes | None) -> None:
    assert len(stand_in(original, "outbound.requests", 3, 4711)) < 4 * STAND_IN_HEAD_BYTES
