"""The kinds of values in the accounts file."""

from __future__ import annotations

import hashlib
import ipaddress
import re
from enum import StrEnum
from secrets import token_hex
from typing import TypeVar
from urllib.parse import SplitResult, urlsplit

from phonenumbers import SUPPORTED_REGIONS

from gateway.accounts.forms import At, Form, simple
from gateway.accounts.references import BadReference
from gateway.contract.requests import ID_LIMIT
from gateway.settings import Secret

URL_LIMIT = 2_048
"""Characters; what servers and proxies take for certain."""

_NO_KEY = hashlib.sha256(b"").digest()
_PRINTABLE = re.compile(r"[!-~]+").fullmatch
_DOMAIN_LIMIT = 253
"""Characters, RFC 1035."""

Word = TypeVar("Word", bound=StrEnum)


def matching(words: str, pattern: str) -> Form[str]:
    """Text of which all matches."""
    whole = re.compile(pattern).fullmatch
    return simple(words, lambda value: value if isinstance(value, str) and whole(value) else None)


def number(least: float, most: float) -> Form[float]:
    """Fractions too. TOML's nan and inf are in no range."""

    def parse(value: object) -> float | None:
        if isinstance(value, bool) or not isinstance(value, int | float) or not least <= value <= most:
            return None
        return float(value)

    return simple(f"a number from {least:g} to {most:g}", parse, shown=True)


def word(words: type[Word]) -> Form[Word]:
    """One of an enum, in any case."""
    return one_of(tuple(words))


def one_of(allowed: tuple[Word, ...]) -> Form[Word]:
    by_spelling = {each.casefold(): each for each in allowed}
    return simple(
        "one of " + ", ".join(allowed),
        lambda value: by_spelling.get(value.casefold()) if isinstance(value, str) else None,
        shown=True,
    )


def _secret() -> Form[Secret]:
    words = "a text, env:NAME or file:PATH"

    def read(value: object, at: At) -> Secret:
        if not isinstance(value, str):
            raise at.refused(f"expected {words}")
        if not at.reading.look_up:
            return Secret(token_hex())  # signs and opens nothing, should somebody use it by mistake
        try:
            return at.reading.files.secret(value)
        except BadReference as error:
            raise at.refused(str(error)) from None

    return Form(words, read)


def _url(words: str, *, base: bool) -> Form[str]:
    """Never repeated in an error: addresses of hooks often contain what makes them secret."""

    def read(value: object, at: At) -> str:
        split = _split(value)
        if split is None or not isinstance(value, str) or (base and (split.query or "?" in value)):
            raise at.refused(f"expected {words}")
        if split.scheme == "http" and not _is_loopback(split.hostname or ""):
            raise at.refused("expected https: http is for this machine only (localhost, 127.0.0.1, [::1])")
        return value.rstrip("/") if base else value

    return Form(words, read)


def _split(value: object) -> SplitResult | None:
    """None = not the URL of a server, without user and fragment."""
    if not isinstance(value, str) or len(value) > URL_LIMIT or not _PRINTABLE(value):
        return None
    try:
        split = urlsplit(value)
        split.port  # noqa: B018 - raises for what is no port
    except ValueError:
        return None
    fits = split.scheme in {"http", "https"} and split.hostname and "@" not in split.netloc and "#" not in value
    return split if fits else None


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")


def _digest(value: object) -> bytes | None:
    """The digest of no key at all would let everybody in."""
    if not isinstance(value, str) or not re.fullmatch(r"[0-9a-fA-F]{64}", value):
        return None
    digest = bytes.fromhex(value)
    return None if digest == _NO_KEY else digest


def _domain(value: object) -> str | None:
    if not isinstance(value, str) or len(value) > _DOMAIN_LIMIT:
        return None
    name = value.lower()
    return name if re.fullmatch(r"(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z0-9-]{2,63}", name) else None


BOOLEAN: Form[bool] = simple("true or false", lambda value: value if isinstance(value, bool) else None, shown=True)
TEXT: Form[str] = simple("a text", lambda value: value if isinstance(value, str) else None)
REGION: Form[str] = simple(
    "a region such as US or MX",
    lambda value: value if isinstance(value, str) and value in SUPPORTED_REGIONS else None,
    shown=True,
)
ID: Form[str] = simple(
    f"an id of 1 to {ID_LIMIT} characters",
    lambda value: value if isinstance(value, str) and 0 < len(value) <= ID_LIMIT else None,
)
DIGITS = matching("an id of digits", r"[1-9][0-9]{0,31}")
DIGEST: Form[bytes] = simple("the 64 hex digits of the SHA-256 of a key (not of an empty one)", _digest)
DOMAIN: Form[str] = simple("a domain such as mg.example.com", _domain)
SECRET = _secret()
BASE_URL = _url("a URL such as https://gw.example.com, without user, query and fragment", base=True)
URL = _url("a URL such as https://hooks.example.com/gmb, without user and fragment", base=False)
