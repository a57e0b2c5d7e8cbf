"""The checker's rules: each takes the joined history and yields what violates it, in words. See `checker`."""

from __future__ import annotations

import hashlib
import json
from collections import defaultdict
from collections.abc import Callable, Iterator
from typing import Any

from tests.faults.history import REQUEST_ID, Expected, History, Record, SentRequest
from tests.faults.oracle import Certainty, Log

DECISION_ID = "sg-decision-id"
DECIDED_AT = "sg-decided-at"
STAND_IN = "sg-stand-in"
SKIPPED_FROM = "sg-skipped-from"
SKIPPED_THROUGH = "sg-skipped-through"

Violations = Iterator[str]


class Decided:
    """The history, joined."""

    def __init__(self, history: History) -> None:
        self.history = history
        self.requests = {str(record): record for record in history.requests}
        self.decisions: dict[str, list[tuple[Record, dict[str, Any]]]] = defaultdict(list)
        for record in history.decisions:
            decision = json.loads(record.value or b"")
            self.decisions[decision["decision_id"]].append((record, decision))
        self.skipped = set(_skipped(history))

    def each(self) -> Iterator[tuple[Record, SentRequest, dict[str, Any]]]:
        """Requests of the driver with their first decision."""
        for identity, record in self.requests.items():
            request = self.sent(record)
            if request is not None and identity in self.decisions:
                yield record, request, self.decisions[identity][0][1]

    def sent(self, record: Record) -> SentRequest | None:
        return self.history.sent.requests.get((record.header(REQUEST_ID) or b"").decode())


def _skipped(history: History) -> Iterator[tuple[int, int]]:
    for record in history.dead:
        begin, through = record.header(SKIPPED_FROM), record.header(SKIPPED_THROUGH)
        if begin is not None and through is not None:
            yield from ((record.partition, offset) for offset in range(int(begin), int(through) + 1))


def _acknowledged_is_there(decided: Decided) -> Violations:
    history = decided.history
    there = {record.header(REQUEST_ID) for record in history.requests}
    for request_id in history.sent.requests_acknowledged:
        if request_id.encode() not in there:
            yield f"Kafka acknowledged request {request_id} and does not have it"
    logged = Log(history.events).offsets
    for event_id in history.sent.events_acknowledged:
        if event_id not in logged:
            yield f"Kafka acknowledged event {event_id} and does not have it"


def _exactly_one_decision(decided: Decided) -> Violations:
    for identity, record in decided.requests.items():
        found = len(decided.decisions.get(identity, ()))
        if (record.partition, record.offset) in decided.skipped:
            if found:
                yield f"request {identity} was skipped as lost and has {found} decisions"
        elif found != 1:
            yield f"request {identity} has {found} decisions"
    for identity, decisions in decided.decisions.items():
        for record, decision in decisions:
            request = decided.requests.get(identity)
            if request is None:
                yield f"decision {record} is of {identity}, which is no request"
            elif request.partition != record.partition:
                yield f"decision {record} of request {identity} is in another partition number"
            elif decision["outcome"] != "invalid" and decision["request_id"] != _id_inside(request):
                yield f"decision {record} names request {decision['request_id']}, {identity} is {_id_inside(request)}"


def _id_inside(request: Record) -> object:
    return json.loads(request.value or b"{}").get("request_id")


def _in_order(decided: Decided) -> Violations:
    """Of two records of one partition, the one of the earlier request comes first."""
    by_partition: dict[tuple[str, int], list[Record]] = defaultdict(list)
    for record in [*decided.history.decisions, *decided.history.written()]:
        by_partition[record.topic, record.partition].append(record)
    for records in by_partition.values():
        before = -1
        for record in sorted(records, key=lambda each: each.offset):
            offset = _request_offset(record)
            if offset is None:
                continue
            if offset < before:
                yield f"{record} is of request offset {offset} and comes after that of offset {before}"
            before = max(before, offset)


def _request_offset(record: Record) -> int | None:
    """Of the request a decision, a forward or a dead letter is of."""
    identity = record.header(DECISION_ID)
    if identity is None and record.value is not None and b'"decision_id"' in record.value:
        identity = json.loads(record.value)["decision_id"].encode()
    return None if identity is None else int(identity.rpartition(b"-")[2])


def _forwards(decided: Decided) -> Violations:
    forwards: dict[str, list[tuple[str, Record]]] = defaultdict(list)
    for channel, records in decided.history.outputs.items():
        for record in records:
            forwards[(record.header(DECISION_ID) or b"none").decode()].append((channel, record))
    for identity, unknown in forwards.items():
        if identity not in decided.requests:
            yield f"{unknown[0][1]} has decision id {identity}, which is no request"
    for identity, record in decided.requests.items():
        decision = _the_decision(decided, identity)
        wanted = decision is not None and decision["outcome"] == "forwarded"
        found = forwards.get(identity, [])
        if len(found) != wanted:
            yield f"request {identity} is {'' if wanted else 'not '}to be forwarded and was {len(found)} times"
        for channel, forward in found:
            if decision is not None and channel != decision["channel"]:
                yield f"request {identity} of channel {decision['channel']} was forwarded to {channel}"
            yield from _same_contents(record, forward, ignoring=0)


def _dead_letters(decided: Decided) -> Violations:
    letters: dict[str, list[Record]] = defaultdict(list)
    for record in decided.history.dead:
        if record.header(SKIPPED_FROM) is None:
            letters[(record.header(DECISION_ID) or b"none").decode()].append(record)
    for identity, unknown in letters.items():
        if identity not in decided.requests:
            yield f"{unknown[0]} has decision id {identity}, which is no request"
    for identity, record in decided.requests.items():
        decision = _the_decision(decided, identity)
        wanted = decision is not None and decision["outcome"] == "invalid"
        found = letters.get(identity, [])
        if len(found) != wanted:
            yield f"request {identity} is {'' if wanted else 'not '}invalid and has {len(found)} dead letters"
        for letter in found:
            if letter.header(STAND_IN) is None:
                yield from _same_contents(record, letter, ignoring=2)
            else:
                yield from _stands_in(record, letter)


def _the_decision(decided: Decided, identity: str) -> dict[str, Any] | None:
    decisions = decided.decisions.get(identity)
    return decisions[0][1] if decisions else None


def _same_contents(request: Record, written: Record, ignoring: int) -> Violations:
    """`ignoring`: headers at the end that say why."""
    if written.partition != request.partition:
        yield f"{written} of request {request} is in another partition number"
    if (written.key, written.value) != (request.key, request.value):
        yield f"{written} has another key or value than request {request}"
    headers = written.headers[: len(written.headers) - ignoring]
    names = [name for name, _ in headers[-2:]]
    if headers[:-2] != request.headers or names != [DECISION_ID, DECIDED_AT]:
        yield f"{written} has headers {[name for name, _ in written.headers]}, request {request} had others"


def _stands_in(request: Record, letter: Record) -> Violations:
    original = request.value or b""
    wanted = {"length": len(original), "sha256": hashlib.sha256(original).hexdigest()}
    wanted["source"] = [request.topic, request.partition, request.offset]
    said = json.loads(letter.value or b"{}")
    if letter.partition != request.partition or said != {"head": said.get("head"), **wanted}:
        yield f"{letter} is no stand-in for request {request}"
    elif not said["head"] or not original.decode().startswith(said["head"]):
        yield f"{letter} does not begin as request {request} does"


def _validity(decided: Decided) -> Violations:
    for record, request, decision in decided.each():
        invalid, expected = decision["outcome"] == "invalid", request.expected
        # What is too large to be forwarded is only found out when nothing holds it.
        possible = {Expected.VALID: (False,), Expected.INVALID: (True,), Expected.UNWRITABLE: (True, False)}
        if invalid not in possible[expected]:
            yield f"{expected} request {record} was decided {decision['outcome']}"
        if expected is Expected.UNWRITABLE and decision["outcome"] == "forwarded":
            yield f"unwritable request {record} was forwarded"
        if bool(decision["reasons"]) == (decision["outcome"] == "forwarded"):
            yield f"request {record} was {decision['outcome']} with reasons {decision['reasons']}"


def _never_after_a_hold(decided: Decided) -> Violations:
    certainty = Certainty(decided.history.sent)
    for record, request, decision in decided.each():
        if decision["outcome"] != "forwarded":
            continue
        for subject in request.subjects:
            hold = certainty.surely_held(subject, request.channel, request.sent)
            if hold is not None:
                acknowledged = decided.history.sent.events_acknowledged[hold.event_id]
                yield (
                    f"request {record} ({request.channel}, sent at step {request.sent}) was forwarded although hold "
                    f"{hold.event_id} ({hold.scope}) on {'/'.join(subject)} was acknowledged at step {acknowledged}"
                )


def _free_is_forwarded(decided: Decided) -> Violations:
    certainty = Certainty(decided.history.sent)
    for record, request, decision in decided.each():
        if decision["outcome"] == "forwarded" or request.expected is not Expected.VALID:
            continue
        if all(certainty.surely_free(subject, request.channel, request.sent) for subject in request.subjects):
            yield f"request {record} was {decision['outcome']} although nothing ever held it, or no longer did"


def _states_are_fresh(decided: Decided) -> Violations:
    """The positions a decision names lie behind every event acknowledged before its request was sent."""
    history = decided.history
    logged = Log(history.events).offsets
    acknowledged = sorted((step, event_id) for event_id, step in history.sent.events_acknowledged.items())
    needed: dict[int, tuple[int, str]] = {}
    index = 0
    for record, request, decision in sorted(decided.each(), key=lambda each: each[1].sent):
        while index < len(acknowledged) and acknowledged[index][0] < request.sent:
            event_id = acknowledged[index][1]
            index += 1
            if event_id in logged:
                partition, offset = logged[event_id]
                needed[partition] = max((offset, event_id), needed.get(partition, (-1, "")))
        positions = _positions(decision)
        for partition, (offset, event_id) in needed.items():
            if positions.get(partition, 0) <= offset:
                yield (
                    f"request {record} was decided on {decision['state']}, before event {event_id} at offset {offset} "
                    f"of partition {partition}, which was acknowledged before the request was sent"
                )


def _outcomes_follow_states(decided: Decided) -> Violations:
    log = Log(decided.history.events)
    for record, request, decision in decided.each():
        outcome, positions = decision["outcome"], _positions(decision)
        held = any(log.held(subject, request.channel, positions) for subject in request.subjects)
        if outcome in ("forwarded", "dropped") and (outcome == "dropped") != held:
            yield f"request {record} was {outcome}, the state {decision['state']} says {'held' if held else 'free'}"


def _positions(decision: dict[str, Any]) -> dict[int, int]:
    return dict(decision["state"]["events"])


RULES: tuple[Callable[[Decided], Violations], ...] = (
    _acknowledged_is_there,
    _exactly_one_decision,
    _in_order,
    _forwards,
    _dead_letters,
    _validity,
    _never_after_a_hold,
    _free_is_forwarded,
)

RULES_OF_STATES: tuple[Callable[[Decided], Violations], ...] = (_states_are_fresh, _outcomes_follow_states)
