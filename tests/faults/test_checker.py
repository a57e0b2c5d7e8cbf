"""The checker itself: a right history has no violation, and each kind of wrong one is found and named."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from typing import Any

import pytest

from tests.faults.checker import SHOWN, check
from tests.faults.history import Expected, History, Record
from tests.faults.right_history import DEAD, FB, FREE, SMS, WHY, decision_record, good, sent_request, written


def changed(record: Record, **fields: object) -> Record:
    """The same with other fields in its JSON value."""
    return dataclasses.replace(record, value=json.dumps({**json.loads(record.value or b"{}"), **fields}).encode())


def with_decision(history: History, index: int, **fields: object) -> History:
    decisions = list(history.decisions)
    decisions[index] = changed(decisions[index], **fields)
    return dataclasses.replace(history, decisions=decisions)


def with_forwards(history: History, *records: Record, channel: str = "SMS") -> History:
    return dataclasses.replace(history, outputs={**history.outputs, channel: list(records)})


def with_sent(history: History, **changes: Any) -> History:
    return dataclasses.replace(history, sent=dataclasses.replace(history.sent, **changes))


def forwarded_too(history: History, index: int) -> History:
    """Decision and forward say so: only the driver and the state know better."""
    history = with_decision(history, index, outcome="forwarded", reasons=[])
    forwards = [*history.outputs["SMS"], written(SMS, 2 * index, history.requests[index])]
    forwards.sort(key=lambda record: int((record.header("sg-decision-id") or b"").rpartition(b"-")[2]))
    renumbered = [dataclasses.replace(record, offset=offset) for offset, record in enumerate(forwards)]
    return with_forwards(history, *renumbered)


def without_forward(history: History, index: int) -> History:
    """Decided as dropped, and not forwarded."""
    history = with_decision(history, index, outcome="dropped", reasons=[{"cause": "manual"}])
    kept = [
        each
        for each in history.outputs["SMS"]
        if each.header("sg-decision-id") != str(history.requests[index]).encode()
    ]
    return with_forwards(history, *kept)


def free_again_unacknowledged(history: History) -> History:
    """The hold e3 was sent before r4: a request that is dropped for it is right, one that is forwarded too."""
    return with_sent(history, events_acknowledged={**history.sent.events_acknowledged, "e3": 24})


def of_unknown_fate(history: History) -> History:
    """The sender never heard what became of r0 and of the hold e3."""
    sent = history.sent
    return with_sent(
        history,
        requests_acknowledged={k: v for k, v in sent.requests_acknowledged.items() if k != "r0"},
        requests_unknown={"r0": "timed out"},
        events_acknowledged={k: v for k, v in sent.events_acknowledged.items() if k != "e3"},
        events_unknown={"e3": "timed out"},
    )


Mutation = Callable[[History], History]

WRONG: list[tuple[str, Mutation, str]] = [
    (
        "a request without decision",
        lambda h: dataclasses.replace(h, decisions=h.decisions[1:]),
        "request requests-0-0 has 0 decisions",
    ),
    (
        "a second decision",
        lambda h: dataclasses.replace(h, decisions=[*h.decisions, dataclasses.replace(h.decisions[5], offset=9)]),
        "request requests-0-10 has 2 decisions",
    ),
    (
        "a decision of no request",
        lambda h: with_decision(h, 0, decision_id="requests-0-77"),
        "is of requests-0-77, which is no request",
    ),
    (
        "a decision in another partition number",
        lambda h: dataclasses.replace(
            h, decisions=[dataclasses.replace(h.decisions[0], partition=1), *h.decisions[1:]]
        ),
        "is in another partition number",
    ),
    (
        "a decision that names another request",
        lambda h: with_decision(h, 0, request_id="r9"),
        "names request r9, requests-0-0 is r0",
    ),
    (
        "a decision of what was skipped",
        lambda h: dataclasses.replace(h, decisions=[*h.decisions, decision_record(6, "dropped", 3, h.requests[6])]),
        "was skipped as lost and has 1 decisions",
    ),
    (
        "decisions out of order",
        lambda h: dataclasses.replace(
            h,
            decisions=[
                dataclasses.replace(h.decisions[0], offset=1),
                dataclasses.replace(h.decisions[1], offset=0),
                *h.decisions[2:],
            ],
        ),
        "decisions-0-1 is of request offset 0 and comes after that of offset 2",
    ),
    (
        "forwards out of order",
        lambda h: with_forwards(h, *[dataclasses.replace(each, offset=4 - each.offset) for each in h.outputs["SMS"]]),
        "sms-0-4 is of request offset 0 and comes after that of offset 6",
    ),
    (
        "a forward that is missing",
        lambda h: with_forwards(h, h.outputs["SMS"][1]),
        "request requests-0-0 is to be forwarded and was 0 times",
    ),
    (
        "a second forward",
        lambda h: with_forwards(h, *h.outputs["SMS"], dataclasses.replace(h.outputs["SMS"][1], offset=9)),
        "request requests-0-6 is to be forwarded and was 2 times",
    ),
    (
        "a forward against the decision",
        lambda h: with_forwards(h, *h.outputs["SMS"], written(SMS, 9, h.requests[4])),
        "request requests-0-8 is not to be forwarded and was 1 times",
    ),
    (
        "a forward of nothing",
        lambda h: with_forwards(h, *h.outputs["SMS"], Record(SMS, 0, 9, None, b"{}")),
        "sms-0-9 has decision id none, which is no request",
    ),
    (
        "a forward on another channel",
        lambda h: with_forwards(with_forwards(h, h.outputs["SMS"][1]), written(FB, 0, h.requests[0]), channel="FB"),
        "request requests-0-0 of channel SMS was forwarded to FB",
    ),
    (
        "a forward in another partition number",
        lambda h: with_forwards(h, dataclasses.replace(h.outputs["SMS"][0], partition=2), h.outputs["SMS"][1]),
        "sms-2-0 of request requests-0-0 is in another partition number",
    ),
    (
        "a forward with other bytes",
        lambda h: with_forwards(h, changed(h.outputs["SMS"][0], body="?"), h.outputs["SMS"][1]),
        "sms-0-0 has another key or value than request requests-0-0",
    ),
    (
        "a forward without the sender's headers",
        lambda h: with_forwards(
            h, dataclasses.replace(h.outputs["SMS"][0], headers=h.outputs["SMS"][0].headers[-2:]), h.outputs["SMS"][1]
        ),
        "sms-0-0 has headers",
    ),
    (
        "a dead letter that is missing",
        lambda h: dataclasses.replace(h, dead=h.dead[1:]),
        "request requests-0-4 is invalid and has 0 dead letters",
    ),
    (
        "a dead letter against the decision",
        lambda h: dataclasses.replace(h, dead=[*h.dead, written(DEAD, 9, h.requests[4], *WHY)]),
        "request requests-0-8 is not invalid and has 1 dead letters",
    ),
    (
        "a dead letter of nothing",
        lambda h: dataclasses.replace(h, dead=[*h.dead, Record(DEAD, 0, 9, None, b"{}")]),
        "dead-0-9 has decision id none, which is no request",
    ),
    (
        "a dead letter with other bytes",
        lambda h: dataclasses.replace(h, dead=[changed(h.dead[0], body="?"), *h.dead[1:]]),
        "dead-0-0 has another key or value than request requests-0-4",
    ),
    (
        "a stand-in for something else",
        lambda h: dataclasses.replace(h, dead=[h.dead[0], changed(h.dead[1], length=1), h.dead[2]]),
        "dead-0-1 is no stand-in for request requests-0-10",
    ),
    (
        "a stand-in with another beginning",
        lambda h: dataclasses.replace(h, dead=[h.dead[0], changed(h.dead[1], head="?"), h.dead[2]]),
        "dead-0-1 does not begin as request requests-0-10 does",
    ),
    (
        "a valid request refused",
        lambda h: with_sent(h, requests={**h.sent.requests, "r2": sent_request(2, FREE, sent=9)}),
        "valid request requests-0-4 was decided invalid",
    ),
    (
        "an invalid request decided otherwise",
        lambda h: with_sent(h, requests={**h.sent.requests, "r0": sent_request(0, None, 7, Expected.INVALID)}),
        "invalid request requests-0-0 was decided forwarded",
    ),
    (
        "a drop without a reason",
        lambda h: with_decision(h, 1, reasons=[]),
        "request requests-0-2 was dropped with reasons []",
    ),
    (
        "a forward after an acknowledged hold",
        lambda h: forwarded_too(h, 1),
        "was forwarded although hold e0 (SMS) on loc1/contact/held was acknowledged at step 2",
    ),
    (
        "a drop of what was never held",
        lambda h: with_sent(without_forward(h, 0), events={k: v for k, v in h.sent.events.items() if k != "e3"}),
        "request requests-0-0 was dropped although nothing ever held it, or no longer did",
    ),
    (
        "a drop of what was freed before",
        lambda h: without_forward(h, 3),
        "request requests-0-6 was dropped although nothing ever held it, or no longer did",
    ),
    (
        "a decision on a state that lacks an acknowledged event",
        lambda h: with_decision(h, 0, state={"events": [[0, 2]]}),
        "request requests-0-0 was decided on {'events': [[0, 2]]}, before event e2 at offset 2",
    ),
    (
        "a drop that its own state does not demand",
        lambda h: with_decision(h, 4, state={"events": [[0, 3]]}),
        "request requests-0-8 was dropped, the state {'events': [[0, 3]]} says free",
    ),
    (
        "an acknowledged request that the cluster lost",
        lambda h: dataclasses.replace(h, requests=h.requests[1:]),
        "Kafka acknowledged request r0 and does not have it",
    ),
    (
        "a request of unknown fate that is there and has no decision",
        lambda h: dataclasses.replace(of_unknown_fate(h), decisions=h.decisions[1:]),
        "request requests-0-0 has 0 decisions",
    ),
    (
        "a request of unknown fate that is there and was forwarded twice",
        lambda h: with_forwards(
            of_unknown_fate(h), *h.outputs["SMS"], dataclasses.replace(h.outputs["SMS"][0], offset=9)
        ),
        "request requests-0-0 is to be forwarded and was 2 times",
    ),
    (
        "a decision of a request of unknown fate that is not there",
        lambda h: dataclasses.replace(of_unknown_fate(h), requests=h.requests[1:]),
        "is of requests-0-0, which is no request",
    ),
    (
        "an acknowledged event that the cluster lost",
        lambda h: dataclasses.replace(h, events=h.events[:-1]),
        "Kafka acknowledged event e3 and does not have it",
    ),
]


def test_a_right_history_has_no_violation() -> None:
    report = check(good())
    assert report.count == 0, report
    assert (report.requests, report.forwarded, report.dropped, report.invalid, report.events) == (7, 2, 2, 2, 4)


@pytest.mark.parametrize(("mutation", "words"), [case[1:] for case in WRONG], ids=[case[0] for case in WRONG])
def test_each_kind_of_wrong_is_found_and_named(mutation: Mutation, words: str) -> None:
    report = check(mutation(good()))
    assert any(words in violation for violation in report.violations), report


def test_what_was_sent_while_a_hold_was_under_way_may_be_decided_either_way() -> None:
    history = free_again_unacknowledged(good())
    assert check(history).count == 0
    freed = with_decision(forwarded_too(history, 4), 4, state={"events": [[0, 3]]})
    assert check(freed).count == 0


def test_records_of_unknown_fate_may_be_there_or_not_and_are_counted() -> None:
    history = of_unknown_fate(good())
    report = check(history)
    assert (report.count, report.unknown) == (0, 2), report
    lost = dataclasses.replace(
        history,
        requests=history.requests[1:],
        decisions=history.decisions[1:],
        outputs={**history.outputs, "SMS": history.outputs["SMS"][1:]},
    )
    assert check(lost).count == 0, check(lost)


def test_only_the_first_violations_are_shown_and_all_are_counted() -> None:
    history = good()
    many = [Record(SMS, 0, offset, None, b"{}", (("sg-decision-id", b"x-%d" % offset),)) for offset in range(50)]
    report = check(with_forwards(history, *history.outputs["SMS"], *many))
    assert len(report.violations) == SHOWN
    assert report.count >= len(many)


def test_states_can_be_left_out_where_offsets_mean_nothing() -> None:
    stale = with_decision(good(), 0, state={"events": [[0, 0]]})
    assert check(stale).count > 0
    assert check(stale, states=False).count == 0
