"""What came in is counted from the events, each occasion once."""

from __future__ import annotations

import dataclasses

from gateway.demo.audit.occasions import APPEAL, START, STOP, SWITCH, occasions
from gateway.dnd.model import Actor, ActorKind, Cause, Event, Scope, Subject, SubjectKind
from tests.demo.histories import ADA, BEN, event_at, phone, start, stop

CONTACT = Subject("loc1", SubjectKind.CONTACT, "c1")


def counted(*events: Event) -> dict[str, int]:
    return dict(occasions(event_at(event, 1_000, offset) for offset, event in enumerate(events)))


def test_a_stop_counts_once_though_it_is_copied_to_the_contact_and_delivered_again() -> None:
    said = stop(phone(ADA), 100)
    copied = dataclasses.replace(said, event_id="mirror:1", subject=CONTACT)
    assert counted(said, copied, said, stop(phone(BEN), 200)) == {STOP: 2}


def test_a_start_and_an_appeal_are_told_apart_and_an_appeal_counts_once() -> None:
    support = Actor(ActorKind.SUPPORT, "support-desk")
    lifted = dataclasses.replace(start(phone(ADA), 100), actor=support, evidence={"appeal": "7"})
    again = dataclasses.replace(lifted, event_id="another", subject=CONTACT)
    assert counted(start(phone(ADA), 100), lifted, again) == {START: 1, APPEAL: 1}


def test_a_carriers_code_and_a_users_switch_count_by_themselves() -> None:
    carrier = dataclasses.replace(stop(phone(ADA), 100, cause=Cause.UNREACHABLE), evidence={"code": "30003"})
    switched = stop(CONTACT, 100, Scope.ALL, Cause.MANUAL)
    assert counted(carrier, switched) == {"carrier: 30003 unreachable": 1, SWITCH: 1}


def test_what_cannot_be_read_is_left_out() -> None:
    broken = event_at(stop(phone(ADA), 100), 100, 0)
    assert occasions([type(broken)(broken.topic, 0, 0, 1, None, b"not JSON")]) == {}
