"""`explain` against the guard itself, on a real view: the same decision, for whatever is asked of whatever is held."""

from __future__ import annotations

import json
import random
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.contacts.explain import Explainer, Explanation, OtherLocation, explanation
from gateway.contacts.log import DndReads, NotAvailable
from gateway.contract.decisions import Outcome, Unavailability
from gateway.dnd.model import (
    Actor,
    ActorKind,
    Cause,
    Channel,
    Event,
    Lift,
    LiftTerm,
    Place,
    Scope,
    Subject,
    SubjectKind,
)
from gateway.streams.quorum import NotFreshError
from gateway.streams.worker import Batch
from gateway.view.table import View
from tests.contacts.people import CONTACT, PHONE, place
from tests.guard.batches import GOOD
from tests.guard.batches import value as request_value
from tests.guard.test_guard import INPUT, Passing, collect, guard_with, record
from tests.guard.test_random import almost_requests
from tests.view.logs import START_MS, line, open_view

CONTACTS = [f"c{number}" for number in range(12)]
PHONES = [f"+1415555{2660 + number}" for number in range(12)]
MAILBOXES = [f"{letter}@example.com" for letter in "abcdefgh"]
OTHERS = {SubjectKind.PSID: ["p1", "p2"], SubjectKind.GMB: ["g1", "g2"], SubjectKind.WA_USER: ["US.1", "US.2"]}
SPELLINGS = ["SMS", "sms", "MMS", "Call", "Voicemail", "Email", "email", "WhatsApp", "GMB", "FB", "messenger", "Fax"]

NOT_CONNECTED = {
    ("loc1", Channel.GMB): Unavailability.DISCONNECTED,
    ("loc1", Channel.CALL): Unavailability.UNKNOWN,
    ("loc2", Channel.SMS): Unavailability.DISCONNECTED,
}

LONG_AGO, FAR_OFF = 1, 10**15
"""`not_after` on either side of whatever the clock says while the test runs."""


def subjects() -> list[Subject]:
    found = [Subject("loc1", SubjectKind.CONTACT, each) for each in CONTACTS]
    found += [Subject("loc1", SubjectKind.PHONE, each) for each in PHONES]
    found += [Subject("loc1", SubjectKind.EMAIL, each) for each in MAILBOXES]
    found += [Subject("loc1", kind, each) for kind, ids in OTHERS.items() for each in ids]
    return found + [Subject("loc2", SubjectKind.CONTACT, each) for each in CONTACTS]


def random_event(rng: random.Random, number: int, subject: Subject) -> Event:
    scopes = tuple(rng.sample(list(Scope), rng.choice((1, 1, 2))))
    causes = tuple(rng.sample(list(Cause), rng.choice((1, 1, 2))))
    actor = Actor(rng.choice(list(ActorKind)), "x")
    at = START_MS + rng.randrange(-9_000, 9_000)
    if rng.random() < 0.7:
        return Place(f"e{number}", subject, scopes, causes, at, actor, {"text": f"STOP {number}", "nested": {"a": 1}})
    return Lift(f"e{number}", subject, tuple(LiftTerm(s, c, at) for s in scopes for c in causes), actor)


def held_at_random(view: View, rng: random.Random, events: int) -> None:
    """About a third of the subjects has something in force."""
    held = rng.sample(subjects(), len(subjects()) // 2)
    lines = [line(number, random_event(rng, number, rng.choice(held))) for number in range(events)]
    view.apply(0, lines, events)


def random_request(rng: random.Random) -> bytes:
    channel = rng.choice(SPELLINGS)
    match channel.lower():
        case "email":
            some = rng.choices(MAILBOXES, k=rng.choice((1, 1, 2, 3)))
            to: object = some if len(some) > 1 or rng.random() < 0.3 else some[0]
        case "gmb":
            to = rng.choice(OTHERS[SubjectKind.GMB])
        case "fb" | "messenger":
            to = rng.choice(OTHERS[SubjectKind.PSID])
        case "whatsapp":
            to = rng.choice(OTHERS[SubjectKind.WA_USER] + PHONES)
        case _:
            to = rng.choice([*PHONES, "(415) 555-2661", "no number"])
    fields: dict[str, Any] = dict(GOOD, contact_id=rng.choice(CONTACTS), channel=channel, to=to)
    if channel.lower() == "email" and rng.random() < 0.3:
        fields["cc"] = rng.choices(MAILBOXES, k=2)
    if rng.random() < 0.2:
        fields["not_after"] = rng.choice((LONG_AGO, FAR_OFF))
    if rng.random() < 0.05:
        fields.pop(rng.choice(list(fields)))
    return json.dumps(fields).encode()


async def decided(view: View, values: list[bytes]) -> list[dict[str, Any]]:
    """By the guard's transform, in one batch, as in production."""
    outputs, written = collect()
    guard = guard_with(view, Passing())
    guard._default_region, guard._unavailable = us, lambda: NOT_CONNECTED
    await guard(Batch(INPUT, [record(offset, value=value) for offset, value in enumerate(values)]), outputs)
    return [json.loads(each["value"]) for each in written("outbound.decisions")]


def us(location_id: str) -> str:
    return "US"


def as_decided(found: Explanation) -> dict[str, Any]:
    """The explanation in the words of a decision, without id, state and time."""
    reasons: list[object] = [
        {"subject": r.wire.subject, "channel": r.wire.channel, "cause": r.wire.cause, "kind": r.wire.kind}
        | {"since": r.wire.since, "event_id": r.wire.event_id}
        for r in found.reasons
    ]
    if found.fault is not None:
        reasons.append({"field": found.fault.field, "expected": found.fault.expected})
    if found.unavailable is not None:
        reasons.append(msgspec.to_builtins(found.unavailable))
    return {
        "request_id": found.request_id,
        "location_id": found.location_id,
        "contact_id": found.contact_id,
        "channel": found.channel,
        "outcome": found.outcome,
        "reasons": reasons,
    } | ({"removed": list(found.removed)} if found.removed else {})


def comparable(decision: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in decision.items() if name not in ("decision_id", "state", "decided_at")}


def location_of(value: bytes) -> str:
    try:
        return str(json.loads(value)["location_id"])
    except (ValueError, KeyError, TypeError):
        return "loc1"


def explained(value: bytes, view: View) -> Explanation:
    now = time.time_ns() // 1_000_000  # the guard's clock, too
    return explanation(location_of(value), value, view, us, now, NOT_CONNECTED)


@pytest.fixture
def view(tmp_path: Path) -> Iterator[View]:
    opened = open_view(tmp_path / "view")
    yield opened
    opened.close()


@pytest.mark.parametrize("seed", range(5))
async def test_it_is_the_decision_the_guard_makes_on_thousands_of_random_requests(view: View, seed: int) -> None:
    rng = random.Random(seed)
    held_at_random(view, rng, 150)
    values = [random_request(rng) for _ in range(1_000)]
    before = list(view.records()), view.positions()
    decisions = await decided(view, values)
    found = [explained(value, view) for value in values]
    assert [as_decided(each) for each in found] == [comparable(each) for each in decisions]
    assert (list(view.records()), view.positions()) == before  # and asking changed nothing
    outcomes = {each["outcome"] for each in decisions}
    assert outcomes == {"forwarded", "dropped", "expired", "invalid", "unavailable"}, f"seed {seed} is too tame"
    for reason in (reason for each in found for reason in each.reasons):
        hold, wire = reason.hold, reason.wire
        assert (hold.scope, hold.cause, hold.kind, hold.since, hold.event_id) == (
            (wire.channel, wire.cause, wire.kind, wire.since, wire.event_id)
        )
        assert (hold.subject.kind is SubjectKind.CONTACT) == (wire.subject == "contact")
        assert hold.evidence == {"text": f"STOP {hold.event_id[1:]}"}


@pytest.fixture(scope="module")
def shared_view(tmp_path_factory: pytest.TempPathFactory) -> Iterator[View]:
    """For the examples of one random test, which only look at it."""
    opened = open_view(tmp_path_factory.mktemp("shared") / "view")
    held_at_random(opened, random.Random(7), 120)
    yield opened
    opened.close()


@given(values=st.lists(almost_requests() | st.binary(max_size=30), min_size=1, max_size=5))
async def test_it_is_the_guards_decision_for_broken_and_hostile_requests_too(
    shared_view: View, values: list[bytes]
) -> None:
    decisions = await decided(shared_view, values)
    for value, decision in zip(values, decisions, strict=True):
        assert as_decided(explained(value, shared_view)) == comparable(decision)


def test_each_reason_says_whose_it_is_who_may_lift_it_and_what_is_behind_it(view: View) -> None:
    """R18."""
    stop = place(
        PHONE, Scope.SMS, Cause.KEYWORD_OPT_OUT, event_id="SM1", evidence={"provider": "twilio", "text": "STOP"}
    )
    manual = place(CONTACT, Scope.ALL, Cause.MANUAL, event_id="m1", evidence={})
    view.apply(0, [line(0, stop, stop.at), line(1, manual, manual.at)], 2)
    found = explained(request_value(), view)
    assert found.outcome is Outcome.DROPPED
    by_contact, by_phone = (reason.hold for reason in found.reasons)
    assert (by_contact.subject, by_contact.cause, by_contact.evidence) == (CONTACT, Cause.MANUAL, {})
    assert (by_phone.subject, by_phone.evidence) == (PHONE, {"provider": "twilio", "text": "STOP"})
    assert [str(lifter) for lifter in by_phone.lifted_by] == ["support (by an approved appeal)", "contact"]


def test_nothing_is_told_of_another_location(view: View) -> None:
    with pytest.raises(OtherLocation):
        explanation("loc2", request_value(), view, us, START_MS)
    assert explanation("loc2", b"{}", view, us, START_MS).outcome is Outcome.INVALID


class Behind:
    """A fresh state whose view may lack what was acknowledged."""

    @property
    def barrier(self) -> Behind:
        return self

    @property
    def view(self) -> View:
        raise AssertionError("the view was looked at before the barrier passed")

    async def passed(self) -> None:
        raise NotFreshError("two events behind")

    async def wait_applied(self, partition: int, end: int) -> None:
        raise NotFreshError("two events behind")


async def test_on_a_view_that_may_be_behind_nothing_is_explained() -> None:
    with pytest.raises(NotAvailable, match="two events behind"):
        await Explainer(DndReads(Behind(), 0.05), us).explain("loc1", request_value())
