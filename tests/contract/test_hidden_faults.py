"""What a reader that decodes only what decides does not see: repeated names, and text that is not UTF-8."""

import json

import pytest

from gateway.contract.requests import (
    DECIDING,
    VALUE_LIMIT_BYTES,
    InvalidRequestError,
    hidden_faults,
    read_request,
)
from tests.contract.request_values import GOOD, LONG, fault, field_at_fault, nested, value, without


def twice(name: str, first: object, second: object, spelt: str | None = None) -> bytes:
    other = {key: entry for key, entry in GOOD.items() if key != name}
    return (
        json.dumps(other).encode()[:-1]
        + f',"{name}":{json.dumps(first)},"{spelt or name}":{json.dumps(second)}}}'.encode()
    )


SAMPLES = {name: GOOD.get(name, "a@example.com") for name in DECIDING} | {"not_after": 1763900000000}


@pytest.mark.parametrize("name", DECIDING)
def test_a_deciding_field_that_is_named_twice_is_refused(name: str) -> None:
    """Readers differ in which of the two they take: what we decided on may not be what is sent."""
    error = fault(twice(name, SAMPLES[name], SAMPLES[name]))
    assert error is not None
    assert (error.field, error.expected) == (name, "to be named once")


@pytest.mark.parametrize("name", DECIDING)
def test_a_name_spelt_with_escapes_is_the_same_name(name: str) -> None:
    for position, letter in enumerate(name):
        for escape in (f"\\u{ord(letter):04x}", f"\\u{ord(letter):04X}"):
            spelt = name[:position] + escape + name[position + 1 :]
            assert field_at_fault(twice(name, SAMPLES[name], SAMPLES[name], spelt)) == name, spelt
    whole = "".join(f"\\u{ord(letter):04x}" for letter in name)
    assert field_at_fault(twice(name, SAMPLES[name], SAMPLES[name], whole)) == name


HIDING_PLACES = {
    "behind an integer of many digits": b',"metadata":{"a":' + b"9" * LONG + b"}",
    "behind a number no double holds": b',"metadata":{"a":1e999999}',
    "behind an escaped text": b',"body":"' + b"\\u0416" * 1_000 + b'"',
    "behind 100 levels": b',"metadata":{"a":' + nested(100) + b"}",
}


@pytest.mark.parametrize("hiding", HIDING_PLACES.values(), ids=HIDING_PLACES)
def test_a_repeated_name_hides_behind_nothing(hiding: bytes) -> None:
    assert fault(value(b',"to":"+14155550000"' + hiding)) is not None
    assert fault(value(hiding + b',"to":"+14155550000"')) is not None


def test_a_repeated_name_hides_behind_no_nesting_that_one_reader_still_takes() -> None:
    for depth in range(900, 1_020):
        assert fault(value(b',"to":"+14155550000","metadata":{"a":' + nested(depth) + b"}")) is not None, depth


def faults(*values: bytes) -> dict[int, str]:
    """Of a batch, as the guard asks for them."""
    readable: list[bytes | None] = []
    dated = 0
    for each in values:
        try:
            dated += read_request(each).not_after is not None
            readable.append(each)
        except InvalidRequestError:
            readable.append(None)
    return {index: error.field for index, error in hidden_faults(readable, dated).items()}


@pytest.mark.parametrize("name", GOOD)
def test_a_neighbour_that_lacks_a_name_does_not_hide_one_that_has_it_twice(name: str) -> None:
    """The names of a batch are counted together."""
    assert faults(value(), without(name), twice(name, GOOD[name], GOOD[name])) == {2: name}


def test_a_neighbour_without_a_time_does_not_hide_one_that_has_two() -> None:
    assert faults(value(), value(b',"not_after":1,"not_after":2')) == {1: "not_after"}
    assert faults(value(not_after=1), value(), value(b',"not_after":1,"not_after":2')) == {2: "not_after"}
    assert faults(value(not_after=None), value(b',"not_after":1,"not_after":2')) == {1: "not_after"}


def test_a_fault_is_found_in_any_place_of_a_batch_and_only_there() -> None:
    batch = [value(), value(not_after=1), value(channel="Email", to="a@example.com", cc=["b@example.com"])] * 20
    assert faults(*batch) == {}
    for place in (0, 31, 59):
        bad = [*batch]
        bad[place] = twice("to", "+14155552671", "+14155550000")
        assert faults(*bad) == {place: "to"}
        bad[place] = value(b',"x":"\xff"')
        assert faults(*bad) == {place: "value"}


def test_a_batch_of_nothing_readable_has_no_hidden_faults() -> None:
    assert hidden_faults([None, None], 0) == hidden_faults([], 0) == {}


def test_a_long_text_in_escapes_costs_no_more_than_its_length() -> None:
    """Python's json writes all but ASCII in escapes; a search from each of them to the text's end took minutes."""
    long = value(body="Ж" * (VALUE_LIMIT_BYTES // 6 - 100))
    assert len(long) > VALUE_LIMIT_BYTES * 0.99
    assert faults(long, long) == {}
    assert field_at_fault(long[:-1] + b',"to":"x"}') == "to"
