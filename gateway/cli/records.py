"""Records of a few subjects, without a service: folded from the whole log, as a view would."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

from gateway.contract.events import Unreadable, decode_event
from gateway.contract.log import LogRecord
from gateway.dnd.causes import CAUSES
from gateway.dnd.lifters import Lifter, lifters
from gateway.dnd.model import Cause, Scope, Subject
from gateway.dnd.record import EMPTY, Record, Register, fold
from gateway.streams.clients import Clients
from gateway.streams.whole_log import read_to_end

Held = tuple[Scope, Cause, Register]


async def records_of(clients: Clients, topic: str, subjects: Collection[Subject]) -> dict[Subject, Record]:
    """The record of each, behind everything acknowledged before the call. KafkaUnreachableError."""
    folding = _Folding(subjects)
    await read_to_end(clients, topic, folding.take)
    return folding.records


class _Folding:
    """Folds the events of some subjects."""

    def __init__(self, subjects: Collection[Subject]) -> None:
        self.records: dict[Subject, Record] = dict.fromkeys(subjects, EMPTY)

    def take(self, records: Sequence[LogRecord]) -> None:
        for record in records:
            try:
                event = decode_event(record.value, record.timestamp)
            except Unreadable:
                continue
            known = self.records.get(event.subject)
            if known is not None:
                self.records[event.subject] = fold(known, event, record.timestamp).record


def holds(record: Record) -> list[Held]:
    """What is in force, in a fixed order."""
    return sorted(((scope, cause, register) for (scope, cause), register in record.holds()), key=lambda held: held[:2])


def in_words(who: Iterable[Lifter]) -> list[str]:
    """Who may lift a hold, by name."""
    return sorted(map(str, who))


def hold_json(scope: Scope, cause: Cause, register: Register) -> Mapping[str, object]:
    """A hold for scripts."""
    placed = register.placed
    return {
        "channel": scope,
        "cause": cause,
        "kind": CAUSES[cause].kind,
        "since": placed.at,
        "event_id": placed.event_id,
        "placed_by": {"kind": placed.actor.kind, "id": placed.actor.id},
        "lifted_by": in_words(lifters(cause)),
    }


def all_holds(records: Mapping[Subject, Record]) -> Iterator[tuple[Subject, Held]]:
    for subject, record in records.items():
        for held in holds(record):
            yield subject, held
