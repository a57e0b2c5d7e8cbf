"""Reading events of `dnd.events` that are not quite as the contract says.

What one can still be sure of counts: a place whose whom, channel and cause are known holds. For a lift the same
forgiveness would be a way to lose a hold, so only its evidence and what it carries besides are forgiven.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from typing import Annotated, Any, NamedTuple

import msgspec

from gateway.contract.requests import SPELLINGS
from gateway.dnd.addresses import canonical
from gateway.dnd.model import Actor, ActorKind, Cause, Event, Lift, LiftTerm, Place, Scope, Subject, SubjectKind

EVIDENCE_LIMIT_BYTES = 8 * 1024
"""Evidence is kept with every hold of a subject, up to 140 times: together they must fit into one record."""

TEXT_LIMIT = 256
"""Characters of an event id or actor id; the longest we know are Meta's message ids, about 150."""

NESTING_LIMIT = 64
"""Brackets around one another that are read; readers recurse, and how deep they can depends on who calls them."""

SHOWN_LIMIT = 40
"""Characters of an unknown word that are shown: it is somebody else's text."""

_NOBODY = Actor(None)
_encode = msgspec.json.Encoder().encode

Moment = Annotated[int, msgspec.Meta(ge=0)]
Text = Annotated[str, msgspec.Meta(min_length=1, max_length=TEXT_LIMIT)]


class Unreadable(Exception):  # noqa: N818 - what it is called everywhere: an unreadable event
    """An event that changes nothing. `field` as a path into the value ("value" = all of it), `expected` in words."""

    def __init__(self, field: str, expected: str) -> None:
        super().__init__(f"{field}: expected {expected}")
        self.field = field
        self.expected = expected


class Decoded(NamedTuple):
    """An event, and what of it was skipped or replaced, as `field: what was found`."""

    event: Event
    unknown: tuple[str, ...] = ()


class Term(msgspec.Struct, gc=False):
    channel: Scope
    cause: Cause
    through: Moment


def bounded_evidence(evidence: Mapping[str, object]) -> Mapping[str, object]:
    """The evidence, or a note of its size when it is larger than we keep."""
    size = len(_encode(evidence)) if evidence else 0
    return evidence if size <= EVIDENCE_LIMIT_BYTES else {"left_out_bytes": size}


def read_forgiving(value: bytes, timestamp: int) -> Decoded:
    """The event of a record appended at `timestamp` (ms); raises Unreadable."""
    given = _any_object(value)
    kind = given.get("type")
    if kind == "lift":
        return _forgiving_lift(given)
    if kind is not None and _word(kind) != "place":
        raise Unreadable("type", "place or lift")
    return _forgiving_place(given, value, timestamp)


def _any_object(value: bytes) -> dict[str, Any]:
    """Python's own reader takes what the strict one does not: invalid UTF-8, lone surrogates, NaN, huge numbers."""
    try:
        given = json.loads(_flattened(value.decode("utf-8-sig", errors="replace")))
    except (ValueError, RecursionError) as error:
        raise Unreadable("value", f"a JSON object ({error})") from None
    if not isinstance(given, dict):
        raise Unreadable("value", "a JSON object")
    return given


def _flattened(text: str) -> str:
    """The JSON text with `null` in place of whatever is nested deeper than NESTING_LIMIT."""
    if text.count("[") + text.count("{") <= NESTING_LIMIT:
        return text
    kept: list[str] = []
    depth = 0
    for token in _TOKENS.findall(text):
        if token in ("[", "{"):
            depth += 1
            if depth == NESTING_LIMIT + 1:
                kept.append("null")
        if depth <= NESTING_LIMIT:
            kept.append(token)
        if token in ("]", "}"):
            depth -= 1
    return "".join(kept)


class _Reading:
    """One forgiving pass over an event; remembers what it could not take."""

    def __init__(self, given: Mapping[str, Any]) -> None:
        self._given = given
        self.unknown: list[str] = []

    def skip(self, field: str, found: object) -> None:
        shown = found if isinstance(found, str) else type(found).__name__
        self.unknown.append(f"{field}: {_storable(shown)[:SHOWN_LIMIT]}")

    def words(self, field: str, instead: str) -> list[object]:
        found = self._given.get(field, self._given.get(instead))
        return found if isinstance(found, list) else [] if found is None else [found]

    def subject(self) -> Subject:
        found = self._given.get("subject")
        if not isinstance(found, list) or len(found) != 3:
            raise Unreadable("subject", "[location_id, kind, id]")
        location_id, kind, id_ = (_storable(part) if _is_name(part) else "" for part in found)
        try:
            known = SubjectKind(kind.strip().lower())
        except ValueError:
            raise Unreadable("subject[1]", f"one of {', '.join(SubjectKind)}") from None
        if not location_id or not id_:
            raise Unreadable("subject", "a location id and an id that are not empty")
        return canonical(Subject(location_id, known, id_))

    def actor(self) -> Actor:
        found = self._given.get("actor")
        if not isinstance(found, dict):
            self.skip("actor", found)
            return _NOBODY
        id_ = found.get("id", "")
        name = _storable(id_)[:TEXT_LIMIT] if _is_name(id_) else ""
        try:
            return Actor(msgspec.convert(found.get("kind"), ActorKind), name)
        except msgspec.ValidationError:
            self.skip("actor.kind", found.get("kind"))
            return Actor(None, name)

    def evidence(self) -> Mapping[str, object]:
        found = self._given.get("evidence", {})
        try:
            if isinstance(found, dict):
                return bounded_evidence(found)
        except (UnicodeEncodeError, RecursionError, OverflowError, ValueError):
            pass  # what cannot be written cannot be kept either
        self.skip("evidence", found)
        return {}


def _forgiving_place(given: Mapping[str, Any], value: bytes, timestamp: int) -> Decoded:
    reading = _Reading(given)
    subject = reading.subject()
    scopes: dict[Scope, None] = {}
    for found in reading.words("channels", instead="channel"):
        if (scope := _SCOPES.get(_word(found))) is not None:
            scopes[scope] = None
        else:
            reading.skip("channels", found)
    causes: dict[Cause, None] = {}
    for found in reading.words("causes", instead="cause"):
        if (cause := _CAUSES.get(_word(found))) is not None:
            causes[cause] = None
        else:
            reading.skip("causes", found)
    if not scopes:
        raise Unreadable("channels", f"at least one of {', '.join(Scope)}")
    if not causes:
        raise Unreadable("causes", f"at least one of {', '.join(Cause)}")
    at = given.get("at")
    if type(at) is not int:
        reading.skip("at", at)
        at = timestamp
    event_id = given.get("event_id")
    if not _is_name(event_id) or not 0 < len(_storable(event_id)) <= TEXT_LIMIT:
        # Never one id for all of them: an id that was seen is not folded again.
        reading.skip("event_id", event_id)
        event_id = f"sha256:{hashlib.sha256(value).hexdigest()}:{timestamp}"
    place = Place(
        _storable(event_id), subject, tuple(scopes), tuple(causes), max(at, 0), reading.actor(), reading.evidence()
    )
    return Decoded(place, tuple(reading.unknown))


def _forgiving_lift(given: Mapping[str, Any]) -> Decoded:
    """Forgives what does not decide: evidence, further fields, terms it leaves out. The rest must be exact."""
    reading = _Reading(given)
    try:
        event_id = msgspec.convert(given.get("event_id"), Text)
        subject = msgspec.convert(given.get("subject"), Subject)
    except msgspec.ValidationError:
        raise Unreadable("event_id, subject", "both exact, a lift needs them") from None
    terms: list[LiftTerm] = []
    for found in reading.words("lifts", instead="lifts"):
        try:
            term = msgspec.convert(found, Term)
            terms.append(LiftTerm(term.channel, term.cause, term.through))
        except msgspec.ValidationError:
            reading.skip("lifts", found)
    if not terms:
        raise Unreadable("lifts", "at least one known channel and cause with a time `through`")
    if not subject.location_id or not subject.id:
        raise Unreadable("subject", "a location id and an id that are not empty")
    return Decoded(
        Lift(_storable(event_id), canonical(subject), tuple(terms), reading.actor(), reading.evidence()),
        tuple(reading.unknown),
    )


_TOKENS = re.compile(r'"(?:[^"\\]|\\.)*+"|[\[\]{}]|[^"\[\]{}]+|"', re.DOTALL)
_SCOPES = {scope.value.lower(): scope for scope in Scope} | {
    word.lower(): Scope(channel.value) for word, channel in SPELLINGS.items()
}
_CAUSES = {cause.value: cause for cause in Cause}


def _word(found: object) -> str:
    return found.strip().lower() if isinstance(found, str) else ""


def _is_name(found: object) -> bool:
    """Text, or a number that somebody's JSON library made of it."""
    return isinstance(found, str) or type(found) is int


def _storable(found: object) -> str:
    """As text that UTF-8 can hold: a lone surrogate becomes `?`."""
    return str(found).encode("utf-8", errors="replace").decode()
