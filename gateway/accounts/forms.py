"""How the accounts file is read: rows of data, as the settings are.

Theory of operation. A `Form` says in words what a value must be and turns the raw TOML value into the typed one. A
table is a frozen dataclass whose fields carry a `Row` each: the form, a sentence for people, the key. A form that
cannot read its value notes why, under the value's full path, and raises `Refused`; tables and lists read their other
values first. So one reading names everything that is wrong. What was written is repeated only where it cannot be a
secret, nor a secret that got into the wrong line.
"""

from __future__ import annotations

import dataclasses
import difflib
import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Annotated, Any, Generic, TypeVar, get_args, get_origin, get_type_hints

from gateway.accounts.references import Files

SHOWN_CHARACTERS = 60
"""Of a value that is repeated in an error."""

_BARE = re.compile(r"[A-Za-z0-9_-]+").fullmatch
_TYPES = {bool: "true or false", int: "a number", float: "a number", str: "a text", list: "a list", dict: "a table"}

T = TypeVar("T")
K = TypeVar("K")


class Refused(Exception):  # noqa: N818 - what is wrong has been noted; this only leads the way out
    """A value that cannot be used."""


@dataclass(slots=True)
class Reading:
    """One reading of one file. `look_up` False: secrets are random, their references are not followed."""

    files: Files
    look_up: bool = True
    problems: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class At:
    """A place in the file."""

    reading: Reading
    path: str = ""

    def below(self, key: str) -> At:
        name = key if _BARE(key) else json.dumps(key)  # no line breaks in an error, whatever a key contains
        return At(self.reading, f"{self.path}.{name}" if self.path else name)

    def item(self, index: int) -> At:
        return At(self.reading, f"{self.path}[{index}]")

    def refused(self, why: str) -> Refused:
        """Notes the problem; raise what it returns."""
        self.reading.problems.append(f"{self.path}: {why}" if self.path else why)
        return Refused()


@dataclass(frozen=True, slots=True)
class Form(Generic[T]):
    """`words` go on from "expected". `read` notes problems and raises Refused."""

    words: str
    read: Callable[[object, At], T]


@dataclass(frozen=True, slots=True)
class Row:
    """One key of a table. `key` is the field's name unless given."""

    form: Form[Any]
    what: str
    key: str = ""


def simple(words: str, parse: Callable[[object], T | None], *, shown: bool = False) -> Form[T]:
    """`parse` gives None for what it cannot read; `shown`: it cannot be a secret."""

    def read(value: object, at: At) -> T:
        parsed = parse(value)
        if parsed is None:
            raise at.refused(f"expected {words}" + _got(value, shown))
        return parsed

    return Form(words, read)


def listed(form: Form[T], *, least: int, most: int, single: bool = False) -> Form[tuple[T, ...]]:
    """A list without repetitions; `single`: one value needs no list."""
    words = f"{form.words}, or a list of them" if single else f"a list of {least} to {most}, each {form.words}"

    def read(value: object, at: At) -> tuple[T, ...]:
        if single and not isinstance(value, list):
            return (form.read(value, at),)
        if not isinstance(value, list) or not least <= len(value) <= most:
            raise at.refused(f"expected {words}" + (f", {least} to {most}" if single else ""))
        items = [_tried(form, each, at.item(index)) for index, each in enumerate(value)]
        read_ones = [item[0] for item in items if item is not None]
        if len(read_ones) < len(items):
            raise Refused
        seen: set[T] = set()
        for index, item in enumerate(read_ones):
            if item in seen:
                raise at.item(index).refused("is there twice")
            seen.add(item)
        return tuple(read_ones)

    return Form(words, read)


def named(key_form: Form[K], form: Form[T], words: str) -> Form[Mapping[K, T]]:
    """A table of values by names that are not fixed."""

    def read(value: object, at: At) -> Mapping[K, T]:
        if not isinstance(value, dict):
            raise at.refused(f"expected {words}")
        found: dict[K, T] = {}
        whole = True
        for name, each in value.items():
            key, item = _tried(key_form, name, at.below(name)), _tried(form, each, at.below(name))
            if key is not None and key[0] in found:
                at.below(name).refused("is there twice, in two spellings")
                whole = False
            elif key is None or item is None:
                whole = False
            else:
                found[key[0]] = item[0]
        if not whole:
            raise Refused
        return MappingProxyType(found)

    return Form(words, read)


def rows_of(kind: type[Any]) -> Iterator[tuple[str, Row]]:
    """The rows of a table, by the name of their field."""
    for name, annotation in get_type_hints(kind, include_extras=True).items():
        if get_origin(annotation) is Annotated:
            for row in get_args(annotation)[1:]:
                if isinstance(row, Row):
                    yield name, dataclasses.replace(row, key=row.key or name)


def table(kind: type[T], check: Callable[[T, At], None] | None = None) -> Form[T]:
    """A dataclass whose annotated fields are rows. `check` notes what values say against each other."""
    rows = {row.key: (name, row) for name, row in rows_of(kind)}
    defaulted = {each.name for each in dataclasses.fields(kind) if not _is_required(each)}  # type: ignore[arg-type]

    def read(value: object, at: At) -> T:
        if not isinstance(value, dict):
            raise at.refused("expected a table")
        for key in sorted(value.keys() - rows.keys()):
            at.below(key).refused(_unknown(key, list(rows)))
        arguments: dict[str, Any] = {}
        whole = value.keys() <= rows.keys()
        for key, (name, row) in rows.items():
            if key not in value:
                if name not in defaulted:
                    at.below(key).refused(f"is missing: expected {row.form.words}")
                    whole = False
            elif (item := _tried(row.form, value[key], at.below(key))) is None:
                whole = False
            else:
                arguments[name] = item[0]
        if not whole:
            raise Refused
        made = kind(**arguments)
        if check is not None:
            check(made, at)
        return made

    return Form("a table", read)


def _tried(form: Form[T], value: object, at: At) -> tuple[T] | None:
    """In a tuple, as what is read may be None or false."""
    try:
        return (form.read(value, at),)
    except Refused:
        return None


def _is_required(each: dataclasses.Field[Any]) -> bool:
    return each.default is dataclasses.MISSING and each.default_factory is dataclasses.MISSING


def _unknown(key: str, known: list[str]) -> str:
    near = difflib.get_close_matches(key, known, n=1)
    return "there is no such key" + (f"; did you mean {near[0]}?" if near else "")


def _got(value: object, shown: bool) -> str:
    if shown and not isinstance(value, dict):
        text = repr(value)
        return f", got {text if len(text) <= SHOWN_CHARACTERS else text[:SHOWN_CHARACTERS] + '...'}"
    return "" if isinstance(value, str) else f", got {_TYPES.get(type(value), 'a date or time')}"
