"""Email to several: who is taken out, when nobody is left, and that everything else stays as it was."""

import json
from typing import Any

import pytest

from gateway.contract.requests import RECIPIENTS_LIMIT
from gateway.dnd.model import Cause, Channel, Scope, Subject
from gateway.dnd.record import Record
from tests.guard.batches import CONTACT, EMAIL, PHONE, Decided, decide, email, held, mailbox, outcome, value

A, B, C, D = "a@example.com", "b@example.com", "c@example.com", "d@example.com"


def blocked(*addresses: str) -> dict[Subject, Record]:
    return {mailbox(address): held(Scope.EMAIL, Cause.BOUNCE) for address in addresses}


def sent(decided: Decided) -> dict[str, Any]:
    (forwarded,) = decided.forwarded
    found: dict[str, Any] = json.loads(forwarded.value or b"")
    return found


def test_with_nobody_held_the_original_bytes_are_forwarded() -> None:
    original = email(to=[A, B], cc=[C], bcc=D) + b" "
    decided = decide([original], blocked("other@example.com"))
    assert decided.forwarded[0].value == original
    assert "removed" not in decided.decisions[0]


CASES: dict[str, tuple[dict[str, object], set[str], dict[str, object] | None]] = {
    "one of to": ({"to": [A, B, C]}, {B}, {"to": [A, C]}),
    "one of cc": ({"to": [A], "cc": [B, C]}, {C}, {"to": [A], "cc": [B]}),
    "all of cc": ({"to": [A], "cc": [B, C]}, {B, C}, {"to": [A], "cc": []}),
    "cc as a text": ({"to": [A], "cc": B}, {B}, {"to": [A], "cc": None}),
    "all of bcc": ({"to": A, "bcc": [B]}, {B}, {"to": A, "bcc": []}),
    "some everywhere": ({"to": [A, B], "cc": [C], "bcc": D}, {B, C, D}, {"to": [A], "cc": [], "bcc": None}),
    "a repeated address": ({"to": [A, B, A], "cc": [A]}, {A}, {"to": [B], "cc": []}),
    "nobody left in to": ({"to": [A, B], "cc": [C]}, {A, B}, None),
    "the only one in to": ({"to": A, "cc": [C]}, {A}, None),
    "a list of one": ({"to": [A]}, {A}, None),
}


@pytest.mark.parametrize(("fields", "on_hold", "left"), CASES.values(), ids=CASES)
def test_held_addresses_are_taken_out_and_nobody_left_in_to_drops_it(
    fields: dict[str, object], on_hold: set[str], left: dict[str, object] | None
) -> None:
    decided = decide([email(**fields)], blocked(*on_hold))
    (decision,) = decided.decisions
    if left is None:
        assert (decision["outcome"], decided.forwarded) == ("dropped", [])
        assert {reason["subject"] for reason in decision["reasons"]} == {"address"}
        return
    assert sent(decided) == EMAIL | left
    assert (decision["outcome"], decision["reasons"]) == ("forwarded", [])
    asked: list[str] = []
    for name in ("to", "cc", "bcc"):
        given = fields.get(name, [])
        asked += given if isinstance(given, list) else [str(given)]
    assert decision["removed"] == [address for address in asked if address in on_hold]


def test_a_held_contact_drops_all_of_it() -> None:
    decision = outcome(email(to=[A, B]), {CONTACT: held(Scope.ALL)} | blocked(B))
    assert decision["outcome"] == "dropped"
    assert {reason["subject"] for reason in decision["reasons"]} == {"contact", "address"}
    assert "removed" not in decision


def test_a_reason_that_several_addresses_have_is_named_once() -> None:
    assert len(outcome(email(to=[A, B]), blocked(A, B))["reasons"]) == 1


def test_the_other_fields_keep_their_values_and_their_order() -> None:
    original = (
        b'{ "zebra": 1.10, "to": [ "a@example.com" , "b@example.com" ], "metadata" : {"to": ["b@example.com"], "n":'
        b' 12345678901234567890123, "f":1e400}, "request_id":"r-1","cc" : null,"location_id":"loc1",'
        b'"contact_id":"c1","channel":"email","html":"\\u0416 \\/ \\u2028", "apple":[] , "subject" : "\xd0\x96" }'
    )
    decided = decide([original], blocked(B))
    (forwarded,) = decided.forwarded
    assert forwarded.value == (
        b'{"zebra":1.10,"to":["a@example.com"],"metadata":{"to": ["b@example.com"], "n":'
        b' 12345678901234567890123, "f":1e400},"request_id":"r-1","cc":null,"location_id":"loc1",'
        b'"contact_id":"c1","channel":"email","html":"\\u0416 \\/ \\u2028","apple":[],"subject":"\xd0\x96"}'
    )


def test_those_who_stay_keep_the_spelling_of_the_sender() -> None:
    decided = decide([email(to=["A@Example.COM", B, "Ж@example.com"])], blocked(B))
    assert sent(decided)["to"] == ["A@Example.COM", "Ж@example.com"]


def test_a_removed_address_is_listed_as_the_sender_spelt_it() -> None:
    assert outcome(email(to=[A, "B@EXAMPLE.com"]), blocked(B))["removed"] == ["B@EXAMPLE.com"]


BAD: dict[str, tuple[dict[str, object], str]] = {
    "nobody": ({"to": []}, "to"),
    "nobody but cc": ({"to": [], "cc": [A]}, "to"),
    "a bad one in to": ({"to": [A, "nobody"]}, "to[1]"),
    "a bad one in cc": ({"to": [A], "cc": ["nobody"]}, "cc[0]"),
    "bcc as a bad text": ({"to": [A], "bcc": "nobody"}, "bcc"),
    "to as a bad text beside cc": ({"to": "nobody", "cc": [A]}, "to"),
    "a number in the list": ({"to": [A, 7]}, "to[1]"),
    "null in the list": ({"to": [None]}, "to[0]"),
    "a list in the list": ({"to": [[A]]}, "to[0]"),
    "one too many": ({"to": [f"a{n}@example.com" for n in range(RECIPIENTS_LIMIT + 1)]}, "to"),
    "one too many with cc": ({"to": [A] * RECIPIENTS_LIMIT, "cc": B}, "cc"),
}


@pytest.mark.parametrize(("fields", "at_fault"), BAD.values(), ids=BAD)
def test_what_is_wrong_with_the_recipients_is_named(fields: dict[str, object], at_fault: str) -> None:
    decision = outcome(email(**fields))
    assert (decision["outcome"], decision["reasons"][0]["field"]) == ("invalid", at_fault)


def test_a_thousand_recipients_are_taken() -> None:
    to = [f"a{number}@example.com" for number in range(RECIPIENTS_LIMIT)]
    decided = decide([email(to=to)], blocked(*to[1:]))
    assert sent(decided)["to"] == [to[0]]
    assert decided.decisions[0]["removed"] == to[1:]


def test_requests_of_all_kinds_in_one_batch_do_not_get_each_others_holds() -> None:
    """The subjects of a batch are looked up together."""
    holds = blocked(B) | {PHONE: held(Scope.SMS)}
    decided = decide(
        [
            email(to=[A, B, C]),
            value(),
            b"{}",
            email(to=B),
            value(to="+14155552672"),
            email(to=[B], cc=[A]),
            email(to=A),
        ],
        holds,
    )
    assert [decision["outcome"] for decision in decided.decisions] == [
        "forwarded",
        "dropped",
        "invalid",
        "dropped",
        "forwarded",
        "dropped",
        "forwarded",
    ]


@pytest.mark.parametrize("channel", [Channel.SMS, Channel.FB])
def test_cc_means_nothing_to_other_channels(channel: Channel) -> None:
    original = value(channel=channel, cc=["nobody"], bcc="nobody")
    assert decide([original]).forwarded[0].value == original
