"""A small history in which all is right, made by hand, for the tests of the checker to spoil in one way each."""

from __future__ import annotations

import hashlib
import json

from tests.faults.history import (
    REQUEST_ID,
    Action,
    Expected,
    History,
    Record,
    Sent,
    SentEvent,
    SentRequest,
    Subject,
)

FREE, HELD, FREED = (Subject("loc1", "contact", name) for name in ("free", "held", "freed"))
PHONE = Subject("loc1", "phone", "+14155550001")
REQUESTS, DECISIONS, DEAD, EVENTS, SMS, FB = "requests", "decisions", "dead", "events", "sms", "fb"


def sent_request(number: int, subject: Subject | None, sent: int, expected: Expected = Expected.VALID) -> SentRequest:
    subjects = () if subject is None else (subject, PHONE)
    return SentRequest(f"r{number}", expected, "SMS", subjects, sent)


def sent_event(number: int, action: Action, subject: Subject, time: int, sent: int) -> SentEvent:
    return SentEvent(f"e{number}", action, subject, "SMS", "manual", time, sent)


def event_record(event: SentEvent, offset: int) -> Record:
    value: dict[str, object] = {"event_id": event.event_id, "type": event.action, "subject": event.subject}
    if event.action is Action.PLACE:
        value |= {"channels": [event.scope], "causes": [event.cause], "at": event.time}
    else:
        value["lifts"] = [{"channel": event.scope, "cause": event.cause, "through": event.time}]
    return Record(EVENTS, 0, offset, b"key", json.dumps(value).encode())


def request_record(number: int, offset: int) -> Record:
    value = json.dumps({"request_id": f"r{number}"}).encode()
    return Record(REQUESTS, 0, offset, b"key", value, ((REQUEST_ID, f"r{number}".encode()), ("trace", b"t")))


def decision_record(offset: int, outcome: str, position: int, of: Record) -> Record:
    value = {
        "decision_id": str(of),
        "request_id": json.loads(of.value or b"{}").get("request_id"),
        "channel": "SMS",
        "outcome": outcome,
        "reasons": [] if outcome == "forwarded" else [{"cause": "manual"}],
        "state": {"events": [[0, position]]},
    }
    return Record(DECISIONS, 0, offset, b"key", json.dumps(value).encode())


def written(topic: str, offset: int, of: Record, *more: tuple[str, bytes]) -> Record:
    headers = (*of.headers, ("sg-decision-id", str(of).encode()), ("sg-decided-at", b"1"), *more)
    return Record(topic, 0, offset, of.key, of.value, headers)


WHY = (("sg-reason-field", b"to"), ("sg-reason-expected", b"a phone number"))


def good() -> History:
    """r0 free; r1 held since e0; r2 invalid; r3 freed by e2; r4 sent before e3 held it; r5 unwritable; r6 skipped."""
    events = [
        sent_event(0, Action.PLACE, HELD, 100, sent=1),
        sent_event(1, Action.PLACE, FREED, 100, sent=3),
        sent_event(2, Action.LIFT, FREED, 100, sent=5),
        sent_event(3, Action.PLACE, FREE, 200, sent=20),
    ]
    requests = [
        sent_request(0, FREE, sent=7),
        sent_request(1, HELD, sent=8),
        sent_request(2, None, sent=9, expected=Expected.INVALID),
        sent_request(3, FREED, sent=10),
        sent_request(4, FREE, sent=11),
        sent_request(5, FREED, sent=12, expected=Expected.UNWRITABLE),
        sent_request(6, FREED, sent=13),
    ]
    sent = Sent(
        {request.request_id: request for request in requests},
        {request.request_id: 15 + index for index, request in enumerate(requests)},
        {event.event_id: event for event in events},
        {"e0": 2, "e1": 4, "e2": 6, "e3": 23},
    )
    records = [request_record(number, 2 * number) for number in range(7)]
    outcomes = ["forwarded", "dropped", "invalid", "forwarded", "dropped", "invalid"]
    decisions = [
        decision_record(index, outcome, 4 if index == 4 else 3, records[index])
        for index, outcome in enumerate(outcomes)
    ]
    original = records[5].value or b""
    stand_in = {
        "head": original.decode()[:5],
        "length": len(original),
        "sha256": hashlib.sha256(original).hexdigest(),
        "source": [REQUESTS, 0, 10],
    }
    headers = (("sg-stand-in", b"1"), ("sg-decision-id", str(records[5]).encode()))
    dead = [
        written(DEAD, 0, records[2], *WHY),
        Record(DEAD, 0, 1, b"key", json.dumps(stand_in).encode(), headers),
        Record(DEAD, 0, 2, b"", None, (("sg-skipped-from", b"12"), ("sg-skipped-through", b"12"))),
    ]
    outputs = {"SMS": [written(SMS, 0, records[0]), written(SMS, 2, records[3])], "FB": []}
    logged = [event_record(event, offset) for offset, event in enumerate(events)]
    return History(sent, records, decisions, outputs, dead, logged)
