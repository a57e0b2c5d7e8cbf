"""Logs of `dnd.events` in memory: random ones, and what a plain dict makes of them."""

from __future__ import annotations

import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from hypothesis import strategies as st

from gateway.contract.events import Unreadable, decode_event, encode_event, event_key
from gateway.dnd.addresses import canonical
from gateway.dnd.model import Actor, ActorKind, Cause, Event, Lift, LiftTerm, Place, Scope, Subject, SubjectKind
from gateway.dnd.record import EMPTY, Record, fold
from gateway.view.table import View

TOPIC = "dnd.events"
CLUSTER_ID = "cluster-a"
START_MS = 1_763_900_000_000


@dataclass(frozen=True, slots=True)
class Line:
    """A record of the log."""

    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None


Log = Sequence[Sequence[Line]]
"""The lines of each partition."""


def open_view(directory: Path, partitions: int = 1, *, topic: str = TOPIC, cluster_id: str = CLUSTER_ID) -> View:
    return View.open(directory, topic=topic, partitions=partitions, cluster_id=cluster_id)


def line(offset: int, event: Event, timestamp: int = START_MS) -> Line:
    return Line(offset, timestamp, event_key(event.subject), encode_event(event, timestamp))


def phone(number: int, location: str = "loc1") -> Subject:
    return Subject(location, SubjectKind.PHONE, f"+1415555{2000 + number}")


def place(event_id: str, subject: Subject, *, at: int = START_MS, cause: Cause = Cause.KEYWORD_OPT_OUT) -> Place:
    actor = Actor(ActorKind.CONTACT, subject.id)
    return Place(event_id, subject, (Scope.SMS,), (cause,), at, actor, {"provider": "twilio", "text": "STOP"})


def lift(
    event_id: str,
    subject: Subject,
    *,
    through: int = START_MS,
    cause: Cause = Cause.KEYWORD_OPT_OUT,
    by: ActorKind = ActorKind.CONTACT,
) -> Lift:
    return Lift(event_id, subject, (LiftTerm(Scope.SMS, cause, through),), Actor(by, "x"), {"text": "START"})


def folded(lines: Iterable[Line]) -> dict[Subject, Record]:
    """What the view must hold: the same events folded into a dict."""
    records: dict[Subject, Record] = {}
    for entry in lines:
        try:
            event = decode_event(entry.value, entry.timestamp)
        except Unreadable:
            continue
        before = records.get(event.subject, EMPTY)
        after = fold(before, event, entry.timestamp)
        if not after.repeated:
            records[event.subject] = after.record
    return records


def up_to(log: Log, positions: Sequence[int]) -> list[Line]:
    """The lines below the positions, partition by partition: no subject is in two partitions of our logs."""
    return [entry for lines, position in zip(log, positions, strict=True) for entry in lines if entry.offset < position]


def follow(view: View, log: Log, batch: int = 7) -> None:
    """Read on from the view's positions to the end of the log, as the follower does."""
    for partition, lines in enumerate(log):
        rest = [entry for entry in lines if entry.offset >= view.positions()[partition]]
        for start in range(0, len(rest), batch):
            part = rest[start : start + batch]
            view.apply(partition, part, part[-1].offset + 1)


def random_log(seed: int, partitions: int, lines: int, subjects: int) -> Log:
    """Places, lifts, repetitions, unreadable values and gaps in the offsets; the same for the same seed."""
    rng = random.Random(seed)
    log: list[list[Line]] = []
    for partition in range(partitions):
        own = [phone(number) for number in range(partition, subjects, partitions)]
        entries: list[Line] = []
        offset, timestamp = 0, START_MS
        for _ in range(lines):
            offset, timestamp = offset + rng.choice((1, 1, 1, 2)), timestamp + rng.randrange(3_000)
            if entries and rng.random() < 0.1:
                again = rng.choice(entries)
                entries.append(Line(offset, timestamp, again.key, again.value))
            elif rng.random() < 0.02:
                entries.append(Line(offset, timestamp, None, rng.choice((None, b"", b"{", b'{"type":"place"}'))))
            else:
                entries.append(line(offset, _random_event(rng, rng.choice(own), offset, timestamp), timestamp))
        log.append(entries)
    return log


def _random_event(rng: random.Random, subject: Subject, offset: int, timestamp: int) -> Event:
    at = timestamp + rng.randrange(-20_000, 20_000)
    actor = Actor(rng.choice(list(ActorKind)), "somebody")
    causes = tuple(rng.sample(list(Cause), rng.choice((1, 1, 2))))
    scopes = tuple(rng.sample(list(Scope), rng.choice((1, 1, 2))))
    if rng.random() < 0.6:
        return Place(f"p{offset}", subject, scopes, causes, at, actor, {"text": "x" * rng.randrange(40)})
    terms = tuple(LiftTerm(scope, cause, at) for scope in scopes for cause in causes)
    return Lift(f"l{offset}", subject, terms, actor)


_TIMES = st.integers(START_MS - 5, START_MS + 5)
_ACTORS = st.builds(Actor, st.none() | st.sampled_from(ActorKind), st.sampled_from(("", "u1", "ü")))
_EVIDENCE: st.SearchStrategy[dict[str, object]] = st.just({}) | st.dictionaries(
    st.sampled_from(("text", "code", "n")), st.none() | st.integers() | st.text(max_size=5) | st.floats(allow_nan=False)
)
_CAUSES = st.sampled_from((Cause.MANUAL, Cause.KEYWORD_OPT_OUT, Cause.UNREACHABLE))
_SCOPES = st.sampled_from((Scope.SMS, Scope.ALL))
_IDS = st.sampled_from([f"e{number}" for number in range(8)])
_SUBJECTS = st.sampled_from(
    # Made canonical at import: the first phone number loads the number plans, which Hypothesis takes for a slow test.
    [canonical(phone(number)) for number in range(3)] + [Subject("loc2", SubjectKind.CONTACT, "ç 1")]
)

places = st.builds(
    Place,
    event_id=_IDS,
    subject=_SUBJECTS,
    scopes=st.lists(_SCOPES, min_size=1, max_size=2, unique=True).map(tuple),
    causes=st.lists(_CAUSES, min_size=1, max_size=2, unique=True).map(tuple),
    at=_TIMES,
    actor=_ACTORS,
    evidence=_EVIDENCE,
)
lifts = st.builds(
    Lift,
    event_id=_IDS,
    subject=_SUBJECTS,
    terms=st.lists(st.builds(LiftTerm, _SCOPES, _CAUSES, _TIMES), min_size=1, max_size=3).map(tuple),
    actor=_ACTORS,
    evidence=_EVIDENCE,
)
events: st.SearchStrategy[Event] = places | lifts
timestamps = st.integers(START_MS - 3, START_MS + 3) | st.sampled_from((START_MS + 8 * 24 * 3_600_000, 0))


@st.composite
def partition_logs(draw: st.DrawFn) -> list[Line]:
    """The lines of one partition, with gaps and unreadable ones."""
    lines: list[Line] = []
    offset = draw(st.integers(0, 3))
    for event in draw(st.lists(events | st.sampled_from((None, b"{}")), max_size=25)):
        timestamp = draw(timestamps)
        if isinstance(event, Place | Lift):
            lines.append(line(offset, event, timestamp))
        else:
            lines.append(Line(offset, timestamp, b"k", event))
        offset += draw(st.integers(1, 3))
    return lines
