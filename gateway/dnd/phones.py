"""Phone numbers: whatever people write -> one key per handset, in E.164.

Theory of operation. The library (`phonenumbers`) is the authority: the key is what it parses to, if that is a possible
number. Its answer for a whole campaign would cost more than everything else the guard does, and almost every number a
sender writes is E.164 already. So for each calling code one regular expression is made, once, from the library's
own public metadata, that accepts a number only when the library must leave it as it is:

* `parse` takes off a national prefix where `national_prefix_for_parsing` matches the digits after the calling code.
  The expression refuses every number on which that pattern can match anything at all;
* `is_possible_number` is a matter of length alone, and the lengths in `possible_length` are possible.

What it accepts is its own key. Everything else goes to the library, behind a bounded cache. The expression may only err
towards the library; a property test holds both against each other for every calling code.

Some handsets are reached under two numbers: in Mexico with or without a 1 after +52, in Argentina with or without a 9
after +54, in Brazil with or without the ninth digit of a mobile. They share one key (WhatsApp ids use the other form).
The key is for comparing: a message goes to the number as its sender wrote it.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

import phonenumbers

from gateway.dnd.model import BadAddress

REGIONS = frozenset(phonenumbers.SUPPORTED_REGIONS)
"""The words a location's `default_region` may be: ISO 3166-1 alpha-2, capital letters."""

_CACHED = 32_768
"""Spellings other than E.164 kept with their key, about 10 MB: more than a location's campaign has of them."""

_LONGEST_TEXT = 250
"""Characters; the library refuses longer text itself, we do so before it could fill the cache."""

_REWRITES = 4
"""Times a number may change while it is brought to a stable form: prefix off, variant, once more to see it stay."""

_EXPECTED = "a phone number with its country code (E.164, like +14155552671)"
_NATIONAL = " or a national number of the location's default_region"

_SCHEME = re.compile(r"\s*([A-Za-z][A-Za-z0-9.-]*):")
_BARE_DIGITS = re.compile(r"[0-9]{5,17}")

Match = Callable[[str], "re.Match[str] | None"]


def phone_key(text: str, default_region: str | None = None) -> str:
    """The key of the handset `text` reaches, in E.164. Raises `BadAddress`."""
    if _STABLE[text[:4]](text):
        return text
    return _other_spelling(text, default_region)


def whatsapp_id_key(digits: str) -> str:
    """The key of a `wa_id`, which is a number with its country code and without the plus. Raises `BadAddress`."""
    if not _BARE_DIGITS.fullmatch(digits):
        raise BadAddress("a WhatsApp id: the digits of a number with its country code")
    return phone_key(f"+{digits}")


def whatsapp_key(text: str, default_region: str | None) -> str:
    """The key of a WhatsApp recipient: bare digits may be a national number or a `wa_id`. Raises `BadAddress`.

    A reading that is a valid number, not only a possible one, wins; the national one when both or neither are.
    """
    if not _BARE_DIGITS.fullmatch(text):
        return phone_key(text, default_region)
    key = _better_reading(text, default_region)
    if key is None:
        raise BadAddress(_EXPECTED + _NATIONAL)
    return key


@lru_cache(maxsize=_CACHED)
def _better_reading(digits: str, default_region: str | None) -> str | None:
    readings = []
    for spelling in (digits, f"+{digits}"):
        key, possible = key_by_library(spelling, default_region)
        if possible and key not in readings:
            readings.append(key)
    if len(readings) < 2:
        return readings[0] if readings else None
    return max(readings, key=is_valid)  # of equals the first: the national one


def is_valid(key: str) -> bool:
    """Whether a key is a number that somebody can have, as far as the library knows the numbering plans."""
    return phonenumbers.is_valid_number(phonenumbers.parse(key))


def _other_spelling(text: str, default_region: str | None) -> str:
    code = text[:3]
    if code in _OTHER_FORMS and (found := _OTHER_LEFT_ALONE[code](text)):
        key = _OTHER_FORMS[code].key_of(found)
        if _STABLE[key[:4]](key):
            return key
    if len(text) > _LONGEST_TEXT:
        raise BadAddress(f"{_EXPECTED}, at most {_LONGEST_TEXT} characters")
    scheme = _SCHEME.match(text)
    if scheme and scheme[1].lower() != "tel":
        raise BadAddress(f"{_EXPECTED}, without the scheme of another channel")
    key, possible = _by_library_cached(text, default_region)
    if not possible:
        raise BadAddress(_EXPECTED if default_region is None else _EXPECTED + _NATIONAL)
    return key


def key_by_library(text: str, default_region: str | None = None) -> tuple[str, bool]:
    """The library's full way: the key, and whether it is a possible number. `("", False)` = it does not parse.

    Repeated until nothing changes: the library takes a national prefix off a number that it has itself written as
    E.164, and a key must be its own key, or a hold would be looked up where it was not put.
    """
    number = text
    for _ in range(_REWRITES):
        try:
            parsed = phonenumbers.parse(number, default_region)
        except phonenumbers.NumberParseException:
            return "", False
        e164 = phonenumbers.format_number(parsed, phonenumbers.PhoneNumberFormat.E164)
        key = _one_handset(e164)
        if key == number:
            return key, phonenumbers.is_possible_number(parsed)
        if key == e164 and not phonenumbers.is_possible_number(parsed):
            return key, False
        number = key
    return "", False


_by_library_cached = lru_cache(maxsize=_CACHED)(key_by_library)


def _one_handset(e164: str) -> str:
    code = e164[:3]
    found = _OTHER[code](e164) if code in _OTHER else None
    return _OTHER_FORMS[code].key_of(found) if found else e164


def _left_alone(calling_code: int) -> str:
    """Expression: `+`, the calling code, and nothing behind it that the library could take for a national prefix."""
    region = phonenumbers.region_code_for_country_code(calling_code)
    metadata = phonenumbers.PhoneMetadata.metadata_for_region_or_calling_code(calling_code, region)
    prefix = metadata.national_prefix_for_parsing if metadata else None
    # Where the prefix may match nothing, that is no match: the look-behind asks that it moved on from the code.
    return rf"\+{calling_code}" + (rf"(?!(?:{prefix})(?<!\+{calling_code}))" if prefix else "")


def _stable(calling_code: int) -> Match:
    """What of a calling code is its own key for certain."""
    region = phonenumbers.region_code_for_country_code(calling_code)
    metadata = phonenumbers.PhoneMetadata.metadata_for_region_or_calling_code(calling_code, region)
    general = metadata.general_desc if metadata else None
    if general is None:
        return _nothing
    lengths = (length for length in general.possible_length if length > 0)  # -1 is the library's "none"
    digits = "|".join(f"[0-9]{{{length}}}" for length in lengths)
    other_form = _OTHER_FORMS.get(f"+{calling_code}")
    unmapped = rf"(?!{other_form.digits}\Z)" if other_form else ""
    return re.compile(rf"{_left_alone(calling_code)}{unmapped}(?:{digits})").fullmatch


def _nothing(_: str) -> re.Match[str] | None:
    return None


class _StableByHead(dict[str, Match]):
    """`+` and three digits -> the expression of their calling code, made when first asked for: at most 900 entries."""

    def __missing__(self, head: str) -> Match:
        if not re.fullmatch(r"\+[1-9][0-9]{2}", head):
            return _nothing
        codes = (int(head[1:end]) for end in (2, 3, 4))
        code = next((code for code in codes if code in phonenumbers.COUNTRY_CODE_TO_REGION_CODE), None)
        self[head] = _nothing if code is None else _stable(code)
        return self[head]


@dataclass(frozen=True, slots=True)
class _OtherForm:
    """The form of a calling code's numbers that is no key: the digits behind the code, and how to write the key."""

    digits: str
    key_of: Callable[[re.Match[str]], str]


# The groups have names because a national prefix, which may stand before them in an expression, has groups of its own.
_OTHER_FORMS = {
    # Mexico dropped the 1 before mobiles in 2019, WhatsApp did not.
    "+52": _OtherForm("1(?P<ten>[0-9]{10})", lambda found: f"+52{found['ten']}"),
    # Argentina: the 9 marks a mobile that is called from abroad; the ten digits behind it are unique without it.
    "+54": _OtherForm("9(?P<ten>[0-9]{10})", lambda found: f"+54{found['ten']}"),
    # Brazil: mobiles began with 6 to 9 before the ninth digit, a 9, was put in front (2012-2016).
    "+55": _OtherForm("(?P<area>[1-9]{2})(?P<old>[6-9][0-9]{7})", lambda found: f"+55{found['area']}9{found['old']}"),
}

_STABLE = _StableByHead()
_OTHER = {code: re.compile(rf"\{code}{form.digits}").fullmatch for code, form in _OTHER_FORMS.items()}
_OTHER_LEFT_ALONE = {
    code: re.compile(_left_alone(int(code)) + form.digits).fullmatch for code, form in _OTHER_FORMS.items()
}
