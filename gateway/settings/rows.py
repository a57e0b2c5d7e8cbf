"""A setting is one row of data: the annotation of a struct field. Reading, checking and documenting walk the rows.

Theory of operation. A group of settings is a frozen struct; each field carries `row` or `number`: its public name, a
sentence, a unit, limits. `rows_of` lists the rows for people, `build` turns raw values (text from the environment,
values from TOML, keyword arguments) into the structs. Every problem is collected, none is guessed around: a value that
does not fit, or a name that no row has, ends in one SettingsError that names them all.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, TypeVar, get_args, get_origin

import msgspec

from gateway.settings.errors import SettingsError
from gateway.settings.secret import STARS, Secret

ENVIRONMENT_PREFIX = "SENDGUARD_"

Derive = Callable[[Mapping[str, object]], object]
"""A default that follows from the other settings, given by key."""

Group = TypeVar("Group", bound=msgspec.Struct)


@dataclass(frozen=True, slots=True)
class Raw:
    """A value as it was written, and what to call it when it is wrong."""

    value: object
    called: str


@dataclass(frozen=True, slots=True)
class Setting:
    """One row for people. `key` is the name in TOML, `variable` the one in the environment."""

    key: str
    kind: str
    default: str
    unit: str
    what: str

    @property
    def variable(self) -> str:
        return ENVIRONMENT_PREFIX + self.key.upper()


def row(
    key: str, what: str, *, pattern: str | None = None, derive: Derive | None = None, derived_as: str = ""
) -> msgspec.Meta:
    """The annotation of a setting. `derive`: its default follows from the others, in words `derived_as`."""
    extra = {"key": key, "unit": "", "derive": derive, "derived_as": derived_as}
    return msgspec.Meta(description=what, pattern=pattern, extra=extra)


def number(
    key: str, what: str, *, ge: int, le: int, unit: str = "", derive: Derive | None = None, derived_as: str = ""
) -> msgspec.Meta:
    """The annotation of a setting that is a number within limits."""
    extra = {"key": key, "unit": unit, "derive": derive, "derived_as": derived_as}
    return msgspec.Meta(description=what, ge=ge, le=le, extra=extra)


def rows_of(group: type[msgspec.Struct]) -> list[Setting]:
    """Every row of the group and the groups inside it, in the order they are written."""
    return [
        Setting(
            key=meta.extra["key"],
            kind=_kind(field.type, meta),
            default=_shown_default(field, meta),
            unit=meta.extra["unit"],
            what=meta.description or "",
        )
        for field, meta in _rows(group)
        if meta.extra is not None
    ]


def build(group: type[Group], given: Mapping[str, Raw]) -> Group:
    """The group from raw values by key; SettingsError names every key it does not know and every value that is bad."""
    rows = list(_rows(group))
    keys = [_key(meta) for _, meta in rows]
    problems = [_unknown(raw.called, key, keys) for key, raw in given.items() if key not in keys]
    values: dict[str, object] = {}
    derived: list[tuple[str, Derive]] = []
    for field, meta in rows:
        key = _key(meta)
        if key in given:
            try:
                values[key] = _converted(given[key].value, field.type)
            except msgspec.ValidationError as error:
                problems.append(_bad(given[key], field.type, meta, error))
        elif (derive := (meta.extra or {}).get("derive")) is not None:
            derived.append((key, derive))
        else:
            values[key] = field.default
    if problems:
        raise SettingsError(problems)
    values.update({key: derive(values) for key, derive in derived})
    return _assembled(group, values)


def _rows(group: type[msgspec.Struct]) -> Iterator[tuple[msgspec.structs.FieldInfo, msgspec.Meta]]:
    for field in msgspec.structs.fields(group):
        if (meta := _meta(field.type)) is not None:
            yield field, meta
        else:
            yield from _rows(field.type)


def _meta(annotation: Any) -> msgspec.Meta | None:
    if get_origin(annotation) is not Annotated:
        return None
    return next((extra for extra in get_args(annotation)[1:] if isinstance(extra, msgspec.Meta)), None)


def _key(meta: msgspec.Meta) -> str:
    return str((meta.extra or {})["key"])


def _assembled(group: type[Group], values: Mapping[str, object]) -> Group:
    arguments: dict[str, Any] = {}
    for field in msgspec.structs.fields(group):
        meta = _meta(field.type)
        arguments[field.name] = _assembled(field.type, values) if meta is None else values[_key(meta)]
    return group(**arguments)


def _converted(value: object, annotation: Any) -> object:
    bare = _bare(annotation)
    if isinstance(bare, type) and issubclass(bare, StrEnum) and isinstance(value, str):
        value = value.upper()  # every word of our enums is upper case; people write "info"
    if isinstance(value, (Path, Secret)):
        value = str(value) if isinstance(value, Path) else value.reveal()
    return msgspec.convert(value, annotation, strict=False, dec_hook=_from_text)


def _from_text(kind: type, value: object) -> object:
    if not isinstance(value, str):
        raise ValueError("not a text")  # noqa: TRY004 - msgspec turns a ValueError into its ValidationError
    if kind is Secret:
        return Secret.parse(value)
    if kind is Path:
        return Path(value).expanduser()
    raise NotImplementedError(f"settings of type {kind}")


def _bare(annotation: Any) -> Any:
    """The type without its annotation and without `| None`."""
    kind = get_args(annotation)[0] if get_origin(annotation) is Annotated else annotation
    return next((each for each in get_args(kind) if each is not type(None)), kind)


def _kind(annotation: Any, meta: msgspec.Meta) -> str:
    """What is expected, in words."""
    bare = _bare(annotation)
    if bare is bool:
        return "true or false"
    if bare is int:
        return f"integer from {meta.ge} to {meta.le}"
    if bare is Path:
        return "path"
    if bare is Secret:
        return "text, env:NAME or file:PATH"
    if issubclass(bare, StrEnum):
        return "one of " + ", ".join(bare)
    return "text" if meta.pattern is None else f"text matching {meta.pattern}"


def _shown_default(field: msgspec.structs.FieldInfo, meta: msgspec.Meta) -> str:
    if (derived_as := (meta.extra or {})["derived_as"]) != "":
        return str(derived_as)
    if field.default is None:
        return ""
    return str(field.default).lower() if isinstance(field.default, bool) else str(field.default)


def _unknown(called: str, key: str, keys: list[str]) -> str:
    near = difflib.get_close_matches(key, keys, n=1)
    if not near:
        return f"{called}: there is no such setting"
    meant = ENVIRONMENT_PREFIX + near[0].upper() if called.startswith(ENVIRONMENT_PREFIX) else near[0]
    return f"{called}: there is no such setting; did you mean {meant}?"


def _bad(raw: Raw, annotation: Any, meta: msgspec.Meta, error: msgspec.ValidationError) -> str:
    if _bare(annotation) is Secret:
        return f"{raw.called}: expected {_kind(annotation, meta)}, got {STARS} ({error})"
    return f"{raw.called}: expected {_kind(annotation, meta)}, got {raw.value!r}"
