"""Addresses as keys: which kind each channel uses, and one spelling for each address (R21).

Two doors. `recipient_key` is for a message that wants to go out: what cannot be compared is refused. `canonical` is for
a hold or lift that somebody wrote to the log: it never refuses, because an opt-out must not get lost. What it cannot
read it keeps under a key of its own that begins with `raw:`; nothing is ever sent to such an address.
Both give the same key for the same address, and the key of a key is that key.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Mapping
from types import MappingProxyType

from phonenumbers import normalize_digits_only

from gateway.dnd.emails import casefolded, email_key
from gateway.dnd.model import BadAddress, Channel, Subject, SubjectKind
from gateway.dnd.phones import is_valid, phone_key, whatsapp_id_key, whatsapp_key

__all__ = ["KINDS_OF_CHANNEL", "BadAddress", "canonical", "recipient_key"]

KINDS_OF_CHANNEL: Mapping[Channel, tuple[SubjectKind, ...]] = MappingProxyType(
    {
        Channel.CALL: (SubjectKind.PHONE,),
        Channel.EMAIL: (SubjectKind.EMAIL,),
        Channel.SMS: (SubjectKind.PHONE,),
        Channel.WHATSAPP: (SubjectKind.PHONE, SubjectKind.WA_USER),
        Channel.GMB: (SubjectKind.GMB,),
        Channel.FB: (SubjectKind.PSID,),
    }
)
"""The kinds of address a message on the channel can go to."""

_LONGEST_ID = 256
"""Characters of an id that is opaque to us (a Messenger psid, a WhatsApp user id: at most 135), with room to spare."""

_RAW = "raw:"

# Bound once: the lookup of an enum's member takes as long as reading a whole number.
_PHONE, _EMAIL = SubjectKind.PHONE, SubjectKind.EMAIL
_PSID, _GMB, _WA_USER = SubjectKind.PSID, SubjectKind.GMB, SubjectKind.WA_USER
_CONTACT = SubjectKind.CONTACT

_WHATSAPP_SCHEME = "whatsapp:"

_DIGITS = re.compile(r"[0-9]+")

# Meta's "business-scoped user id", also of a parent business: US.13491208655302741918, US.ENT.11815799212886844830
_WHATSAPP_USER = re.compile(r"[A-Z]{2}\.(?:ENT\.)?[A-Za-z0-9]{1,128}")


def recipient_key(channel: Channel, to: str, default_region: str | None) -> tuple[SubjectKind, str]:
    """Kind and key of the address a message is to go to. Raises `BadAddress`, which says what was expected."""
    return _RECIPIENT_KEYS[channel](to, default_region)


def canonical(subject: Subject) -> Subject:
    """The subject under the key its holds are kept and looked up by. Never raises."""
    location_id, kind, text = subject
    if kind is _CONTACT:
        return subject
    try:
        key_kind, key = _WRITTEN_KEYS[kind](text)
    except BadAddress:
        key_kind, key = kind, _raw_key(kind, text)
    return subject if key == text and key_kind is kind else Subject(location_id, key_kind, key)


def _phone(to: str, default_region: str | None) -> tuple[SubjectKind, str]:
    return _PHONE, phone_key(to, default_region)


def _email(to: str, _: str | None = None) -> tuple[SubjectKind, str]:
    return _EMAIL, email_key(to)


def _whatsapp(to: str, default_region: str | None) -> tuple[SubjectKind, str]:
    """`+14155552671`, `whatsapp:+14155552671`, a `wa_id`, a national number, or the id of a user without a number."""
    if to.startswith("+"):
        return _PHONE, phone_key(to, default_region)
    text, is_whatsapp = _without_scheme(to)
    if _WHATSAPP_USER.fullmatch(text):
        return _WA_USER, text
    if is_whatsapp and _DIGITS.fullmatch(text):
        return _PHONE, whatsapp_id_key(text)  # the scheme is never put before a national number
    return _PHONE, whatsapp_key(text, default_region)


def _psid(to: str, _: str | None = None) -> tuple[SubjectKind, str]:
    return _PSID, _opaque_key(to)


def _gmb(to: str, _: str | None = None) -> tuple[SubjectKind, str]:
    return _GMB, _opaque_key(to)


_RECIPIENT_KEYS: Mapping[Channel, Callable[[str, str | None], tuple[SubjectKind, str]]] = {
    Channel.CALL: _phone,
    Channel.EMAIL: _email,
    Channel.SMS: _phone,
    Channel.WHATSAPP: _whatsapp,
    Channel.GMB: _gmb,
    Channel.FB: _psid,
}


def _written_phone(text: str) -> tuple[SubjectKind, str]:
    """A hold names no region, so bare digits are taken for a `wa_id`, but only where somebody can have that number."""
    if text.startswith("+"):
        return _PHONE, phone_key(text)
    spelled, _ = _without_scheme(text)
    if not _DIGITS.fullmatch(spelled):
        return _PHONE, phone_key(spelled)
    key = whatsapp_id_key(spelled)
    if not is_valid(key):
        raise BadAddress("a phone number with its country code")
    return _PHONE, key


def _written_whatsapp_user(text: str) -> tuple[SubjectKind, str]:
    """A number written as the id of a user without one would never be looked up; it is put where numbers are."""
    spelled, _ = _without_scheme(text)
    try:
        if _DIGITS.fullmatch(spelled.removeprefix("+")):
            return _PHONE, whatsapp_id_key(spelled.removeprefix("+"))
    except BadAddress:
        pass
    return _WA_USER, _opaque_key(spelled)


_WRITTEN_KEYS: Mapping[SubjectKind, Callable[[str], tuple[SubjectKind, str]]] = {
    SubjectKind.PHONE: _written_phone,
    SubjectKind.EMAIL: _email,
    SubjectKind.PSID: _psid,
    SubjectKind.GMB: _gmb,
    SubjectKind.WA_USER: _written_whatsapp_user,
}


def _without_scheme(text: str) -> tuple[str, bool]:
    stripped = text.strip()
    if stripped[: len(_WHATSAPP_SCHEME)].lower() == _WHATSAPP_SCHEME:
        return stripped[len(_WHATSAPP_SCHEME) :].strip(), True
    return stripped, False


def _opaque_key(text: str) -> str:
    key = text.strip()
    if not 0 < len(key) <= _LONGEST_ID:
        raise BadAddress(f"the provider's id of the recipient, 1 to {_LONGEST_ID} characters")
    return key


def _raw_key(kind: SubjectKind, text: str) -> str:
    """The key of what cannot be read: digits for something like a number, else the folded text, always its own key."""
    body = casefolded(text.strip()).removeprefix(_RAW).strip()
    if kind is SubjectKind.PHONE and not any(letter.isalpha() for letter in body):
        body = normalize_digits_only(body) or body
    if len(body) > _LONGEST_ID:
        body = f"sha256:{hashlib.sha256(body.encode(errors='surrogatepass')).hexdigest()}"
    return _RAW + body
