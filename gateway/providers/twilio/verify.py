"""Whether a call is Twilio's: its signature, checked against the bytes as they came in.

Theory of operation (twilio.com/docs/usage/webhooks/webhooks-security). Twilio signs, with the account's auth token, the
URL as it knows it, and behind it every form field: names in order, each name followed by each of its different values
in order. A body that is no form is not in the signed text: its SHA-256 is in the URL, as `bodySHA256`.

* Behind a proxy only the operator knows that URL, so it is made from the configured public base and the request's raw
  path and query. The Host header is somebody's claim and is not looked at.
* Twilio drops the port before it signs for some of its products and adds it for others. Its own SDK accepts both ways
  of writing the URL, and so do we. User and password are dropped by Twilio before it signs.
* The text has no separators, so a form must be read strictly: what is no `name=value` is not repaired, but refused.
* While a token is changed two are valid. Each token and each way of writing the URL is tried until one fits, compared
  in constant time. How long that takes tells somebody who can sign which one it was, and nobody else anything.

Only what was verified comes out: `Call` holds the fields of the signed body and of the signed query.
"""

from __future__ import annotations

import hmac
import re
from base64 import b64encode
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from hashlib import sha256
from itertools import chain
from urllib.parse import unquote_to_bytes, urlsplit

import msgspec

from gateway.providers.signals import BadSignature

MOST_FIELDS = 200
"""Form fields of one call. An inbound message has about 30, and two more for each of at most ten media."""

_FORM = "application/x-www-form-urlencoded"
_BODY_HASH = "bodySHA256"

_DEFAULT_PORTS = {"https": 443, "http": 80}
_PORT = re.compile(r":[0-9]*\Z")

_KEPT_BASES = 1_024
"""Public URLs kept taken apart: one for each location's account, most locations share one."""

Pairs = Sequence[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class Call:
    """What Twilio signed. Of a repeated field the first value; our parsers read no field that Twilio repeats."""

    form: Mapping[str, str]
    query: Mapping[str, str]


def verify(
    public_url: str,
    path_and_query: str,
    body: bytes,
    content_type: str,
    signature_header: str | None,
    auth_tokens: Collection[str],
) -> Call:
    """What the call says, if it is signed with one of the tokens. Raises `BadSignature`.

    `public_url`: the base that Twilio was told, with its path prefix if it has one. `path_and_query`: as in the request
    line, not decoded and encoded again (aiohttp: `request.raw_path`). `signature_header`: `X-Twilio-Signature`.
    A fragment with connection overrides (`#rc=3`) never reaches us and is not part of `public_url`.
    """
    tokens = [token for token in auth_tokens if token]  # anybody can sign with an empty one
    if not tokens:
        raise BadSignature("no auth token is configured for this account")
    if not signature_header:
        raise BadSignature("no X-Twilio-Signature header")
    query = _query(path_and_query)
    is_form = content_type.partition(";")[0].strip().lower() == _FORM or not (body or _BODY_HASH in query)
    signed = _form(body) if is_form else ()
    if not is_form:
        _check_body_hash(body, query)
    fields = f"{path_and_query}{_signed_fields(signed)}"
    texts = (_encoded(base + fields) for base in base_urls(public_url))
    if not _signed_with_any(texts, _encoded(signature_header.strip()), tokens):
        raise BadSignature("the signature does not match: wrong auth token or public_url, or the call was changed")
    return Call(_first_values(signed if is_form else _json_fields(body)), query)


@lru_cache(maxsize=_KEPT_BASES)
def base_urls(public_url: str) -> tuple[str, str]:
    """The base without and with a port, both without user and password. Raises `ValueError` for no such URL."""
    url = urlsplit(public_url)
    host = url.netloc.rpartition("@")[2]
    bare = _PORT.sub("", host)
    if url.scheme not in _DEFAULT_PORTS or not bare or "?" in public_url or "#" in public_url:
        raise ValueError("expected a base URL like https://gateway.example.com, without query or fragment")
    port = url.port or _DEFAULT_PORTS[url.scheme]  # .port raises ValueError itself where it is no number
    path = url.path.rstrip("/")
    return f"{url.scheme}://{bare}{path}", f"{url.scheme}://{bare}:{port}{path}"


def _query(path_and_query: str) -> Mapping[str, str]:
    """The query's fields, leniently: it is signed as it is written, not as it is read."""
    query = path_and_query.partition("?")[2].encode(errors="replace").decode()  # no lone surrogates
    try:
        return _first_values(_pairs(query, strict=False))
    except ValueError:
        raise BadSignature(f"expected a query of at most {MOST_FIELDS} fields") from None


def _form(body: bytes) -> Pairs:
    if not body:
        return ()
    try:
        return _pairs(body.decode(), strict=True)
    except ValueError:  # also a UnicodeDecodeError
        raise BadSignature(f"expected a form of at most {MOST_FIELDS} fields name=value in UTF-8") from None


def _pairs(text: str, *, strict: bool) -> Pairs:
    """As `urllib.parse.parse_qsl` reads them, in half the time: most parts of a call need no decoding.

    Strict: ValueError for a field without `=`, and for what is not UTF-8. Else: no value, and U+FFFD.
    """
    fields = text.split("&")
    if len(fields) > MOST_FIELDS:
        raise ValueError(f"more than {MOST_FIELDS} fields")
    errors = "strict" if strict else "replace"
    pairs: list[tuple[str, str]] = []
    for field in fields:
        name, equals, value = field.partition("=")
        if strict and not equals:
            raise ValueError("a field without a value")
        if field:
            pairs.append((_unquoted(name, errors), _unquoted(value, errors)))
    return pairs


def _unquoted(text: str, errors: str) -> str:
    text = text.replace("+", " ")
    return unquote_to_bytes(text).decode(errors=errors) if "%" in text else text


def _signed_fields(pairs: Pairs) -> str:
    """Names in order, each followed by each of its different values in order: what the set of pairs is, sorted."""
    return "".join(chain.from_iterable(sorted(set(pairs))))


def _check_body_hash(body: bytes, query: Mapping[str, str]) -> None:
    claimed = query.get(_BODY_HASH)
    if claimed is None:
        raise BadSignature(f"a body that is no form, and no {_BODY_HASH} in the URL")
    if not hmac.compare_digest(_encoded(claimed.lower()), sha256(body).hexdigest().encode()):
        raise BadSignature(f"the body is not the one that {_BODY_HASH} was made of")


def _signed_with_any(texts: Iterable[bytes], signature: bytes, tokens: Collection[str]) -> bool:
    return any(
        hmac.compare_digest(b64encode(hmac.digest(token.encode(), text, "sha1")), signature)
        for text in texts
        for token in tokens
    )


def _json_fields(body: bytes) -> Pairs:
    """The top level of a JSON object, as far as it is text; nothing for any other body."""
    try:
        fields = msgspec.json.decode(body, type=dict[str, object])
    except (msgspec.DecodeError, RecursionError):
        return ()
    return [(name, value) for name, value in fields.items() if isinstance(value, str)]


def _first_values(pairs: Pairs) -> dict[str, str]:
    return dict(reversed(pairs))


def _encoded(text: str) -> bytes:
    """Bytes of any text, also of one with the surrogates that stand for bytes that are not UTF-8."""
    return text.encode(errors="surrogatepass")
