"""Secrets by reference, and the files one reading of the accounts takes its content from.

`env:NAME` is the environment's, `file:PATH` a file's without its last line break; a relative path begins at the folder
of the accounts file. Each file is read once in a reading, so that a secret that is exchanged meanwhile is the old one
or the new one everywhere. What was read is remembered as hashes: whoever watches the files can tell whether there is
anything new in them.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from pathlib import Path

from gateway.settings import Secret

SECRET_LIMIT_BYTES = 64 * 1024
"""Tokens have some hundred bytes, a PEM key some thousand; `file:` may point to anything by mistake."""


class BadReference(ValueError):  # noqa: N818 - an outcome of looking up, not a fault
    """The text names the reference and what is wrong, never the value."""


class Files:
    """The files of one reading. `hashes` by path; None = it could not be read."""

    def __init__(self, folder: Path) -> None:
        self.hashes: dict[Path, bytes | None] = {}
        self._folder = folder
        self._secrets: dict[Path, bytes] = {}

    def content(self, path: Path, limit: int) -> bytes:
        """At most `limit` bytes. OSError; BadReference when it is larger or no file."""
        self.hashes[path] = None
        content = _content(path, limit)
        self.hashes[path] = hashlib.sha256(content).digest()
        return content

    def secret(self, written: str) -> Secret:
        """Looks up `env:` and `file:`; anything else is the secret itself. BadReference."""
        how, _, where = written.partition(":")
        match how:
            case "env":
                if where not in os.environ:
                    raise BadReference(f"{written}: there is no such environment variable")
                return _usable(os.environ[where], f"{written} ")
            case "file":
                return _usable(self._text(self._folder / Path(where).expanduser(), written), f"{written} ")
            case _:
                return _usable(written, "")

    def _text(self, path: Path, written: str) -> str:
        if path not in self._secrets:
            try:
                self._secrets[path] = self.content(path, SECRET_LIMIT_BYTES)
            except BadReference as error:
                raise BadReference(f"{written}: {error}") from None
            except (OSError, ValueError) as error:
                why = error.strerror if isinstance(error, OSError) else "not a path"
                raise BadReference(f"{written}: cannot be read: {why}") from None
        try:
            text = self._secrets[path].decode()
        except UnicodeDecodeError:
            text = None
        if text is None:  # raised out here: the other error carries the content
            raise BadReference(f"{written}: not UTF-8")
        return text.removesuffix("\n").removesuffix("\r")


def hashes_now(paths: Mapping[Path, bytes | None], limit: int) -> dict[Path, bytes | None]:
    """Of the same files, as they are now."""
    found = Files(Path())
    for path in paths:
        try:
            found.content(path, limit)
        except (OSError, ValueError):
            continue  # noted as None
    return found.hashes


def _content(path: Path, limit: int) -> bytes:
    if path.exists() and not path.is_file():  # a pipe would be waited for, and is empty the second time
        raise BadReference("not a regular file")
    with path.open("rb") as file:
        content = file.read(limit + 1)
    if len(content) > limit:
        raise BadReference(f"larger than {limit} bytes")
    return content


def _usable(value: str, called: str) -> Secret:
    """An empty secret would let everybody sign; a line break in a token ends an HTTP header."""
    if not value.strip():
        raise BadReference(f"{called}is empty")
    if value != value.strip() or any(ord(letter) < ord(" ") for letter in value):
        raise BadReference(f"{called}has white space around it, or a line break or other control character in it")
    return Secret(value)
