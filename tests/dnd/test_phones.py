"""Phone keys: what the library says, whether it is asked or not."""

from __future__ import annotations

import phonenumbers
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from gateway.dnd import phones
from gateway.dnd.model import BadAddress
from gateway.dnd.phones import REGIONS, key_by_library, phone_key, whatsapp_id_key, whatsapp_key

CALLING_CODES = sorted(phonenumbers.COUNTRY_CODE_TO_REGION_CODE)

CAREFUL = [1, 7, 33, 39, 44, 49, 52, 54, 55, 61, 81, 261, 290, 375, 378, 423, 506, 672, 692, 800, 878, 979]
"""Shared codes, Italian zeros, prefixes that are rewritten, handsets with two numbers, no region at all."""

ANY_REGION = st.one_of(st.none(), st.sampled_from(sorted(REGIONS)))

MAY_ASK = 0.01
"""Share of example numbers for which the library may be asked: those that begin like their country's prefix."""


def key_or_none(text: str, region: str | None = None) -> str | None:
    try:
        return phone_key(text, region)
    except BadAddress:
        return None


def library_says(text: str, region: str | None = None) -> str | None:
    key, possible = key_by_library(text, region)
    return key if possible else None


def prefixes(calling_code: int) -> list[str]:
    """What people put before a national number: the prefix of each region of the code, and what looks like one."""
    plans = [
        phonenumbers.PhoneMetadata.metadata_for_region_or_calling_code(calling_code, region)
        for region in phonenumbers.region_codes_for_country_code(calling_code)
    ]
    found = {plan.national_prefix for plan in plans if plan and plan.national_prefix}
    return ["", "0", "00", "1", "8", "9", "90", "15", *sorted(found)]


def examples(calling_code: int) -> list[str]:
    """National numbers that exist, of every type and region of the code."""
    numbers = [phonenumbers.example_number_for_non_geo_entity(calling_code)]
    for region in phonenumbers.region_codes_for_country_code(calling_code):
        numbers += [phonenumbers.example_number_for_type(region, of_type) for of_type in range(11)]
    return sorted({phonenumbers.national_significant_number(number) for number in numbers if number})


@st.composite
def international(draw: st.DrawFn, codes: list[int]) -> str:
    """`+`, a calling code, perhaps a national prefix, and a number that exists, nearly does, or is anything."""
    code = draw(st.sampled_from(codes))
    prefix = draw(st.sampled_from(prefixes(code)))
    digits = st.text("0123456789", min_size=1, max_size=15)
    if known := examples(code):
        real = st.sampled_from(known)
        national = draw(st.one_of(real, digits, st.builds(lambda head, tail: head[:4] + tail, real, digits)))
    else:
        national = draw(digits)
    return f"+{code}{prefix}{national}"


@given(international(CALLING_CODES), ANY_REGION)
@settings(max_examples=1_000)
@example("+390236618300", "US")
@example("+39000000", None)
@example("+12530000", None)
@example("+4418002001234567", None)
def test_a_number_has_the_key_the_library_gives_it(number: str, region: str | None) -> None:
    assert key_or_none(number, region) == library_says(number, region)


@pytest.mark.parametrize("code", CAREFUL)
def test_a_number_of_a_strange_plan_has_the_key_the_library_gives_it(code: int) -> None:
    @given(international([code]))
    @settings(max_examples=100)
    def check(number: str) -> None:
        assert key_or_none(number) == library_says(number)

    check()


@pytest.mark.parametrize("code", CALLING_CODES)
def test_numbers_of_every_length_and_beginning_have_the_key_the_library_gives_them(code: int) -> None:
    for length in range(2, 16):
        for head in ["0", "1", "2", "5", "8", "9", "11", "13", "15", "16", "80", "90", "99"]:
            number = f"+{code}{head}{'2345678901234567'[: length - len(head)]}"
            assert key_or_none(number) == library_says(number), number


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The spellings for which the library is asked."""
    spellings: list[str] = []

    def counting(text: str, region: str | None) -> tuple[str, bool]:
        spellings.append(text)
        return key_by_library(text, region)

    monkeypatch.setattr(phones, "_by_library_cached", counting)
    return spellings


def test_numbers_that_exist_do_not_ask_the_library(asked: list[str]) -> None:
    """The hot path: else the tests above would compare the library with itself."""
    numbers = [f"+{code}{national}" for code in CALLING_CODES for national in examples(code)]
    assert {number: key_or_none(number) for number in numbers} == {number: library_says(number) for number in numbers}
    assert len(numbers) > 900
    assert len(asked) <= MAY_ASK * len(numbers), asked


def test_the_other_number_of_a_handset_does_not_ask_the_library(asked: list[str]) -> None:
    for other in ("+5215512345678", "+5491123456789", "+551187654321"):
        assert phone_key(other) == library_says(other) != other
    assert asked == []


@given(st.one_of(international(CALLING_CODES), st.text(max_size=30)), ANY_REGION)
@settings(max_examples=500)
@example("+4400000207031300", None)
@example("+5411115123456789", None)
@example("+" + "9" * 300, None)
def test_the_key_of_a_key_is_that_key(text: str, region: str | None) -> None:
    """Else a hold would be put under one key and looked up under another. Nothing but BadAddress may come out."""
    key = key_or_none(text, region)
    if key is not None:
        assert phone_key(key, None) == phone_key(key, region) == key


@given(international(CALLING_CODES))
@settings(max_examples=500)
def test_a_key_is_the_e164_of_the_number_where_a_handset_has_only_one(number: str) -> None:
    """The contract: parses and is possible -> E.164, else invalid; by the library alone, without our own code."""
    expected: str | None = None
    try:
        parsed = phonenumbers.parse(number)
        written = phonenumbers.format_number(parsed, phonenumbers.PhoneNumberFormat.E164)
        again = phonenumbers.format_number(phonenumbers.parse(written), phonenumbers.PhoneNumberFormat.E164)
    except phonenumbers.NumberParseException:
        written = again = ""
    else:
        expected = written if phonenumbers.is_possible_number(parsed) else None
    if written == again and written[:3] not in ("+52", "+54", "+55"):
        assert key_or_none(number) == expected


@pytest.mark.parametrize(
    ("spellings", "key"),
    [
        (["+52 55 1234 5678", "+5215512345678", "+525512345678", "+52 1 55 1234 5678"], "+525512345678"),
        (["+54 11 2345 6789", "+5491123456789", "+54 9 11 2345-6789", "+54 11 15 2345 6789"], "+541123456789"),
        (["+55 11 98765 4321", "+5511987654321", "+551187654321", "+55 11 8765 4321"], "+5511987654321"),
    ],
)
def test_numbers_that_reach_one_handset_share_one_key(spellings: list[str], key: str) -> None:
    """Mexico, Argentina, Brazil; also as WhatsApp ids."""
    assert {phone_key(spelling) for spelling in spellings} == {key}
    assert {whatsapp_id_key(phone_key(spelling)[1:]) for spelling in spellings} == {key}


@pytest.mark.parametrize("number", ["+551133334444", "+551121234567", "+541143211234", "+528112345678"])
def test_a_fixed_line_keeps_its_number(number: str) -> None:
    assert phone_key(number) == number


@pytest.mark.parametrize(
    ("text", "region", "key"),
    [
        ("4155552671", "US", "+14155552671"),
        ("14155552671", "US", "+14155552671"),
        ("(415) 555-2671", "US", "+14155552671"),
        ("+44 (0)20 7031 3000", "US", "+442070313000"),
        ("+1 415 555 2671 ext 5", None, "+14155552671"),
        ("tel:+1-415-555-2671", None, "+14155552671"),
        ("1-800-FLOWERS", "US", "+18003569377"),
        ("\uff0b\uff11\uff14\uff11\uff15\uff15\uff15\uff15\uff12\uff16\uff17\uff11", None, "+14155552671"),
        ("\u200b+1415\u200b5552671", None, "+14155552671"),
        ("+14155552671\n", None, "+14155552671"),
        ("+1415555267\u0661", None, "+14155552671"),
        ("06 6982 1234", "IT", "+390669821234"),
        ("011 15 2345 6789", "AR", "+541123456789"),
        ("0044 20 7031 3000", "DE", "+442070313000"),
    ],
)
def test_people_write_numbers_in_many_ways(text: str, region: str | None, key: str) -> None:
    assert phone_key(text, region) == key


@pytest.mark.parametrize(
    ("text", "region"),
    [
        ("4155552671", None),
        ("4155552671", "XX"),
        ("32665", "US"),
        ("STOP", "US"),
        ("", "US"),
        ("+", None),
        ("+999123456789", None),
        ("+1415555267100000", None),
        ("+44002070313000", None),  # too long, and stays so when the library takes a 0 off
        ("1" * 251, "US"),
        ("whatsapp:+14155552671", "US"),
        ("messenger:14155552671", "US"),
    ],
)
def test_what_is_no_possible_number_is_refused_with_what_was_expected(text: str, region: str | None) -> None:
    with pytest.raises(BadAddress, match="a phone number with its country code"):
        phone_key(text, region)


@pytest.mark.parametrize(
    ("digits", "region", "key"),
    [
        ("14155552671", None, "+14155552671"),
        ("4155552671", "US", "+14155552671"),
        ("4915112345678", "US", "+4915112345678"),
        ("6591234567", "US", "+6591234567"),  # a wa_id of Singapore; as a number of the US it could exist nowhere
        ("5215512345678", "US", "+525512345678"),
    ],
)
def test_bare_digits_of_whatsapp_are_read_as_the_number_that_can_exist(
    digits: str, region: str | None, key: str
) -> None:
    assert whatsapp_key(digits, region) == key


@pytest.mark.parametrize(
    "digits", ["", "+14155552671", "1234", "999999999999", "14155552671 ", "\u0661\u0662\u0663\u0664\u0665"]
)
def test_what_is_no_whatsapp_id_is_refused(digits: str) -> None:
    with pytest.raises(BadAddress):
        whatsapp_id_key(digits)
