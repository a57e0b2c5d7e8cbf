"""Bad input of every kind: one dead letter with the original, one decision `invalid`, and the batch goes on."""

import pytest

from tests.contract.test_requests import BAD_VALUES
from tests.guard.batches import Line, decide, value

KEYS: dict[str, bytes | None] = {"no key": None, "an empty key": b"", "a binary key": b"\xff\x00\xfe"}

CASES: dict[str, tuple[bytes | None, str]] = {
    **{name: (given, "value") for name, given in BAD_VALUES.items()},
    "an empty object": (b"{}", "request_id"),
    "a field missing": (b'{"request_id":"r","location_id":"l","contact_id":"c","channel":"SMS"}', "to"),
    "a wrong type": (value(body=["Hi"]), "body"),
    "an unknown channel": (value(channel="Instagram"), "channel"),
    "a number nobody has": (value(to="12"), "to"),
    "a list of numbers": (value(to=["+14155552671"]), "to"),
    "a name twice": (value()[:-1] + b',"to":"+14155550000"}', "to"),
    "a name twice, in escapes": (value()[:-1] + b',"t\\u006f":"+14155550000"}', "to"),
}


@pytest.mark.parametrize(("given", "at_fault"), CASES.values(), ids=CASES)
def test_it_gets_a_dead_letter_and_a_decision_that_names_the_field(given: bytes | None, at_fault: str) -> None:
    headers = (("trace", b"\x00"),)
    decided = decide([Line(1, value()), Line(2, given, b"\xff", headers), Line(3, value())])
    (letter,) = decided.dead
    assert (letter.key, letter.value, letter.raw_headers[:1]) == (b"\xff", given, list(headers))
    assert letter.headers["sg-reason-field"].decode() == at_fault
    before, refused, after = decided.decisions
    assert (before["outcome"], after["outcome"]) == ("forwarded", "forwarded")
    assert (refused["outcome"], refused["reasons"][0]["field"]) == ("invalid", at_fault)
    assert refused["decision_id"] == "outbound.requests-3-2"


@pytest.mark.parametrize("key", KEYS.values(), ids=KEYS)
def test_any_key_is_accepted(key: bytes | None) -> None:
    decided = decide([Line(1, value(), key), Line(2, b"", key)])
    assert [decision["outcome"] for decision in decided.decisions] == ["forwarded", "invalid"]
    assert {each.key for each in decided.written} == {key}


def test_all_of_them_in_one_batch_get_one_decision_each() -> None:
    batch = [given for given, _ in CASES.values()]
    decided = decide([*batch, value(), *batch])
    assert [decision["outcome"] for decision in decided.decisions] == [
        *["invalid"] * len(batch),
        "forwarded",
        *["invalid"] * len(batch),
    ]
