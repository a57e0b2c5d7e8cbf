"""All that the accounts file says, at one moment, and the look-ups others need."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Any, Protocol

from gateway.accounts.forms import At, Form, Reading, Refused, Row, listed, named, table
from gateway.accounts.model import (
    ApiKey,
    LocationSettings,
    MailgunAccount,
    MetaApp,
    TwilioAccount,
    pages_are_no_numbers,
    words_fit_the_profile,
)
from gateway.accounts.references import BadReference, Files
from gateway.accounts.values import ID
from gateway.settings import SettingsError

FILE_LIMIT_BYTES = 64 * 1024 * 1024
"""Some 50,000 locations with all their accounts; TOML is read at 1 to 2 MB a second."""

KEYS_LIMIT = 10_000
"""API keys: one for each location of a large agency."""

DEFAULTS = LocationSettings()
"""Of every location that is not in the file."""


class Lookups(Protocol):
    """What is known of provider accounts and locations: `Accounts`, or `LiveAccounts`, which follows the file.

    Two look-ups of the live ones may fall before and after a change; take `current` once where they must fit together.
    """

    @property
    def current(self) -> Accounts: ...
    @property
    def meta(self) -> MetaApp | None: ...
    @property
    def api_keys(self) -> Mapping[bytes, ApiKey]: ...
    def default_region(self, location_id: str) -> str | None: ...
    def location(self, location_id: str) -> LocationSettings: ...
    def twilio(self, location_id: str) -> TwilioAccount | None: ...
    def mailgun(self, location_id: str) -> MailgunAccount | None: ...
    def locations_of_twilio(self, account_sid: str) -> frozenset[str]: ...


def _api_keys() -> Form[Mapping[bytes, ApiKey]]:
    form = listed(table(ApiKey), least=0, most=KEYS_LIMIT)

    def read(value: object, at: At) -> Mapping[bytes, ApiKey]:
        keys: dict[bytes, ApiKey] = {}
        ids: set[str] = set()
        given = form.read(value, at)
        for index, key in enumerate(given):
            if key.id in ids:
                at.item(index).below("id").refused(f"there is another key {key.id!r}")
            elif key.digest in keys:
                at.item(index).below("sha256").refused(f"is that of the key {keys[key.digest].id!r}")
            ids.add(key.id)
            keys[key.digest] = key
        if not len(given) == len(ids) == len(keys):
            raise Refused
        return MappingProxyType(keys)

    return Form(form.words, read)


@dataclass(frozen=True, slots=True)
class Accounts:
    """Immutable. A location that is not in the file has the defaults."""

    locations: Annotated[
        Mapping[str, LocationSettings],
        Row(
            named(ID, table(LocationSettings, words_fit_the_profile), "a table for each location"),
            "Settings and accounts of locations.",
        ),
    ] = field(default_factory=dict)
    meta: Annotated[MetaApp | None, Row(table(MetaApp, pages_are_no_numbers), "The app at Meta.")] = None
    api_keys: Annotated[Mapping[bytes, ApiKey], Row(_api_keys(), "Keys of the contact API, by digest.")] = field(
        default_factory=dict
    )
    _of_twilio: Mapping[str, frozenset[str]] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        of_twilio: dict[str, set[str]] = {}
        for location_id, location in self.locations.items():
            if location.twilio is not None:
                of_twilio.setdefault(location.twilio.account_sid, set()).add(location_id)
        by_sid = MappingProxyType({sid: frozenset(ids) for sid, ids in of_twilio.items()})
        object.__setattr__(self, "_of_twilio", by_sid)

    @classmethod
    def load(cls, path: Path | None) -> Accounts:
        """From the file, or all defaults without one. SettingsError names everything that is wrong."""
        return cls() if path is None else attempt(path).result()

    @classmethod
    def load_without_secrets(cls, path: Path | None) -> Accounts:
        """For a shell that has no access to the secrets: all is read and checked, the secrets are random."""
        return cls() if path is None else attempt(path, look_up=False).result()

    @classmethod
    def parse(cls, content: Mapping[str, Any], called: str, folder: Path | None = None) -> Accounts:
        """From the file's content; `called` is what errors name it, `folder` where relative `file:` secrets are."""
        reading = Reading(Files(folder or Path()))
        return Attempt(_parsed(content, reading), _named(called, reading.problems), {}).result()

    @property
    def current(self) -> Accounts:
        return self

    def default_region(self, location_id: str) -> str | None:
        """For phone numbers of the location without a country code; None = they cannot be read."""
        return self.locations.get(location_id, DEFAULTS).default_region

    def location(self, location_id: str) -> LocationSettings:
        return self.locations.get(location_id, DEFAULTS)

    def twilio(self, location_id: str) -> TwilioAccount | None:
        return self.location(location_id).twilio

    def mailgun(self, location_id: str) -> MailgunAccount | None:
        return self.location(location_id).mailgun

    def locations_of_twilio(self, account_sid: str) -> frozenset[str]:
        """All that use the account; empty = nobody."""
        return self._of_twilio.get(account_sid, frozenset())


@dataclass(frozen=True, slots=True)
class Attempt:
    """One reading of the file: the accounts, or what is wrong, and the files it took its content from."""

    accounts: Accounts | None
    problems: tuple[str, ...]
    hashes: Mapping[Path, bytes | None]

    def result(self) -> Accounts:
        """SettingsError."""
        if self.accounts is None:
            raise SettingsError(self.problems)
        return self.accounts


def attempt(path: Path, *, look_up: bool = True) -> Attempt:
    """Reads the file and, unless `look_up` is False, the secrets it refers to."""
    reading = Reading(Files(path.parent), look_up)
    content = _toml(path, reading)
    accounts = None if content is None else _parsed(content, reading)
    return Attempt(accounts, _named(str(path), reading.problems), reading.files.hashes)


def _parsed(content: Mapping[str, Any], reading: Reading) -> Accounts | None:
    try:
        return _FORM.read(content, At(reading))
    except Refused:
        return None


def _toml(path: Path, reading: Reading) -> dict[str, Any] | None:
    """None = noted why. Errors are put in words here: those of decoders carry the content, secrets included."""
    try:
        return tomllib.loads(reading.files.content(path, FILE_LIMIT_BYTES).decode())
    except OSError as error:
        problem = f"cannot be read: {error.strerror}"
    except BadReference as error:
        problem = f"cannot be read: {error}"
    except UnicodeDecodeError as error:
        problem = f"expected TOML in UTF-8, byte {error.start} is not"
    except tomllib.TOMLDecodeError as error:
        problem = f"expected TOML: {error}"
    except (ValueError, RecursionError) as error:  # numbers of thousands of digits, thousands of brackets
        problem = f"expected TOML of a usual shape: {type(error).__name__}"
    At(reading).refused(problem)
    return None


def _named(called: str, problems: list[str]) -> tuple[str, ...]:
    return tuple(f"{called}: {problem}" for problem in problems)


_FORM = table(Accounts)
