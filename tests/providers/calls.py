"""Calls as providers make them: the payloads of `tests/payloads`, changed, and signed as documented."""

from __future__ import annotations

import copy
import hashlib
import hmac
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from hypothesis import strategies as st

PAYLOADS = Path(__file__).parent.parent / "payloads"

MAILGUN_KEY = "key-test"
"""What signed the payloads of Mailgun."""

APP_SECRET = "app-secret"  # noqa: S105 - of the tests

any_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=10),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


def payload(provider: str, name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((PAYLOADS / provider / f"{name}.json").read_text(encoding="utf-8"))
    return found


def payload_names(provider: str) -> list[str]:
    return sorted(file.stem for file in (PAYLOADS / provider).glob("*.json"))


def hex_hmac(key: str, signed: bytes) -> str:
    return hmac.new(key.encode(), signed, hashlib.sha256).hexdigest()


def encoded(value: object) -> bytes:
    """Every character outside ASCII as an escape: so a lone half of an emoji can be sent too."""
    return json.dumps(value).encode()


def paths(value: Any, behind: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    """The path of every value inside a JSON value."""
    yield behind
    members = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, each in members:
        yield from paths(each, (*behind, key))


def replaced(value: Any, path: tuple[str | int, ...], by: Any) -> Any:
    """A copy with another value at the path."""
    if not path:
        return by
    changed = copy.deepcopy(value)
    inner = changed
    for key in path[:-1]:
        inner = inner[key]
    inner[path[-1]] = by
    return changed


def without(value: Any, path: tuple[str | int, ...]) -> Any:
    """A copy in which what is at the path is missing."""
    if not path:
        return None
    changed = copy.deepcopy(value)
    inner = changed
    for key in path[:-1]:
        inner = inner[key]
    del inner[path[-1]]
    return changed
