"""The audit: whether what the topics say adds up, and whether a provider was called for somebody who was on hold.

Theory of operation. It is given everything that was committed to the topics and every call the provider saw, and
nothing else: no counter of the guard, the sender or the provider. It checks
1 that every request has one decision, and every decision a request;
2 that a request stands on its channel's topic once if its decision says `forwarded`, else nowhere, and unchanged but
  for the recipients the decision names as removed;
3 that the dead letters are the requests decided `invalid`;
4 that the provider was called once for each forwarded record;
5 that no call reached anybody who was held, and nobody was dropped who was not.
For 5 it folds `dnd.events` again, for each decision up to where the log stood when the request was appended: every
event the broker dated before the request, and every event the decision says it knew of (its `state`). An event of the
first sort beyond the second is a stale decision, whatever came of it: a hold acknowledged before the request may have
been missed. Events of the request's own millisecond may have come after it and are not held against the guard.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

import msgspec

from gateway.contract.decisions import DECISION_ID, Outcome
from gateway.contract.requests import channel_of, read_request
from gateway.demo.calls import Call, recipients
from gateway.demo.held import HoldLog, Standpoint
from gateway.dnd.model import Channel
from gateway.guard.reading import DefaultRegion
from gateway.streams.tap import Tapped


@dataclass(frozen=True, slots=True)
class History:
    """What the topics and the provider's log hold."""

    requests: Sequence[Tapped]
    decisions: Sequence[Tapped]
    outputs: Mapping[Channel, Sequence[Tapped]]
    dead: Sequence[Tapped]
    events: Sequence[Tapped]
    calls: Sequence[Call]


class Fault(StrEnum):
    """What can be wrong; the value says it."""

    UNDECIDED = "request without a decision"
    DECIDED_TWICE = "request with several decisions"
    UNASKED = "decision without a request"
    NOT_FORWARDED = "decision says forwarded, the record is missing"
    FORWARDED_TWICE = "request forwarded several times"
    WRONGLY_FORWARDED = "record on a channel topic that no decision forwards there"
    ALTERED = "forwarded record differs from the request"
    NO_DEAD_LETTER = "invalid request without one dead letter"
    WRONGLY_DEAD = "dead letter that no decision calls invalid"
    NOT_CALLED = "forwarded record the provider was not called for"
    CALLED_TWICE = "forwarded record the provider was called for again"
    WRONGLY_CALLED = "provider call without a forwarded record"
    HELD = "provider call to somebody on hold"
    STALE = "decision that did not know of an earlier event"
    NOT_HELD = "recipient kept back who was not on hold"


FINAL = frozenset(
    {
        Fault.DECIDED_TWICE,
        Fault.FORWARDED_TWICE,
        Fault.ALTERED,
        Fault.CALLED_TWICE,
        Fault.HELD,
        Fault.STALE,
        Fault.NOT_HELD,
    }
)
"""Faults that time cannot cure. The others may come of transactions that were committed while the topics were read."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One fault, and the id of the decision (or request, by topic-partition-offset) it is about."""

    fault: Fault
    about: str

    def __str__(self) -> str:
        return f"{self.fault}: {self.about}"


@dataclass(frozen=True, slots=True)
class Report:
    """The audit's result: what was counted, and everything that is wrong."""

    requests: int
    decisions: int
    outcomes: Mapping[Outcome, int]
    forwarded: int
    dead: int
    calls: int
    removed: int
    events: int
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


class _State(msgspec.Struct):
    events: list[tuple[int, int]]


class _Decision(msgspec.Struct):
    """What the audit reads of a decision."""

    decision_id: str
    location_id: str | None
    contact_id: str | None
    channel: str | None
    outcome: Outcome
    state: _State
    removed: list[str] = []


_decode_decision = msgspec.json.Decoder(_Decision).decode


@dataclass(slots=True)
class _Case:
    """Everything about one request."""

    requests: list[Tapped] = field(default_factory=list)
    decisions: list[_Decision] = field(default_factory=list)
    outputs: list[tuple[Channel, Tapped]] = field(default_factory=list)
    dead: list[Tapped] = field(default_factory=list)
    calls: list[Call] = field(default_factory=list)


def audit(history: History, default_region: DefaultRegion) -> Report:
    """Check the history. ValueError for a decision that cannot be read."""
    cases = _cases(history)
    log = HoldLog(history.events, default_region)
    findings = [finding for name, case in cases.items() for finding in _check(name, case, log)]
    decided = [decision for case in cases.values() for decision in case.decisions]
    return Report(
        requests=len(history.requests),
        decisions=len(history.decisions),
        outcomes=Counter(decision.outcome for decision in decided),
        forwarded=sum(map(len, history.outputs.values())),
        dead=len(history.dead),
        calls=len(history.calls),
        removed=sum(len(decision.removed) for decision in decided),
        events=len(history.events),
        findings=findings,
    )


def _cases(history: History) -> dict[str, _Case]:
    """By decision id, which every record but the request itself carries; its own is its place in the log."""
    cases: dict[str, _Case] = {}

    def case(name: str) -> _Case:
        return cases.setdefault(name, _Case())

    for record in history.requests:
        case(f"{record.topic}-{record.partition}-{record.offset}").requests.append(record)
    for record in history.decisions:
        decision = _decode_decision(record.value or b"")
        case(decision.decision_id).decisions.append(decision)
    for channel, records in history.outputs.items():
        for record in records:
            case(decision_id(record)).outputs.append((channel, record))
    for record in history.dead:
        case(decision_id(record)).dead.append(record)
    for call in history.calls:
        case(call.decision_id).calls.append(call)
    return cases


def decision_id(record: Tapped) -> str:
    """The id a forwarded record or a dead letter carries; "" when it carries none. The last such header is ours."""
    ours = [value for name, value in record.headers if name == DECISION_ID]
    return ours[-1].decode(errors="replace") if ours else ""


def _check(name: str, case: _Case, log: HoldLog) -> Iterator[Finding]:
    """Checks 1 to 5 for one request."""
    faults = [*_decided(case), *_forwarded(case), *_dead(case), *_called(case)]
    if len(case.requests) == 1 and len(case.decisions) == 1:
        faults += _held(case, log)
    return (Finding(fault, name) for fault in faults)


def _decided(case: _Case) -> Iterator[Fault]:
    if not case.decisions:
        if case.requests:
            yield Fault.UNDECIDED
        return
    if len(case.decisions) > 1:
        yield Fault.DECIDED_TWICE
    if not case.requests:
        yield Fault.UNASKED


def _forwarded(case: _Case) -> Iterator[Fault]:
    wanted = [decision for decision in case.decisions if decision.outcome is Outcome.FORWARDED]
    if not wanted:
        yield from (Fault.WRONGLY_FORWARDED for _ in case.outputs)
        return
    right = [record for channel, record in case.outputs if channel == wanted[0].channel]
    yield from (Fault.WRONGLY_FORWARDED for _ in case.outputs[len(right) :])
    if not right:
        yield Fault.NOT_FORWARDED
    elif len(right) > 1:
        yield Fault.FORWARDED_TWICE
    elif case.requests and not _same(case.requests[0], right[0], wanted[0].removed):
        yield Fault.ALTERED


def _same(request: Tapped, forwarded: Tapped, removed: Sequence[str]) -> bool:
    """Same partition number, key, sender's headers before ours, and value but for removed recipients."""
    return (
        request.partition == forwarded.partition
        and request.key == forwarded.key
        and forwarded.headers[: len(request.headers)] == request.headers
        and _without(request.value, removed) == _without(forwarded.value, ())
        and (bool(removed) or request.value == forwarded.value)
    )


def _without(value: bytes | None, removed: Sequence[str]) -> tuple[dict[str, object], list[str]]:
    """The fields of a request that are no recipients, and the recipients that are left."""
    fields = msgspec.json.decode(value or b"{}", type=dict[str, object])
    left = Counter(recipients(read_request(value))) - Counter(removed)
    return {name: fields[name] for name in fields.keys() - {"to", "cc", "bcc"}}, sorted(left.elements())


def _dead(case: _Case) -> Iterator[Fault]:
    invalid = any(decision.outcome is Outcome.INVALID for decision in case.decisions)
    if invalid and len(case.dead) != 1:
        yield Fault.NO_DEAD_LETTER
    if not invalid:
        yield from (Fault.WRONGLY_DEAD for _ in case.dead)


def _called(case: _Case) -> Iterator[Fault]:
    if not case.outputs:
        yield from (Fault.WRONGLY_CALLED for _ in case.calls)
    elif not case.calls:
        yield Fault.NOT_CALLED
    elif len(case.calls) > len(case.outputs):
        yield Fault.CALLED_TWICE


def _held(case: _Case, log: HoldLog) -> Iterator[Fault]:
    (request,), (decision,) = case.requests, case.decisions
    known, asked = Standpoint(dict(decision.state.events)), log.before(request.timestamp)
    stood = known.join(asked)
    if not known.includes(asked):
        yield Fault.STALE
    for call in case.calls:
        reached = log.reached(call.location_id, call.contact_id, call.channel, call.to)
        if any(log.held(subject, call.channel, stood) for subject in reached):
            yield Fault.HELD
    if decision.outcome is Outcome.DROPPED or decision.removed:
        yield from _rightly_kept_back(request, decision, log, stood)


def _rightly_kept_back(request: Tapped, decision: _Decision, log: HoldLog, stood: Standpoint) -> Iterator[Fault]:
    """The other direction of check 5: the contact, or everybody the message would have gone to, was on hold."""
    asked = read_request(request.value)
    channel = channel_of(asked)
    named = decision.removed or ([asked.to] if isinstance(asked.to, str) else asked.to)
    contact, *addresses = log.reached(asked.location_id, asked.contact_id, channel, named)
    contact_held = decision.outcome is Outcome.DROPPED and log.held(contact, channel, stood)
    if not contact_held and not all(log.held(address, channel, stood) for address in addresses):
        yield Fault.NOT_HELD
