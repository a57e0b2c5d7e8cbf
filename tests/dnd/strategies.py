"""Random events of one subject, in a narrow range of times and ids' contents so that they collide often."""

from __future__ import annotations

from collections.abc import Iterable

from hypothesis import strategies as st

from gateway.dnd.model import Actor, ActorKind, Cause, Event, Lift, LiftTerm, Place, Scope, Subject, SubjectKind
from gateway.dnd.record import EMPTY, Record, fold

SUBJECT = Subject("loc1", SubjectKind.PHONE, "+14155552671")

TIMES = st.one_of(st.integers(0, 20), st.integers(-10, 60_000), st.integers(-(2**63), 2**63))
"""Milliseconds: equal ones, some on both sides of the margins of broker time, and clocks that are out of their mind."""

BROKER_TIMES = st.one_of(st.integers(0, 20), st.integers(0, 60_000))

ACTORS = st.builds(Actor, st.sampled_from([None, *ActorKind]), st.sampled_from(["", "a", "b"]))

EVIDENCE = st.sampled_from([{}, {"text": "STOP"}, {"text": "stop", "code": 21610}])

SCOPES = st.sampled_from([Scope.SMS, Scope.EMAIL, Scope.ALL])

CAUSES = st.sampled_from([Cause.MANUAL, Cause.KEYWORD_OPT_OUT, Cause.UNREACHABLE, Cause.COMPLAINT])

TERMS = st.builds(LiftTerm, SCOPES, CAUSES, TIMES)

Log = list[tuple[Event, int]]
"""Events of one subject, each with the broker time at which it was appended."""


def places(event_id: str = "e") -> st.SearchStrategy[Place]:
    scopes = st.lists(SCOPES, min_size=1, max_size=2).map(tuple)
    causes = st.lists(CAUSES, min_size=1, max_size=2).map(tuple)
    return st.builds(Place, st.just(event_id), st.just(SUBJECT), scopes, causes, TIMES, ACTORS, EVIDENCE)


def lifts(event_id: str = "e") -> st.SearchStrategy[Lift]:
    terms = st.lists(TERMS, min_size=1, max_size=3).map(tuple)
    return st.builds(Lift, st.just(event_id), st.just(SUBJECT), terms, ACTORS, EVIDENCE)


def events(event_id: str = "e") -> st.SearchStrategy[Event]:
    return st.one_of(places(event_id), lifts(event_id))


@st.composite
def logs(draw: st.DrawFn, max_size: int = 8) -> Log:
    """Events with different ids."""
    count = draw(st.integers(0, max_size))
    return [(draw(events(f"e{number}")), draw(BROKER_TIMES)) for number in range(count)]


def folded(log: Iterable[tuple[Event, int]], record: Record = EMPTY) -> Record:
    for event, broker_time in log:
        record = fold(record, event, broker_time).record
    return record


def records() -> st.SearchStrategy[Record]:
    return logs().map(folded)
