"""Checks of what the guard did with one request: its decision, the record it forwarded, its dead letter."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

import msgspec

from gateway.contract.decisions import Outcome
from gateway.contract.requests import channel_of, read_request
from gateway.demo.audit.faults import Fault
from gateway.demo.audit.held import HoldLog, Sightings, Standpoint
from gateway.demo.audit.history import Case, Decision, recipients
from gateway.dnd.model import Channel
from gateway.streams.tap import Tapped


def decided(case: Case) -> Iterator[Fault]:
    """One decision for each request, and none without."""
    if not case.decisions:
        if case.requests:
            yield Fault.UNDECIDED
        return
    if len(case.decisions) > 1:
        yield Fault.DECIDED_TWICE
    if not case.requests:
        yield Fault.UNASKED


def forwarded(case: Case) -> Iterator[Fault]:
    """Once on its channel's topic if its decision says so, else nowhere, and unchanged but for removed recipients."""
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


def dead(case: Case) -> Iterator[Fault]:
    """A dead letter if and only if it is invalid."""
    invalid = any(decision.outcome is Outcome.INVALID for decision in case.decisions)
    if invalid and len(case.dead) != 1:
        yield Fault.NO_DEAD_LETTER
    if not invalid:
        yield from (Fault.WRONGLY_DEAD for _ in case.dead)


def fresh(case: Case, log: HoldLog, seen: Sightings) -> Iterator[Fault]:
    """Decided with every event somebody had seen before the request was dated, whatever came of it; and rightly."""
    if len(case.requests) != 1 or len(case.decisions) != 1:
        return
    (request,), (decision,) = case.requests, case.decisions
    known, asked = Standpoint(dict(decision.state.events)), seen.before(request.timestamp)
    if not known.includes(asked):
        yield Fault.STALE
    if decision.outcome is Outcome.DROPPED or decision.removed:
        yield from _rightly_kept_back(request, decision, log, known.join(asked))
    for channel, record in case.outputs:
        yield from _rightly_forwarded(channel, record, log, known.join(asked))


def _same(request: Tapped, record: Tapped, removed: Sequence[str]) -> bool:
    """Same partition number, key, sender's headers before ours, and value but for removed recipients."""
    return (
        request.partition == record.partition
        and request.key == record.key
        and record.headers[: len(request.headers)] == request.headers
        and _without(request.value, removed) == _without(record.value, ())
        and (bool(removed) or request.value == record.value)
    )


def _without(value: bytes | None, removed: Sequence[str]) -> tuple[dict[str, object], list[str]]:
    """The fields of a request that are no recipients, and the recipients that are left."""
    fields = msgspec.json.decode(value or b"{}", type=dict[str, object])
    left = Counter(recipients(read_request(value))) - Counter(removed)
    return {name: fields[name] for name in fields.keys() - {"to", "cc", "bcc"}}, sorted(left.elements())


def _rightly_kept_back(request: Tapped, decision: Decision, log: HoldLog, stood: Standpoint) -> Iterator[Fault]:
    """The contact, or everybody the message would have gone to, was on hold."""
    asked = read_request(request.value)
    channel = channel_of(asked)
    named = decision.removed or ([asked.to] if isinstance(asked.to, str) else asked.to)
    contact, *addresses = log.reached(asked.location_id, asked.contact_id, channel, named)
    contact_held = decision.outcome is Outcome.DROPPED and log.held(contact, channel, stood)
    if not contact_held and not all(log.held(address, channel, stood) for address in addresses):
        yield Fault.NOT_HELD


def _rightly_forwarded(channel: Channel, record: Tapped, log: HoldLog, stood: Standpoint) -> Iterator[Fault]:
    """Neither the contact nor anybody the message still goes to was on hold."""
    asked = read_request(record.value)
    reached = log.reached(asked.location_id, asked.contact_id, channel, recipients(asked))
    if any(log.held(subject, channel, stood) for subject in reached):
        yield Fault.FORWARDED_HELD
