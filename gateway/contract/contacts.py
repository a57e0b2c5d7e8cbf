"""The messages of `contacts`: snapshots of the CRM's contacts, and null values for deleted ones.

Reading forgives: what one can be sure of counts, the rest is skipped and named. A contact whose e-mail address cannot
be read still has its phone number. `dnd` and `dndSettings` stand in imports alone; a flag there that is on in any
spelling holds, for an opt-out must not get lost (R5), and what is off, missing or unknown does nothing.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import msgspec

from gateway.contract.forgiving import SHOWN_LIMIT, Unreadable
from gateway.contract.requests import ID_LIMIT, SPELLINGS
from gateway.dnd.addresses import recipient_key
from gateway.dnd.model import BadAddress, Cause, Channel, Scope, Subject, SubjectKind

__all__ = ["Imported", "ReadSnapshot", "Snapshot", "Unreadable", "contact_key", "read_contact"]

ADDRESSES_LIMIT = 100
"""Addresses of one contact that are taken, in the order they stand there. A hold on each is copied to the contact."""

FUTURE_LIMIT_MS = 24 * 3_600_000
"""How far `updated_at` may be ahead of its record: further is another unit, and no later snapshot would ever be newer.
A day covers every time zone that somebody took for UTC."""

RegionOf = Callable[[str], str | None]
"""The `default_region` of a location, for numbers without a country code."""


class Imported(NamedTuple):
    """A hold that an import says is there."""

    scope: Scope
    cause: Cause


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A contact as the CRM had it at `updated_at` (ms). `deleted` without `updated_at`: a null value, which says no
    time."""

    location_id: str
    contact_id: str
    addresses: tuple[Subject, ...] = ()
    imported: tuple[Imported, ...] = ()
    merged_into: str | None = None
    deleted: bool = False
    updated_at: int | None = None

    @property
    def subject(self) -> Subject:
        return Subject(self.location_id, SubjectKind.CONTACT, self.contact_id)


class ReadSnapshot(NamedTuple):
    """A snapshot, and what of it was skipped or replaced, as `field: what was found` (never an address)."""

    snapshot: Snapshot
    unknown: tuple[str, ...] = ()


def contact_key(location_id: str, contact_id: str) -> bytes:
    """The key of the contact's records: its JSON array without spaces."""
    return msgspec.json.encode([location_id, contact_id])


def read_contact(key: bytes | None, value: bytes | None, timestamp: int, region_of: RegionOf) -> ReadSnapshot:
    """The snapshot of a record dated `timestamp` (ms), which stands in for a missing `updated_at`. Unreadable."""
    keyed = _ids_of(key)
    if value is None:
        if keyed is None:
            raise Unreadable("key", "[location_id, contact_id]")
        return ReadSnapshot(Snapshot(*keyed, deleted=True))
    given = _object(value)
    location_id, contact_id = _id(given.get("location_id")), _id(given.get("contact_id"))
    if keyed is not None:
        location_id, contact_id = location_id or keyed[0], contact_id or keyed[1]
    if location_id is None or contact_id is None:
        raise Unreadable("location_id, contact_id", f"both, with 1 to {ID_LIMIT} characters")
    reading = _Reading(given)
    snapshot = Snapshot(
        location_id,
        contact_id,
        reading.addresses(location_id, region_of(location_id)),
        reading.imported(),
        reading.id("merged_into"),
        reading.flag("deleted"),
        reading.time("updated_at", timestamp),
    )
    return ReadSnapshot(snapshot, tuple(reading.unknown))


_STATUS_OF_PERMANENT = {Scope.SMS: Cause.KEYWORD_OPT_OUT, Scope.EMAIL: Cause.COMPLAINT}
"""What `permanent` means on import; on the other channels nothing is permanent, so it is `manual` there."""

_SCOPES: Mapping[str, Scope] = {"all": Scope.ALL} | {word: Scope(channel.value) for word, channel in SPELLINGS.items()}

_ADDRESSES = (
    ("phone", Channel.SMS),
    ("email", Channel.EMAIL),
    ("psid", Channel.FB),
    ("additional_phones", Channel.SMS),
    ("additional_emails", Channel.EMAIL),
)
"""Fields with addresses, and a channel whose messages go to such; the main ones first."""


class _Reading:
    """One pass over a snapshot; remembers what it could not take."""

    def __init__(self, given: Mapping[str, Any]) -> None:
        self._given = given
        self.unknown: list[str] = []

    def addresses(self, location_id: str, region: str | None) -> tuple[Subject, ...]:
        found: dict[Subject, None] = {}
        for name, channel in _ADDRESSES:
            for text in self._texts(name):
                try:
                    kind, key = recipient_key(channel, text, region)
                except BadAddress as error:
                    self._skip(name, str(error))
                    continue
                if _storable(key):
                    found[Subject(location_id, kind, key)] = None
        if len(found) > ADDRESSES_LIMIT:
            self._skip("addresses", f"{len(found)} of them")
        return tuple(found)[:ADDRESSES_LIMIT]

    def imported(self) -> tuple[Imported, ...]:
        """R5, and the contract's rule for `dndSettings`."""
        found = {Imported(Scope.ALL, Cause.LEGACY): None} if self.flag("dnd") else {}
        settings = self._given.get("dndSettings", self._given.get("dnd_settings"))
        if settings is not None and not isinstance(settings, dict):
            self._skip("dndSettings", type(settings).__name__)
            settings = None
        for name, setting in (settings or {}).items():
            scope = _SCOPES.get(_word(name))
            if scope is None:
                self._skip("dndSettings", str(name))
                continue
            match _word(setting.get("status") if isinstance(setting, dict) else setting):
                case "active":
                    found[Imported(scope, Cause.MANUAL)] = None
                case "permanent":
                    found[Imported(scope, _STATUS_OF_PERMANENT.get(scope, Cause.MANUAL))] = None
                case "inactive" | "":
                    pass
                case other:
                    self._skip(f"dndSettings.{scope}.status", other)
        return tuple(found)

    def flag(self, name: str) -> bool:
        """On in any spelling that a CSV file or a form may have."""
        found = self._given.get(name)
        if found is None or isinstance(found, bool):
            return bool(found)
        match str(found).strip().lower():
            case "true" | "yes" | "on" | "1" | "active":
                return True
            case "false" | "no" | "off" | "0" | "inactive" | "":
                return False
            case other:
                self._skip(name, other)
                return False

    def id(self, name: str) -> str | None:
        found = self._given.get(name)
        if found is None or found == "":
            return None
        known = _id(found)
        if known is None:
            self._skip(name, type(found).__name__)
        return known

    def time(self, name: str, instead: int) -> int:
        found = self._given.get(name)
        if type(found) is int and 0 <= found <= max(instead, 0) + FUTURE_LIMIT_MS:
            return found
        if found is not None:
            self._skip(name, f"{type(found).__name__}, not a time at or before the record's own")
        return max(instead, 0)

    def _texts(self, name: str) -> Iterator[str]:
        found = self._given.get(name)
        for each in found if isinstance(found, list) else [found]:
            if isinstance(each, str) or type(each) is int:
                if text := str(each).strip():
                    yield text
            elif each is not None:
                self._skip(name, type(each).__name__)

    def _skip(self, name: str, found: str) -> None:
        self.unknown.append(f"{name}: {found[:SHOWN_LIMIT].encode(errors='replace').decode()}")


def _object(value: bytes) -> dict[str, Any]:
    try:
        given = msgspec.json.decode(value)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        # Python's own reader takes what the strict one does not: a mark at the beginning, lone surrogates, NaN.
        try:
            given = json.loads(value.decode("utf-8-sig", errors="replace"))
        except (ValueError, RecursionError) as error:
            raise Unreadable("value", f"a JSON object ({error})") from None
    if not isinstance(given, dict):
        raise Unreadable("value", "a JSON object")
    return given


def _ids_of(key: bytes | None) -> tuple[str, str] | None:
    try:
        given = msgspec.json.decode(key or b"", type=tuple[str, str])
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None
    location_id, contact_id = _id(given[0]), _id(given[1])
    return None if location_id is None or contact_id is None else (location_id, contact_id)


def _id(found: object) -> str | None:
    """Text, or a number that somebody's JSON library made of it."""
    if not isinstance(found, str) and type(found) is not int:
        return None
    text = str(found)
    return text if 0 < len(text) <= ID_LIMIT and _storable(text) else None


def _storable(text: str) -> bool:
    """Whether databases and UTF-8 take it."""
    return "\x00" not in text and not any("\ud800" <= letter <= "\udfff" for letter in text)


def _word(found: object) -> str:
    return found.strip().lower() if isinstance(found, str) else "" if found is None else type(found).__name__
