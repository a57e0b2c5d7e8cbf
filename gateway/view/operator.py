"""What an operator can do with a view by hand: write back what it knows, or put it away.

For the day `dnd.events` was re-created or lost its end, and a view may be the last copy of a hold. `republish` gives
the events that, folded from an empty log by the same rules, end in registers of equal effect and in the same known
event ids. Original ids, times, actors and evidence are kept, so several processes may republish the same.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from pathlib import Path

from gateway.contract.forgiving import TEXT_LIMIT
from gateway.dnd.model import Actor, ActorKind, Cause, Event, Lift, LiftTerm, Place, Scope, Subject
from gateway.dnd.record import EMPTY, NEVER, Mark, Record, RegisterKey, fold
from gateway.view.directory import DirectoryLock, has_files, require_ours, set_aside
from gateway.view.table import View

_NOBODY = Actor(ActorKind.SYSTEM, "republish")
"""May lift nothing by the causes table, so a lift of it can only make an id known."""

_SCOPES = frozenset(Scope)

_LONG_AGO = 0
"""No place is older, so a place of that time changes nothing in a register that has one."""


def republish(view: View) -> Iterator[Event]:
    """Events that reproduce `view`, subject by subject. Raises `ViewCorrupt` rather than end early."""
    for subject, record in view.records():
        yield from events_of(subject, record)


def discard(directory: Path) -> Path | None:
    """Set the view aside under a dated name, which is returned; None when there is none. Raises `ViewLocked`."""
    lock = DirectoryLock(directory)
    try:
        if not has_files(directory):
            return None
        require_ours(directory)
        return set_aside(directory, "discarded")
    finally:
        lock.release()


def events_of(subject: Subject, record: Record) -> Iterator[Event]:
    """Lifts first: a hold that was lifted is then in force at no time while the events are folded one by one."""
    known: set[str] = set()
    for lift in _lifts(subject, record):
        yield _numbered(lift, known)
    for place in _places(subject, record):
        yield _numbered(place, known)
    for seen_as in sorted(record.seen.keys() - known):
        yield _without_effect(subject, seen_as)


def _lifts(subject: Subject, record: Record) -> Iterator[Lift]:
    """Only lifts the table allowed are in a record, so the table allows them again."""
    found = [(register.lifted, key) for key, register in record.registers.items() if register.lifted.at != NEVER]
    for marks in _by(found, lambda mark: mark.rank()[1:]):
        mark, _ = marks[0]
        terms = tuple(LiftTerm(scope, cause, lifted.at) for lifted, (scope, cause) in marks)
        yield Lift(mark.event_id, subject, terms, mark.actor, mark.evidence)


def _places(subject: Subject, record: Record) -> Iterator[Place]:
    """An event placed all its scopes times all its causes; no place written back may name more than was placed."""
    found = [(register.placed, key) for key, register in record.registers.items() if register.placed.at != NEVER]
    for marks in _by(found, Mark.rank):
        mark, _ = marks[0]
        scopes = tuple(dict.fromkeys(scope for _, (scope, _) in marks))
        causes = tuple(dict.fromkeys(cause for _, (_, cause) in marks))
        if len(marks) == len(scopes) * len(causes):
            yield Place(mark.event_id, subject, scopes, causes, mark.at, mark.actor, mark.evidence)
            continue
        for cause in causes:  # what is left of several events under one id and time
            its_scopes = tuple(scope for _, (scope, of_cause) in marks if of_cause is cause)
            yield Place(mark.event_id, subject, its_scopes, (cause,), mark.at, mark.actor, mark.evidence)


def _without_effect(subject: Subject, seen_as: str) -> Event:
    """For an id that no register names any more: a redelivery of that event must still change nothing."""
    side, rest = seen_as.split(":", 1)
    if side == "lift":
        return Lift(rest, subject, (LiftTerm(Scope.ALL, Cause.MANUAL, _LONG_AGO),), _NOBODY)
    acts_on, event_id = rest.split(":", 1)
    words = acts_on.split(",")
    scopes = tuple(Scope(word) for word in words if word in _SCOPES)
    causes = tuple(Cause(word) for word in words if word not in _SCOPES)
    return Place(event_id, subject, scopes, causes, _LONG_AGO, _NOBODY)


def _by(
    found: Iterable[tuple[Mark, RegisterKey]], identity: Callable[[Mark], tuple[object, ...]]
) -> list[list[tuple[Mark, RegisterKey]]]:
    """What one event left in several registers, together; in one order everywhere."""
    groups: dict[tuple[object, ...], list[tuple[Mark, RegisterKey]]] = {}
    for mark, key in sorted(found, key=lambda item: (item[0].rank(), item[1])):
        groups.setdefault(identity(mark), []).append((mark, key))
    return list(groups.values())


def _numbered(event: Event, known: set[str]) -> Event:
    """The event; with a number behind its id when one like it had the same id, or it would not be folded."""
    numbered, number = event, 2
    while not known.isdisjoint(seen := fold(EMPTY, numbered, 0).record.seen):
        suffix = f"#{number}"
        numbered, number = replace(event, event_id=event.event_id[: TEXT_LIMIT - len(suffix)] + suffix), number + 1
    known.update(seen)
    return numbered
