"""Calls as Twilio makes them: the bodies of `tests/payloads/twilio`, changed, and a location to read them for."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import parse_qsl

from gateway.dnd.keywords import KeywordProfile
from gateway.dnd.model import Channel, Subject, SubjectKind
from tests.providers.calls import PAYLOADS

LOCATION = "loc1"
NUMBER = "+14155550123"
PERSON = Subject(LOCATION, SubjectKind.PHONE, NUMBER)


@dataclass(frozen=True, slots=True)
class Settings:
    default_region: str | None = "US"
    keyword_profile: KeywordProfile = KeywordProfile.AS_SPECIFIED
    extra_opt_out_words: tuple[str, ...] = ()
    opt_out_channels: frozenset[Channel] = frozenset({Channel.SMS})


DEFAULTS = Settings()


def body(name: str) -> bytes:
    return (PAYLOADS / "twilio" / f"{name}.form").read_bytes().rstrip(b"\n")


def bodies() -> list[str]:
    return sorted(file.stem for file in (PAYLOADS / "twilio").glob("*.form"))


def form(name: str, **changed: str | None) -> dict[str, str]:
    """The fields of a body, some of them changed, or taken out with None."""
    fields = dict(parse_qsl(body(name).decode(), keep_blank_values=True, strict_parsing=True)) | changed
    return {field: value for field, value in fields.items() if value is not None}
