"""The accounts file: per location settings. Read once at the start, checked then.

Read now: `default_region`. The sections for providers and API keys are part of the file's format already and are
accepted unread; a key that is in no section of the format stops the start, as a misspelt one would do harm unseen.
"""

from __future__ import annotations

import difflib
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from phonenumbers import SUPPORTED_REGIONS

from gateway.settings import SettingsError

SECTIONS = frozenset({"locations", "meta", "api_keys"})

LOCATION_KEYS = frozenset(
    {
        "default_region",
        "keyword_profile",
        "extra_opt_out_words",
        "max_per_second",
        "require_integration",
        "opt_out_channels",
        "whatsapp_marketing_optout",
        "start_check_window_s",
        "twilio",
        "mailgun",
        "http",
    }
)


class Accounts:
    """What the file says of each location; a location that is not in it has the defaults."""

    def __init__(self, default_regions: Mapping[str, str]) -> None:
        self._default_regions = dict(default_regions)

    @classmethod
    def load(cls, path: Path | None) -> Accounts:
        """From the file, or all defaults without one. SettingsError names every key that is wrong."""
        return cls({}) if path is None else cls.parse(_read(path), str(path))

    @classmethod
    def parse(cls, content: Mapping[str, Any], called: str) -> Accounts:
        """From the file's content; `called` is what errors name it."""
        problems = list(_problems(content))
        if problems:
            raise SettingsError([f"{called}: {problem}" for problem in problems])
        locations = content.get("locations", {})
        return cls({name: given["default_region"] for name, given in locations.items() if "default_region" in given})

    def default_region(self, location_id: str) -> str | None:
        """For phone numbers of the location without a country code; None = they cannot be read."""
        return self._default_regions.get(location_id)


def _read(path: Path) -> dict[str, Any]:
    try:
        with path.open("rb") as file:
            return tomllib.load(file)
    except OSError as error:
        raise SettingsError([f"{path}: cannot be read: {error.strerror}"]) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SettingsError([f"{path}: expected TOML: {error}"]) from error


def _problems(content: Mapping[str, Any]) -> Iterator[str]:
    yield from (_unknown(key, key, SECTIONS) for key in sorted(content.keys() - SECTIONS))
    locations = content.get("locations", {})
    if not isinstance(locations, dict):
        yield "locations: expected a table for each location"
        return
    for name, given in locations.items():
        where = f"locations.{name}"
        if not isinstance(given, dict):
            yield f"{where}: expected a table"
            continue
        yield from (_unknown(f"{where}.{key}", key, LOCATION_KEYS) for key in sorted(given.keys() - LOCATION_KEYS))
        region = given.get("default_region")
        if "default_region" in given and not (isinstance(region, str) and region in SUPPORTED_REGIONS):
            yield f"{where}.default_region: expected a region such as US or MX, got {region!r}"


def _unknown(called: str, key: str, known: frozenset[str]) -> str:
    near = difflib.get_close_matches(key, known, n=1)
    return f"{called}: there is no such key" + (f"; did you mean {near[0]}?" if near else "")
