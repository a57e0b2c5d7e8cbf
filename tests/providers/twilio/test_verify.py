"""Signatures of Twilio, against its own SDK as the independent signer and judge."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from urllib.parse import parse_qsl, urlencode

import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st
from multidict import MultiDict
from twilio.request_validator import RequestValidator  # type: ignore[import-untyped]  # ships no py.typed

from gateway.providers.signals import BadSignature
from gateway.providers.twilio.verify import MOST_FIELDS, Call, base_urls, verify
from tests.providers.twilio.calls import bodies, body

FORM = "application/x-www-form-urlencoded"
PUBLIC_URL = "https://gw.example.com"
PATH = "/webhooks/twilio/loc1/inbound"
TOKEN = "12345"  # noqa: S105 - of Twilio's documentation

Pairs = Sequence[tuple[str, str]]

SDK_URL = "https://mycompany.com/myapp.php?foo=1&bar=2"
SDK_FIELDS = {
    "CallSid": "CA1234567890ABCDE",
    "Caller": "+14158675309",
    "Digits": "1234",
    "From": "+14158675309",
    "To": "+18005551212",
}
SDK_REPEATED = [("Sid", "CA123"), ("SidAccount", "AC123"), ("Digits", "5678"), ("Digits", "1234"), ("Digits", "1234")]

TEXTS = st.text(st.characters(codec="utf-8"), max_size=12)
NAMES = st.text("ABCDEabcde019_", min_size=1, max_size=6)
FIELDS = st.lists(st.tuples(NAMES, TEXTS), max_size=8)
PREFIXES = st.sampled_from(["", "/", "/sendguard", "/a/b/"])
SCHEMES = st.sampled_from(["https", "http"])
PORTS = st.sampled_from(["", ":443", ":80", ":8443"])
QUERIES = st.lists(st.tuples(NAMES, TEXTS), max_size=3).map(lambda pairs: f"?{urlencode(pairs)}" if pairs else "")


def signed(url: str, fields: Pairs, token: str = TOKEN) -> str:
    signature: str = RequestValidator(token).compute_signature(url, MultiDict(fields))
    return signature


def check(
    wire: bytes,
    signature: str | None,
    *,
    public_url: str = PUBLIC_URL,
    path: str = PATH,
    content_type: str = FORM,
    tokens: Sequence[str] = (TOKEN,),
) -> Call:
    return verify(public_url, path, wire, content_type, signature, tokens)


def test_the_vectors_of_the_sdk() -> None:
    path, public_url = "/myapp.php?foo=1&bar=2", "https://mycompany.com"
    wire = urlencode(SDK_FIELDS).encode()
    call = check(wire, "RSOYDt4T1cUTdK1PDd93/VVr8B8=", public_url=public_url, path=path)
    assert call == Call(SDK_FIELDS, {"foo": "1", "bar": "2"})
    repeated = urlencode(SDK_REPEATED).encode()
    call = check(repeated, "IK+Dwps556ElfBT0I3Rgjkr1wJU=", public_url=public_url, path=path)
    assert call.form == {"Sid": "CA123", "SidAccount": "AC123", "Digits": "5678"}


JSON_BODY = b'{"property": "value", "boolean": true}'
JSON_HASH = "0a1ff7634d9ab3b95db5c9a2dfe9416e41502b283a80c7cf19632632f96e6620"
JSON_PATH = f"{PATH}?bodySHA256={JSON_HASH}"


def test_a_body_that_is_no_form_is_known_by_its_hash_in_the_url() -> None:
    signature = signed(PUBLIC_URL + JSON_PATH, [])
    assert RequestValidator(TOKEN).validate(PUBLIC_URL + JSON_PATH, JSON_BODY.decode(), signature)
    call = check(JSON_BODY, signature, path=JSON_PATH, content_type="application/json")
    assert call == Call({"property": "value"}, {"bodySHA256": JSON_HASH})


@pytest.mark.parametrize(
    ("wire", "path", "content_type", "reason"),
    [
        (JSON_BODY + b" ", JSON_PATH, "application/json", "not the one that bodySHA256 was made of"),
        (b"", JSON_PATH, "application/json", "not the one that bodySHA256 was made of"),
        (JSON_BODY, PATH, "application/json", "no bodySHA256 in the URL"),
        (JSON_BODY, PATH, "", "no bodySHA256 in the URL"),
        (JSON_BODY, f"{PATH}?bodySHA256=", "application/json", "not the one that bodySHA256 was made of"),
        (JSON_BODY, f"{PATH}?bodySHA256=\u00e9", "application/json", "not the one that bodySHA256 was made of"),
        (JSON_BODY, JSON_PATH, FORM, "expected a form"),
    ],
)
def test_a_body_without_its_hash_is_refused(wire: bytes, path: str, content_type: str, reason: str) -> None:
    with pytest.raises(BadSignature, match=reason):
        check(wire, signed(PUBLIC_URL + path, []), path=path, content_type=content_type)


def test_a_form_cannot_pass_for_json_whose_url_was_signed() -> None:
    """The signature of a JSON call covers the URL alone, so a form with fields must not live on it."""
    with pytest.raises(BadSignature):
        check(b"Body=START", signed(PUBLIC_URL + JSON_PATH, []), path=JSON_PATH)


@pytest.mark.parametrize("wire", [b"[1]", b"\xff", b"{", b'"text"', b'{"a":' * 5_000 + b"1" + b"}" * 5_000])
def test_a_signed_body_that_is_neither_form_nor_object_has_no_fields(wire: bytes) -> None:
    path = f"{PATH}?bodySHA256={hashlib.sha256(wire).hexdigest()}"
    call = check(wire, signed(PUBLIC_URL + path, []), path=path, content_type="application/json")
    assert call.form == {} or set(call.form) == {"a"}


@pytest.mark.parametrize("name", bodies())
def test_what_is_documented_is_accepted_as_it_stands_on_the_wire(name: str) -> None:
    fields = parse_qsl(body(name).decode(), keep_blank_values=True)
    assert check(body(name), signed(PUBLIC_URL + PATH, fields)).form == dict(fields)


@given(FIELDS, SCHEMES, PORTS, PREFIXES, QUERIES, st.booleans())
@example([("A", ""), ("A", "1"), ("A", "1")], "https", ":8443", "/a/b/", "?A=", True)
@settings(max_examples=200)
def test_what_the_sdk_signs_is_accepted(
    fields: Pairs, scheme: str, port: str, prefix: str, query: str, with_port: bool
) -> None:
    """Whether it was signed with the port (the default one, where there is none) or without."""
    public_url, path = f"{scheme}://gw.example.com{port}{prefix}", PATH + query
    shown = (port or {"https": ":443", "http": ":80"}[scheme]) if with_port else ""
    url = f"{scheme}://gw.example.com{shown}{prefix.rstrip('/')}{path}"
    signature = signed(url, fields)
    assert RequestValidator(TOKEN).validate(
        f"{scheme}://gw.example.com{port}{prefix.rstrip('/')}{path}", MultiDict(fields), signature
    )
    call = check(urlencode(fields).encode(), signature, public_url=public_url, path=path)
    assert call.form == dict(reversed(fields))


def fields_of(wire: bytes) -> set[tuple[str, str]] | None:
    try:
        return set(parse_qsl(wire.decode(), keep_blank_values=True, strict_parsing=True, errors="strict"))
    except ValueError:
        return None


@given(FIELDS.filter(bool), st.data())
@settings(max_examples=300)
def test_one_changed_byte_of_the_body_is_refused(fields: Pairs, data: st.DataObject) -> None:
    wire = urlencode(fields).encode()
    at = data.draw(st.integers(0, len(wire) - 1))
    changed = wire[:at] + bytes([data.draw(st.integers(0, 255))]) + wire[at + 1 :]
    assume(fields_of(changed) != set(fields))  # %2b for %2B says the same
    with pytest.raises(BadSignature):
        check(changed, signed(PUBLIC_URL + PATH, fields))


@given(FIELDS, QUERIES, st.data())
@settings(max_examples=200)
def test_one_changed_character_of_path_query_or_signature_is_refused(
    fields: Pairs, query: str, data: st.DataObject
) -> None:
    path, wire = PATH + query, urlencode(fields).encode()
    signature = signed(PUBLIC_URL + path, fields)
    in_path = data.draw(st.booleans())
    whole = path if in_path else signature
    at = data.draw(st.integers(0, len(whole) - 1))
    other = data.draw(st.characters().filter(lambda letter: letter != whole[at] and not letter.isspace()))
    changed = whole[:at] + other + whole[at + 1 :]
    with pytest.raises(BadSignature):
        check(wire, signature if in_path else changed, path=changed if in_path else path)


def test_another_host_scheme_or_prefix_than_the_configured_one_is_refused() -> None:
    for url in ("https://evil.example.com", "http://gw.example.com", "https://gw.example.com/sendguard"):
        with pytest.raises(BadSignature, match="wrong auth token or public_url"):
            check(b"Body=STOP", signed(url + PATH, [("Body", "STOP")]))


def test_either_token_is_accepted_while_they_are_exchanged() -> None:
    wire, fields = b"Body=STOP", [("Body", "STOP")]
    for token in ("old", "new"):
        assert check(wire, signed(PUBLIC_URL + PATH, fields, token), tokens=("old", "new")).form == {"Body": "STOP"}
    with pytest.raises(BadSignature, match="does not match"):
        check(wire, signed(PUBLIC_URL + PATH, fields, "third"), tokens=("old", "new"))


@pytest.mark.parametrize("tokens", [(), ("",), ("", "")])
def test_an_empty_token_is_no_token(tokens: tuple[str, ...]) -> None:
    """Anybody could sign with it."""
    with pytest.raises(BadSignature, match="no auth token"):
        check(b"Body=STOP", signed(PUBLIC_URL + PATH, [("Body", "STOP")], ""), tokens=tokens)
    with pytest.raises(BadSignature, match="does not match"):
        check(b"Body=STOP", signed(PUBLIC_URL + PATH, [("Body", "STOP")], ""), tokens=(*tokens, TOKEN))


@pytest.mark.parametrize(
    ("signature", "reason"),
    [
        (None, "no X-Twilio-Signature"),
        ("", "no X-Twilio-Signature"),
        (" ", "does not match"),
        ("\u00e9", "does not match"),
        ("\udcff", "does not match"),
        ("x" * 100_000, "does not match"),
    ],
)
def test_a_missing_or_odd_signature_is_refused(signature: str | None, reason: str) -> None:
    with pytest.raises(BadSignature, match=reason):
        check(b"Body=STOP", signature)


@pytest.mark.parametrize(
    "wire",
    [
        b"Body",
        b"Body=STOP&",
        b"&Body=STOP",
        b"A=1&&B=2",
        b"A=1&B",
        b"Body=%FF",
        b"Body=\xff",
        b"Body=%ED%A0%80",
        b"\x00",
    ],
)
def test_a_form_is_read_strictly(wire: bytes) -> None:
    """What is signed has no separators: what is no `name=value` in UTF-8 could be read in more than one way."""
    with pytest.raises(BadSignature, match="expected a form"):
        check(wire, signed(PUBLIC_URL + PATH, []))


WIRE = st.lists(
    st.sampled_from(["a", "B", "=", "&", "+", "%", "%41", "%2b", "%26", "%3D", "%C3%A9", "%C3", "%zz", "\u00e9"]),
    max_size=12,
).map("".join)


@given(WIRE)
@example("a=%C3%A9\u00e9%C3%A9&=")
@settings(max_examples=400)
def test_a_form_is_read_as_the_standard_library_reads_it(wire: str) -> None:
    try:
        fields = parse_qsl(wire, keep_blank_values=True, strict_parsing=True, errors="strict") if wire else []
    except ValueError:
        with pytest.raises(BadSignature, match="expected a form"):
            check(wire.encode(), signed(PUBLIC_URL + PATH, []))
    else:
        assert check(wire.encode(), signed(PUBLIC_URL + PATH, fields)).form == dict(reversed(fields))


@given(WIRE)
@example("%C3\u00e9%C3&a&&=b&a=c")
@settings(max_examples=400)
def test_a_query_is_read_as_the_standard_library_reads_it(query: str) -> None:
    path = f"{PATH}?{query}"
    found = check(b"", signed(PUBLIC_URL + path, []), path=path).query
    assert found == dict(reversed(parse_qsl(query, keep_blank_values=True)))


def test_a_name_does_not_run_over_into_its_value() -> None:
    """`a=b` and `a&b` have the same signed text."""
    signature = signed(PUBLIC_URL + PATH, [("Body", "STOP")])
    assert signature == signed(PUBLIC_URL + PATH, [("Body", ""), ("STOP", "")])
    with pytest.raises(BadSignature):
        check(b"Body&STOP", signature)


def test_a_form_has_a_limited_number_of_fields() -> None:
    most = [(f"F{number}", "") for number in range(MOST_FIELDS)]
    assert len(check(urlencode(most).encode(), signed(PUBLIC_URL + PATH, most)).form) == MOST_FIELDS
    with pytest.raises(BadSignature, match="at most 200 fields"):
        check(urlencode([*most, ("One", "more")]).encode(), signed(PUBLIC_URL + PATH, [*most, ("One", "more")]))
    path = f"{PATH}?{urlencode([*most, ('One', 'more')])}"
    with pytest.raises(BadSignature, match="at most 200 fields"):
        check(b"", signed(PUBLIC_URL + path, []), path=path)


def test_the_form_is_known_by_its_type_however_that_is_written() -> None:
    signature = signed(PUBLIC_URL + PATH, [("Body", "\u00bfS\u00ed? +1")])
    wire = b"Body=%C2%BFS%C3%AD%3F+%2B1"
    for content_type in (FORM, f"{FORM}; charset=UTF-8", f" {FORM.upper()} ;x=y"):
        assert check(wire, signature, content_type=content_type).form == {"Body": "\u00bfS\u00ed? +1"}


def test_no_body_is_a_form_without_fields() -> None:
    assert check(b"", signed(PUBLIC_URL + PATH, []), content_type="") == Call({}, {})


def test_user_and_password_are_dropped_before_signing_and_an_address_keeps_its_colons() -> None:
    assert base_urls("https://user:secret@gw.example.com/x/") == (
        "https://gw.example.com/x",
        "https://gw.example.com:443/x",
    )
    assert base_urls("http://[2001:db8::1]:8080") == ("http://[2001:db8::1]", "http://[2001:db8::1]:8080")
    assert base_urls("https://[2001:db8::1]") == ("https://[2001:db8::1]", "https://[2001:db8::1]:443")


@pytest.mark.parametrize(
    "url",
    [
        "",
        "gw.example.com",
        "ftp://gw.example.com",
        "https://",
        "https://gw.example.com:x",
        "https://x/?a",
        "https://x/#",
    ],
)
def test_a_public_url_that_is_none_is_a_mistake_of_ours(url: str) -> None:
    with pytest.raises(ValueError, match=r"expected a base URL|Port"):
        base_urls(url)


def test_no_reason_tells_a_secret() -> None:
    wire, path = b"Body=my-words", f"{PATH}?q=my-words"
    with pytest.raises(BadSignature) as refused:
        check(wire, "my-signature", path=path, tokens=["my-token"])
    assert "my-" not in str(refused.value)
