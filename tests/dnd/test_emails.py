"""E-mail keys: what the library says, whether it is asked or not."""

from __future__ import annotations

import pytest
from email_validator import validate_email
from hypothesis import example, given, settings
from hypothesis import strategies as st

from gateway.dnd import emails
from gateway.dnd.emails import casefolded, email_key, key_by_library
from gateway.dnd.model import BadAddress

ATEXT = "abcxyz0189!#$%&'*+/=?^_`{|}~-."

LOCALS = st.one_of(
    st.text(ATEXT, min_size=0, max_size=12),
    st.text(ATEXT + 'AZ "@\\<>()é\u0301ßİ', max_size=12),
    st.sampled_from(["alice", "Alice", "POSTMASTER", "a" * 64, "a" * 65, "a" * 240, "a..b", ".a", "a."]),
)
ODD_DOMAINS = """
example.com EXAMPLE.com mail.example.co.uk bücher.de xn--bcher-kva.de xn--zzzz.de localhost a.test 1.2.3.4 [1.2.3.4]
straße.de ex\uff0eample\uff0ecom -a.com a-.com a_b.com a..com ab--cd.com .com com a.c a.1
"""

DOMAINS = st.one_of(
    st.sampled_from([*ODD_DOMAINS.split(), "x" * 63 + ".com", "x" * 64 + ".com", ("x" * 60 + ".") * 4 + "com"]),
    st.text("abz019-.", max_size=20),
    st.builds("{}.com".format, st.text("abzAZ019-éß", max_size=12)),
)
LONGER_IN_UNICODE = ("\u4e2d" * 50 + ".com").encode("idna").decode()
"""60 characters, but 154 bytes as Unicode: the library counts both."""

ADDRESSES = st.builds("{}{}{}".format, LOCALS, st.sampled_from(["@", "@", "@", "", "@@"]), DOMAINS)


def key_or_none(text: str) -> str | None:
    try:
        return email_key(text)
    except BadAddress:
        return None


@given(ADDRESSES)
@settings(max_examples=1_500)
@example("a" * 243 + "@example.com")
@example("a" * 242 + "@example.com")
@example("a" * 150 + "@" + LONGER_IN_UNICODE)
def test_an_address_has_the_key_the_library_gives_it(address: str) -> None:
    assert key_or_none(address) == key_by_library(address.strip())


@given(st.one_of(ADDRESSES, st.text(max_size=30), st.builds("{}@example.com".format, st.text(max_size=10))))
@settings(max_examples=1_000)
@example("\u1fb3" * 80 + "@example.com")  # 252 bytes, longer when folded
@example("\ud800@example.com")
def test_the_key_of_a_key_is_that_key(text: str) -> None:
    """Else a hold would be put under one key and looked up under another. Nothing but BadAddress may come out."""
    key = key_or_none(text)
    if key is not None:
        assert email_key(key) == key


@given(st.text(max_size=8))
@settings(max_examples=500)
@example("\u1fb3\u0345")
def test_folding_twice_changes_nothing(text: str) -> None:
    assert casefolded(casefolded(text)) == casefolded(text) == casefolded(text.upper().lower().casefold())


def test_plain_addresses_ask_the_library_once_for_each_domain(monkeypatch: pytest.MonkeyPatch) -> None:
    """The hot path: else the test above would compare the library with itself."""
    asked: list[str] = []

    def counting(address: str, *, check_deliverability: bool) -> object:
        asked.append(address)
        return validate_email(address, check_deliverability=check_deliverability)

    monkeypatch.setattr(emails, "validate_email", counting)
    addresses = [f"someone.{number}+news@mail.counted.example.com" for number in range(100)]
    assert [email_key(address) for address in addresses] == addresses
    assert asked == ["a@mail.counted.example.com"]


@pytest.mark.parametrize(
    ("spellings", "key"),
    [
        (["alice@example.com", "Alice@Example.COM", " ALICE@example.com\n"], "alice@example.com"),
        (["postmaster@example.com", "POSTMASTER@EXAMPLE.COM"], "postmaster@example.com"),
        (["a@bücher.de", "A@BÜCHER.DE", "a@xn--bcher-kva.de", "a@bu\u0308cher.de"], "a@xn--bcher-kva.de"),
        (["jos\u00e9@example.com", "jose\u0301@example.com", "JOS\u00c9@example.com"], "jos\u00e9@example.com"),
        (["\u01f0@example.com", "j\u030c@example.com", "J\u030c@example.com"], "\u01f0@example.com"),
        (["a@example\uff0ecom"], "a@example.com"),
    ],
)
def test_spellings_of_one_mailbox_share_one_key(spellings: list[str], key: str) -> None:
    """NFC, whole address casefolded, domain as IDNA ASCII."""
    assert {email_key(spelling) for spelling in spellings} == {key}


def test_an_error_of_idna_that_slips_through_the_library_is_a_refusal(monkeypatch: pytest.MonkeyPatch) -> None:
    def stumbling(address: str, *, check_deliverability: bool) -> object:
        raise UnicodeError(address)

    monkeypatch.setattr(emails, "validate_email", stumbling)
    with pytest.raises(BadAddress):
        email_key("Slips.Through@example.com")
    emails._by_library_cached.cache_clear()


def test_tags_and_dots_are_kept() -> None:
    assert len({email_key(f"{local}@gmail.com") for local in ("alice", "alice+news", "al.ice")}) == 3


NO_ADDRESSES = """
@ alice alice@ @example.com a@b@example.com a@localhost "ab"@example.com a@[127.0.0.1] a@example.test a@b.co,c@d.co
"""


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "Alice <a@example.com>",
        "a b@example.com",
        "a\0@example.com",
        "a" * 300 + "@b.co",
        *NO_ADDRESSES.split(),
    ],
)
def test_what_is_no_address_is_refused_with_what_was_expected(text: str) -> None:
    with pytest.raises(BadAddress, match="one e-mail address"):
        email_key(text)
