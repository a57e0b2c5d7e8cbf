"""Reading requests: every kind of bad value is refused with the field named, and nothing escapes by being skipped."""

import json
import re

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from gateway.contract.requests import (
    DECIDING,
    ID_LIMIT,
    SPELLINGS,
    VALUE_LIMIT_BYTES,
    Request,
    channel_of,
    read_request,
    readable_fields,
)
from gateway.dnd.model import Channel
from tests.contract.request_values import GOOD, LONG, fault, field_at_fault, nested, value, without

OF_THE_CONTRACT = (
    b'{"request_id":"r-1","location_id":"loc1","contact_id":"c1","channel":"SMS","to":"+14155552671",'
    b'"from":"+14155550100","body":"Hi","subject":null,"html":null,"attachments":[],"source":"workflow",'
    b'"workflow_id":"w1","user_id":null,"created_at":1763900000000,"not_after":1763986400000,"metadata":{}}'
)

TEXTS = ("from", "body", "subject", "html", "source", "workflow_id", "user_id")
IDS = ("request_id", "location_id", "contact_id")


def test_the_request_of_the_contract_is_read() -> None:
    request = read_request(OF_THE_CONTRACT)
    assert (request.request_id, request.location_id, request.contact_id) == ("r-1", "loc1", "c1")
    assert (request.to, request.from_, request.not_after) == ("+14155552671", "+14155550100", 1763986400000)
    assert channel_of(request) is Channel.SMS
    assert fault(OF_THE_CONTRACT) is None


@pytest.mark.parametrize("name", GOOD)
def test_a_required_field_that_is_missing_is_named(name: str) -> None:
    error = fault(without(name))
    assert error is not None
    assert (error.field, error.expected) == (name, "a value, it is required")


@pytest.mark.parametrize("name", GOOD)
def test_a_required_field_is_not_null(name: str) -> None:
    assert field_at_fault(value(**{name: None})) == name


WRONG_TYPES: dict[str, list[object]] = {
    **{name: [1, 1.5, True, [], {}] for name in (*IDS, "channel")},
    "to": [1, True, {}],
    **{name: [1, True, {}] for name in ("cc", "bcc")},
    **{name: ["soon", 1.0, 1e3, True, [], {}, -1] for name in ("not_after", "created_at")},
    **{name: [1, True, [], {}] for name in TEXTS},
    "attachments": ["a", 1, {}],
    "metadata": ["a", 1, []],
}


@pytest.mark.parametrize(
    ("name", "wrong"),
    [(name, wrong) for name, values in WRONG_TYPES.items() for wrong in values],
    ids=lambda case: repr(case),
)
def test_a_field_of_a_wrong_type_is_named(name: str, wrong: object) -> None:
    assert field_at_fault(value(**{name: wrong})) == name


def test_every_field_has_cases_of_wrong_types() -> None:
    assert WRONG_TYPES.keys() == {field.encode_name for field in msgspec.structs.fields(Request)}


@pytest.mark.parametrize("name", sorted(WRONG_TYPES.keys() - GOOD.keys()))
def test_an_optional_field_may_be_null(name: str) -> None:
    assert fault(value(**{name: None})) is None


@pytest.mark.parametrize("name", IDS)
@pytest.mark.parametrize(
    ("text", "good"), [("", False), ("x", True), ("x" * ID_LIMIT, True), ("x" * (ID_LIMIT + 1), False)]
)
def test_ids_have_one_to_128_characters(name: str, text: str, good: bool) -> None:
    assert field_at_fault(value(**{name: text})) == (None if good else name)


def test_the_entry_of_a_list_that_is_wrong_is_named() -> None:
    assert field_at_fault(value(channel="Email", to=["a@example.com", 7])) == "to[1]"


GOOD_VALUES = {
    "white space around": b" \r\n\t" + value() + b"\n ",
    "unknown fields are kept": value(unknown={"a": [1, None, "x"]}),
    "a NUL as an escape": value(b',"body":"a\\u0000b"'),
    "a number no double holds": value(b',"metadata":{"a":1e999}'),
    "an integer of many digits": value(b',"metadata":{"a":' + b"9" * LONG + b"}"),
    "a time of 30 digits": value(b',"not_after":' + b"9" * 30),
    "names inside metadata": value(metadata={"to": 1, "channel": [{"to": 2}], "not_after": 3}),
    "a name twice inside metadata": value(b',"metadata":{"to":1,"to":2}'),
    "a name as a text": value(body='"to":"to"', subject='{"to": "x", "to": "y"}'),
    "an escaped name inside metadata": value(b',"metadata":{"t\\u006f":1}'),
    "escapes in a text": value(b',"body":"\\u0416 \\" :\\u0074o\\":"'),
    "not Latin": value(body="Жж 你好 😀", contact_id="Ж"),
    "raw UTF-8": json.dumps(GOOD | {"body": "Жж 你好 😀"}, ensure_ascii=False).encode(),
    "nested, but not much": value(b',"metadata":{"a":' + nested(200) + b"}"),
    "the largest value": value().ljust(VALUE_LIMIT_BYTES),
}


@pytest.mark.parametrize("given", GOOD_VALUES.values(), ids=GOOD_VALUES)
def test_what_is_unusual_but_right_is_read(given: bytes) -> None:
    assert fault(given) is None


BAD_VALUES = {
    "null": None,
    "nothing": b"",
    "only white space": b"  ",
    "a word": b"hello",
    "a number": b"1",
    "a text": b'"text"',
    "JSON null": b"null",
    "a list": b"[]",
    "a list around it": b"[" + value() + b"]",
    "cut short": value()[:-1],
    "more behind it": value() + b"x",
    "two of them": value() * 2,
    "a comma too many": value(b","),
    "single quotes": value().replace(b'"', b"'"),
    "a byte order mark": b"\xef\xbb\xbf" + value(),
    "UTF-16": value().decode().encode("utf-16"),
    "UTF-32": value().decode().encode("utf-32"),
    "NaN": value(b',"metadata":{"a":NaN}'),
    "Infinity": value(b',"metadata":{"a":-Infinity}'),
    "a leading zero": value(b',"metadata":{"a":01}'),
    "a raw NUL": value(b',"body":"a\x00b"'),
    "a raw NUL in what is skipped": value(b',"other":"a\x00b"'),
    "half a surrogate pair": value(b',"body":"\\ud800"'),
    "half a surrogate pair in what is skipped": value(b',"metadata":{"a":"\\udc00"}'),
    "an unknown escape": value(b',"metadata":{"a":"\\x41"}'),
    "invalid UTF-8": value(b',"body":"\xff"'),
    "invalid UTF-8 in metadata": value(b',"metadata":{"a":"\xc3("}'),
    "invalid UTF-8 in an unknown field": value(b',"other":["\xed\xa0\x80"]'),
    "invalid UTF-8 in an unknown name": value(b',"\xff":1'),
    "100,000 levels": value(b',"metadata":{"a":' + nested(LONG) + b"}"),
    "100,000 levels, not closed": b'{"a":' * LONG,
    "too large": value().ljust(VALUE_LIMIT_BYTES + 1),
    "2 MiB": value(body="x" * 2 * 1024 * 1024),
}


@pytest.mark.parametrize("given", BAD_VALUES.values(), ids=BAD_VALUES)
def test_what_is_no_json_object_in_utf_8_is_refused_as_a_whole(given: bytes | None) -> None:
    assert field_at_fault(given) == "value"


def test_an_empty_object_lacks_its_first_field() -> None:
    assert field_at_fault(b"{}") == "request_id"


def test_a_time_that_is_no_integer_any_more_is_refused() -> None:
    assert field_at_fault(value(b',"not_after":' + b"9" * LONG)) == "not_after"


@given(st.binary(max_size=60))
@example(b'{"to":"\\ud83d')
def test_no_bytes_raise_anything_else(given: bytes) -> None:
    fault(given)
    readable_fields(given)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | st.sampled_from(list(SPELLINGS)),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5) | st.sampled_from(DECIDING), inner),
    max_leaves=6,
)


@given(st.dictionaries(st.sampled_from([*GOOD, *WRONG_TYPES, "other"]), JSON, max_size=8), st.booleans())
def test_no_object_raises_anything_else_and_only_named_fields_are_at_fault(
    fields: dict[str, object], whole: bool
) -> None:
    given = json.dumps(GOOD | fields if whole else fields).encode()
    error = fault(given)
    readable_fields(given)
    if error is not None:
        assert re.split(r"[.\[]", error.field)[0] in {*WRONG_TYPES, "value"}
        assert error.expected


SPELT = {
    Channel.CALL: ["Call", "call", "CALL", "Voicemail", "voicemail", "VOICEMAIL", "Manual_Call", "manual_call"],
    Channel.EMAIL: ["Email", "email", "EMAIL", "eMail"],
    Channel.SMS: ["SMS", "sms", "Sms", "MMS", "mms", "RCS", "rcs"],
    Channel.WHATSAPP: ["WhatsApp", "whatsapp", "WHATSAPP"],
    Channel.GMB: ["GMB", "gmb", "Gmb"],
    Channel.FB: ["FB", "fb", "Facebook", "FACEBOOK", "Messenger", "messenger"],
}


@pytest.mark.parametrize(("channel", "spelt"), [(channel, spelt) for channel, all_ in SPELT.items() for spelt in all_])
def test_r1_channels_are_accepted_in_every_case_and_by_their_other_names(channel: Channel, spelt: str) -> None:
    assert channel_of(read_request(value(channel=spelt))) is channel


@pytest.mark.parametrize(
    "spelt", ["Instagram", "live_chat", "", " SMS", "SMS ", "S MS", "ALL", "all", "Calls", "Emails", "🙂"]
)
def test_r1_an_unknown_channel_is_refused_and_the_known_ones_named(spelt: str) -> None:
    error = fault(value(channel=spelt))
    assert error is not None
    assert (error.field, error.expected) == ("channel", "one of Call, Email, SMS, WhatsApp, GMB, FB")


def test_what_can_be_told_of_an_invalid_request_is_told() -> None:
    assert readable_fields(value(to=None)) == ("r-1", "loc1", "c1", "SMS")
    assert readable_fields(value(to=1, channel="Instagram")) == ("r-1", "loc1", "c1", "Instagram")
    assert readable_fields(value(request_id=7, location_id="x" * (ID_LIMIT + 1))) == (None, None, "c1", "SMS")
    assert readable_fields(b"{}") == (None, None, None, None)
    for bad in BAD_VALUES.values():
        assert len(readable_fields(bad)) == 4
