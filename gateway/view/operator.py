"""What an operator can do with a view by hand: write back what it knows, or put it away.

For the day `dnd.events` was re-created or lost its end, and a view may be the last copy of a hold. `republish` gives
the events that, folded from an empty log by the same rules, end in registers of equal effect and in the same known
event ids. Original ids, times, actors and evidence are kept, so several processes may republish the same.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from gateway.contract.forgiving import TEXT_LIMIT
from gateway.dnd.model import Actor, ActorKind, Event, Lift, LiftTerm, Place, Subject
from gateway.dnd.record import NEVER, Mark, Record, RegisterKey
from gateway.view.directory import DirectoryLock, has_files, require_ours, set_aside
from gateway.view.table import View

_NOBODY = Actor(ActorKind.SYSTEM, "republish")
"""May lift nothing by the causes table, so a lift of it can only make an id known."""

_LONG_AGO = 1
"""The second millisecond of 1970: a place of that time changes nothing in a register that has a later one."""


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
    used: set[str] = set()
    yield from _lifts(subject, record, used)
    yield from _places(subject, record, used)
    yield from _known_ids(subject, record, used)


def _lifts(subject: Subject, record: Record, used: set[str]) -> Iterator[Lift]:
    """Only lifts the table allowed are in a record, so the table allows them again."""
    found = [(register.lifted, key) for key, register in record.registers.items() if register.lifted.at != NEVER]
    for marks in _by(found, lambda mark: mark.rank()[1:]):
        mark, _ = marks[0]
        terms = tuple(LiftTerm(scope, cause, lifted.at) for lifted, (scope, cause) in marks)
        yield Lift(_free_id("lift", mark, used), subject, terms, mark.actor, mark.evidence)


def _places(subject: Subject, record: Record, used: set[str]) -> Iterator[Place]:
    """An event placed all its scopes times all its causes, so what is left of them names nothing it did not place."""
    found = [(register.placed, key) for key, register in record.registers.items() if register.placed.at != NEVER]
    for marks in _by(found, Mark.rank):
        mark, _ = marks[0]
        scopes = tuple(dict.fromkeys(scope for _, (scope, _) in marks))
        causes = tuple(dict.fromkeys(cause for _, (_, cause) in marks))
        yield Place(_free_id("place", mark, used), subject, scopes, causes, mark.at, mark.actor, mark.evidence)


def _known_ids(subject: Subject, record: Record, used: set[str]) -> Iterator[Event]:
    """Events without effect for the ids no register names any more: a redelivery of one must still change nothing."""
    placed = max(record.registers, key=lambda key: record.registers[key].placed.at, default=None)
    if placed is None or record.registers[placed].placed.at <= _LONG_AGO:
        return
    scope, cause = placed
    for seen_as in sorted(record.seen.keys() - used):
        side, event_id = seen_as.split(":", 1)
        if side == "lift":
            yield Lift(event_id, subject, (LiftTerm(scope, cause, _LONG_AGO),), _NOBODY)
        else:
            yield Place(event_id, subject, (scope,), (cause,), _LONG_AGO, _NOBODY)


def _by(
    found: Iterable[tuple[Mark, RegisterKey]], identity: Callable[[Mark], tuple[object, ...]]
) -> list[list[tuple[Mark, RegisterKey]]]:
    """What one event left in several registers, together; in one order everywhere."""
    groups: dict[tuple[object, ...], list[tuple[Mark, RegisterKey]]] = {}
    for mark, key in sorted(found, key=lambda item: (item[0].rank(), item[1])):
        groups.setdefault(identity(mark), []).append((mark, key))
    return list(groups.values())


def _free_id(side: str, mark: Mark, used: set[str]) -> str:
    """The event's own id; numbered when another event of the subject had the same, or it would not be folded."""
    event_id, number = mark.event_id, 2
    while f"{side}:{event_id}" in used:
        suffix = f"#{number}"
        event_id, number = mark.event_id[: TEXT_LIMIT - len(suffix)] + suffix, number + 1
    used.add(f"{side}:{event_id}")
    return event_id
