"""What can be wrong with a campaign, and the report of an audit."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from gateway.contract.decisions import Outcome
from gateway.contract.receipts import ReceiptOutcome


class Fault(StrEnum):
    """The value says it."""

    UNDECIDED = "request without a decision"
    DECIDED_TWICE = "request with several decisions"
    UNASKED = "decision without a request"
    NOT_FORWARDED = "decision says forwarded, the record is missing"
    FORWARDED_TWICE = "request forwarded several times"
    WRONGLY_FORWARDED = "record on a channel topic that no decision forwards there"
    ALTERED = "forwarded record differs from the request"
    NO_DEAD_LETTER = "invalid request without one dead letter"
    WRONGLY_DEAD = "dead letter that no decision calls invalid"
    STALE = "decision that did not know of an earlier event"
    NOT_HELD = "recipient kept back who was not on hold"
    FORWARDED_HELD = "request forwarded to somebody on hold"
    NO_RECEIPT = "forwarded record without a receipt"
    RECEIPT_TWICE = "forwarded record with several receipts"
    WRONG_RECEIPT = "receipt without a forwarded record"
    NOT_CALLED = "receipt says sent, the provider took nothing"
    CALLED_TWICE = "forwarded record the provider took again"
    WRONGLY_CALLED = "message the provider took that no receipt says is sent"
    HELD = "provider call to somebody on hold"


FINAL = frozenset(
    {
        Fault.DECIDED_TWICE,
        Fault.FORWARDED_TWICE,
        Fault.ALTERED,
        Fault.STALE,
        Fault.NOT_HELD,
        Fault.FORWARDED_HELD,
        Fault.RECEIPT_TWICE,
        Fault.CALLED_TWICE,
        Fault.HELD,
    }
)
"""Faults that time cannot cure. The others may come of what was committed while the topics were read."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One fault, and the id of the decision (or request, by topic-partition-offset) it is about."""

    fault: Fault
    about: str

    def __str__(self) -> str:
        return f"{self.fault}: {self.about}"


@dataclass(frozen=True, slots=True)
class Report:
    """The audit's result: what was counted, and everything that is wrong. `taken`: calls that sent something."""

    requests: int
    decisions: int
    outcomes: Mapping[Outcome, int]
    forwarded: int
    dead: int
    receipts: Mapping[ReceiptOutcome, int]
    calls: int
    taken: int
    removed: int
    events: int
    occasions: Mapping[str, int]
    findings: Sequence[Finding]

    @property
    def balances(self) -> bool:
        return not self.findings

    @property
    def is_settled(self) -> bool:
        """Whether nothing that may still be on its way is missing."""
        return all(finding.fault in FINAL for finding in self.findings)

    def count(self, fault: Fault) -> int:
        return sum(finding.fault is fault for finding in self.findings)
