"""A value that must not appear in logs, errors or `repr`."""

from __future__ import annotations

import os
from pathlib import Path

STARS = "******"


class Secret:
    """Prints as stars. Written as the text itself, as `env:NAME` or as `file:PATH`."""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    @classmethod
    def parse(cls, written: str) -> Secret:
        """Looks up `env:` and `file:`; ValueError says what is missing, without the value."""
        how, _, where = written.partition(":")
        match how:
            case "env":
                if where not in os.environ:
                    raise ValueError(f"the environment variable {where} it points to is not set")
                return cls(os.environ[where])
            case "file":
                try:
                    # Mounted secrets usually end in a newline that is not part of the secret.
                    return cls(Path(where).read_text(encoding="utf-8").rstrip("\r\n"))
                except (OSError, UnicodeDecodeError) as error:
                    raise ValueError(f"the file {where} it points to cannot be read") from error
            case _:
                return cls(written)

    def reveal(self) -> str:
        """The value, for the library that needs it."""
        return self._value

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and other._value == self._value

    def __hash__(self) -> int:
        return hash(self._value)

    def __repr__(self) -> str:
        return f"Secret({STARS!r})"

    def __str__(self) -> str:
        return STARS
