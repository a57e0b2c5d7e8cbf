"""A contact's DND as people see it."""

from __future__ import annotations

import pytest

from gateway.contacts.state import EVIDENCE_ENTRIES, EVIDENCE_TEXT, address_dnd, contact_dnd, evidence_summary
from gateway.dnd.model import Actor, ActorKind, Cause, Channel, Kind, Scope
from gateway.dnd.record import EMPTY
from gateway.dnd.status import ChannelStatus, Status
from tests.contacts.people import CONTACT, EMAIL, EVERYTHING, NOW, PHONE, applied, nothing, place

ACTIVE, INACTIVE, PERMANENT = ChannelStatus.ACTIVE, ChannelStatus.INACTIVE, ChannelStatus.PERMANENT


def test_a_contact_nobody_knows_is_off() -> None:
    """R3."""
    shown = contact_dnd(CONTACT, nothing(), EVERYTHING)
    assert (shown.dnd, shown.status, shown.holds, shown.addresses) == (False, Status.OFF, (), ())
    assert shown.channels == dict.fromkeys(Channel, INACTIVE)


def test_dnd_is_the_contacts_all_hold_alone_and_channels_are_their_own_holds() -> None:
    """R4, R6."""
    places = [place(CONTACT, Scope.ALL, Cause.LEGACY), place(PHONE, Scope.SMS, Cause.KEYWORD_OPT_OUT)]
    shown = contact_dnd(CONTACT, applied(nothing(CONTACT, PHONE), places), EVERYTHING)
    assert (shown.dnd, shown.status, shown.addresses) == (True, Status.ON, (PHONE,))
    assert shown.channels == dict.fromkeys(Channel, INACTIVE) | {Channel.SMS: PERMANENT}
    on_address = applied(nothing(CONTACT, PHONE), [place(PHONE, Scope.ALL, Cause.MANUAL)])
    assert not contact_dnd(CONTACT, on_address, EVERYTHING).dnd


@pytest.mark.parametrize(
    ("enlisted", "expected"),
    [
        (EVERYTHING, Status.PARTIAL),
        (frozenset({Channel.EMAIL}), Status.ON),
        (frozenset({Channel.SMS}), Status.OFF),
        (frozenset(), Status.OFF),
    ],
    ids=["all", "what is held", "something else", "none"],
)
def test_the_status_is_over_what_is_enlisted(enlisted: frozenset[Channel], expected: Status) -> None:
    """R4, R7: the holds are shown whatever is enlisted."""
    records = applied(nothing(CONTACT, EMAIL), [place(EMAIL, Scope.EMAIL, Cause.BOUNCE)])
    shown = contact_dnd(CONTACT, records, enlisted)
    assert (shown.status, shown.enlisted, shown.channels[Channel.EMAIL]) == (expected, enlisted, ACTIVE)
    assert [hold.cause for hold in shown.holds] == [Cause.BOUNCE]


def test_an_address_is_shown_over_the_channels_that_use_it() -> None:
    records = applied(nothing(PHONE), [place(PHONE, Scope.SMS, Cause.UNREACHABLE)])
    shown = address_dnd(PHONE, records[PHONE], frozenset({Channel.SMS, Channel.EMAIL}))
    assert shown.channels == {Channel.CALL: INACTIVE, Channel.SMS: ACTIVE, Channel.WHATSAPP: INACTIVE}
    assert (shown.dnd, shown.status) == (False, Status.ON)  # of what is enlisted, only SMS uses a number
    assert address_dnd(PHONE, EMPTY, EVERYTHING).status is Status.OFF
    on_all = applied(nothing(PHONE), [place(PHONE, Scope.ALL, Cause.MANUAL)])[PHONE]
    assert (address_dnd(PHONE, on_all, frozenset()).dnd, address_dnd(PHONE, on_all, frozenset()).status) == (
        True,
        Status.ON,
    )


def test_a_hold_says_whose_it_is_since_when_from_whom_and_who_may_lift_it() -> None:
    """R18."""
    stop = place(PHONE, Scope.SMS, Cause.KEYWORD_OPT_OUT, at=NOW - 5, event_id="SM1", evidence={"text": "STOP"})
    (hold,) = contact_dnd(CONTACT, applied(nothing(CONTACT, PHONE), [stop]), EVERYTHING).holds
    assert (hold.subject, hold.scope, hold.cause, hold.kind) == (
        (PHONE, Scope.SMS, Cause.KEYWORD_OPT_OUT, Kind.PERMANENT)
    )
    assert (hold.since, hold.event_id, hold.evidence) == (NOW - 5, "SM1", {"text": "STOP"})
    assert hold.actor == Actor(ActorKind.PROVIDER, "p")
    assert list(map(str, hold.lifted_by)) == ["support (by an approved appeal)", "contact"]


def test_evidence_is_summed_up_in_its_plain_values() -> None:
    given = {"text": "x" * 999, "code": 30004, "is_test": True, "raw": {"deep": []}, "list": [1], "nothing": None}
    assert evidence_summary(given) == {"text": "x" * EVIDENCE_TEXT, "code": 30004, "is_test": True}
    assert len(evidence_summary({str(number): number for number in range(99)})) == EVIDENCE_ENTRIES
