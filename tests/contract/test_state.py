"""The record of a subject as other stream consumers see it."""

import json

import msgspec
import pytest

from gateway.contract.state import SubjectState, decode_state, encode_state
from gateway.dnd.model import Actor, ActorKind, Cause, Lift, LiftTerm, Place, Scope, Subject, SubjectKind
from gateway.dnd.record import EMPTY, Record, fold

PHONE = Subject("loc1", SubjectKind.PHONE, "+14155552671")
AGENCY = Actor(ActorKind.AGENCY, "u1")
STOP = Place(
    "SM1", PHONE, (Scope.SMS,), (Cause.KEYWORD_OPT_OUT,), 1000, Actor(ActorKind.CONTACT, "+1"), {"text": "STOP"}
)
MANUAL = Place("m1", PHONE, (Scope.ALL,), (Cause.MANUAL,), 900, AGENCY)
CLEAR = Lift("l1", PHONE, (LiftTerm(Scope.ALL, Cause.MANUAL, 950), LiftTerm(Scope.SMS, Cause.MANUAL, 950)), AGENCY)


def record() -> Record:
    folded = EMPTY
    for event in (STOP, MANUAL, CLEAR):
        folded = fold(folded, event, 2000).record
    return folded


def test_holds_in_force_and_holds_that_ended_are_both_written() -> None:
    written = json.loads(encode_state(SubjectState(PHONE, record(), {1: 17, 0: 91})))
    assert written["v"] == 1
    assert written["subject"] == ["loc1", "phone", "+14155552671"]
    assert written["offsets"] == [[0, 91], [1, 17]]
    assert written["holds"] == [
        {
            "channel": "ALL",
            "cause": "manual",
            "placed_at": 900,
            "lifted_through": 950,
            "event_id": "m1",
            "actor": {"kind": "agency", "id": "u1"},
            "evidence": {},
        },
        {
            "channel": "SMS",
            "cause": "keyword_opt_out",
            "placed_at": 1000,
            "lifted_through": None,
            "event_id": "SM1",
            "actor": {"kind": "contact", "id": "+1"},
            "evidence": {"text": "STOP"},
        },
        {
            "channel": "SMS",
            "cause": "manual",
            "placed_at": None,
            "lifted_through": 950,
            "event_id": "",
            "actor": {"kind": None, "id": ""},
            "evidence": {},
        },
    ]


def test_what_is_read_back_holds_and_lifts_the_same() -> None:
    read = decode_state(encode_state(SubjectState(PHONE, record(), {3: 4})))
    assert (read.subject, read.offsets) == (PHONE, {3: 4})
    assert read.record.registers.keys() == record().registers.keys()
    for key, register in record().registers.items():
        again = read.record.registers[key]
        assert (again.placed, again.lifted.at) == (register.placed, register.lifted.at)


def test_a_newer_writer_may_add_fields() -> None:
    written = json.loads(encode_state(SubjectState(PHONE, record(), {})))
    written["more"] = written["holds"][0]["more"] = 1
    assert decode_state(json.dumps(written).encode()).record.registers.keys() == record().registers.keys()


def test_what_is_no_state_record_is_an_error() -> None:
    with pytest.raises(msgspec.DecodeError):
        decode_state(b'{"v":1}')
