"""Judges a history: what of it must not be, in words.

Theory of operation. The requests' topic says what had to be decided, the decisions' topic what was decided, the output
topics what came of it, each read by an independent client in `read_committed`; the driver's log says what was
acknowledged when. The rules (in `rules`):

1. Every request has exactly one decision, in its partition number, in the order of the requests; what an operator
   skipped has none.
2. A forward is there if and only if the decision says so: once, in the channel's topic, in the request's partition
   number, with the original bytes and headers. A dead letter if and only if the decision says invalid.
3. Invalid are those the driver made invalid, and no others.
4. Nothing is forwarded after a hold on its contact or address was acknowledged, unless a lift was sent since. What
   was never held, or was freed before, is forwarded. These two look at the driver's log alone.
5. The state a decision names covers every event acknowledged before the request was sent, and the outcome is the one
   that state demands.
6. What Kafka acknowledged to the driver is in its topic. (Else the cluster lost it, and the rest proves nothing.) What
   it did not acknowledge may be there or not: rules 1 to 3 are about the requests that are there, whoever knows of it.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from tests.faults.history import History
from tests.faults.rules import RULES, RULES_OF_STATES, Decided

SHOWN = 20
"""Violations reported in words; of more only their number."""


@dataclass(frozen=True, slots=True)
class Report:
    """`violations` holds the first of them, `count` says how many there are. `unknown`: records that the driver cannot
    say of whether they are in their topic."""

    requests: int
    forwarded: int
    dropped: int
    invalid: int
    events: int
    unknown: int
    count: int
    violations: tuple[str, ...]

    def __str__(self) -> str:
        head = (
            f"{self.requests} requests: {self.forwarded} forwarded, {self.dropped} dropped, {self.invalid} invalid; "
            f"{self.events} holds and lifts; {self.unknown} of unknown fate; {self.count} violations"
        )
        return "\n".join([head, *self.violations])


def check(history: History, *, states: bool = True) -> Report:
    """`states` False leaves rule 5 out: the offsets in decisions mean nothing when `dnd.events` was re-created."""
    decided = Decided(history)
    shown: list[str] = []
    count = 0
    for rule in RULES + (RULES_OF_STATES if states else ()):
        for violation in rule(decided):
            count += 1
            if len(shown) < SHOWN:
                shown.append(violation)
    outcomes = Counter(decision["outcome"] for decisions in decided.decisions.values() for _, decision in decisions)
    return Report(
        requests=len(history.requests),
        forwarded=outcomes["forwarded"],
        dropped=outcomes["dropped"],
        invalid=outcomes["invalid"],
        events=len(history.events),
        unknown=len(history.sent.requests_unknown) + len(history.sent.events_unknown),
        count=count,
        violations=tuple(shown),
    )
