"""E-mail addresses: whatever people write -> one key per mailbox.

Key = local part in Unicode NFC, casefolded, `@`, domain as lower-case IDNA ASCII. Plus-tags and dots stay: they are
different mailboxes to some providers. The library (`email-validator`, no DNS) says what is an address. Most addresses
are plain lower-case ASCII; of these only the domain needs the library, once for all its mailboxes. Everything else goes
through it in full, behind a bounded cache. A property test holds both ways against each other.
"""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache

from email_validator import EmailNotValidError, validate_email

from gateway.dnd.model import BadAddress

_CACHED = 32_768
"""Addresses that are not plain, kept with their key: about 10 MB."""

_CACHED_DOMAINS = 16_384
"""Domains known to be plain, about 2 MB: a campaign to 200,000 people meets some thousands."""

_LONGEST = 254
"""Bytes, RFC 5321 4.5.3.1.3; the library refuses longer addresses."""

_EXPECTED = "one e-mail address (local@domain, no display name)"

_ATOM = r"[a-z0-9!#$%&'*+/=?^_`{|}~-]+"
_PLAIN = re.compile(rf"{_ATOM}(?:\.{_ATOM})*@([a-z0-9.-]+)").fullmatch


def email_key(text: str) -> str:
    """The key of the mailbox. Raises `BadAddress`."""
    plain = _PLAIN(text)
    if plain and len(text) <= _LONGEST and _is_plain_domain(plain[1]):
        return text
    stripped = text.strip()
    if len(stripped) > _LONGEST:
        raise BadAddress(f"{_EXPECTED}, at most {_LONGEST} bytes")
    key = _by_library_cached(stripped)
    if key is None:
        raise BadAddress(_EXPECTED)
    return key


def casefolded(text: str) -> str:
    """Unicode's caseless form that does not change when folded again (D145), composed."""
    return unicodedata.normalize("NFC", unicodedata.normalize("NFD", text).casefold())


def key_by_library(text: str) -> str | None:
    """The library's full way. None = not an address, or none whose key would be its own key."""
    key = _parsed(text)
    # Folding may lengthen an address beyond what the library takes. Such a key would not be found again.
    return key if key is None or key == text or _parsed(key) == key else None


def _parsed(text: str) -> str | None:
    try:
        address = validate_email(text, check_deliverability=False)
    except (EmailNotValidError, UnicodeError):  # idna's are UnicodeErrors; none that slips through may stop a reader
        return None
    return f"{casefolded(address.local_part)}@{address.ascii_domain}"


_by_library_cached = lru_cache(maxsize=_CACHED)(key_by_library)


@lru_cache(maxsize=_CACHED_DOMAINS)
def _is_plain_domain(domain: str) -> bool:
    """Whether the library takes this domain exactly as it is, also in its Unicode form."""
    try:
        address = validate_email(f"a@{domain}", check_deliverability=False)
    except EmailNotValidError:
        return False
    return address.ascii_domain == address.domain == domain
