"""Which holds stop a message."""

from __future__ import annotations

import pytest
from hypothesis import given

from gateway.dnd.decide import Reason, covers, reasons
from gateway.dnd.model import Actor, ActorKind, Cause, Channel, Kind, Lift, LiftTerm, Place, Scope
from gateway.dnd.record import EMPTY, Record, fold
from tests.dnd.strategies import SUBJECT, folded, records

USER = Actor(ActorKind.USER, "u1")


def place(event_id: str, at: int, cause: Cause, *scopes: Scope) -> tuple[Place, int]:
    return Place(event_id, SUBJECT, scopes, (cause,), at, USER), at


def test_every_hold_on_contact_and_address_on_channel_and_all_is_named() -> None:
    """R21, R22: with its kind, when it was placed and by which event."""
    contact = folded([place("c1", 10, Cause.MANUAL, Scope.ALL, Scope.SMS), place("c2", 20, Cause.BOUNCE, Scope.EMAIL)])
    address = folded([place("a1", 30, Cause.KEYWORD_OPT_OUT, Scope.SMS), place("a2", 40, Cause.UNREACHABLE, Scope.SMS)])
    assert reasons(Channel.SMS, "contact", contact) + reasons(Channel.SMS, "address", address) == [
        Reason("contact", Scope.ALL, Cause.MANUAL, Kind.MANUAL, 10, "c1"),
        Reason("contact", Scope.SMS, Cause.MANUAL, Kind.MANUAL, 10, "c1"),
        Reason("address", Scope.SMS, Cause.KEYWORD_OPT_OUT, Kind.PERMANENT, 30, "a1"),
        Reason("address", Scope.SMS, Cause.UNREACHABLE, Kind.TEMPORARY, 40, "a2"),
    ]


@pytest.mark.parametrize("channel", Channel)
def test_all_blocks_every_channel(channel: Channel) -> None:
    """R1, R6: one hold on ALL, so a channel connected later is covered too."""
    record = folded([place("e", 1, Cause.LEGACY, Scope.ALL)])
    assert [reason.scope for reason in reasons(channel, "contact", record)] == [Scope.ALL]


@pytest.mark.parametrize("channel", Channel)
def test_a_channel_is_blocked_by_holds_on_it_and_on_all_and_by_no_other(channel: Channel) -> None:
    """R1: DND is per channel, or for all together."""
    assert {scope for scope in Scope if covers(scope, channel)} == {Scope(channel.value), Scope.ALL}


@pytest.mark.parametrize("channel", Channel)
def test_lifting_all_leaves_the_holds_of_the_channels(channel: Channel) -> None:
    """R6: the all-channels switch is a hold of its own."""
    record = folded([place("e1", 1, Cause.MANUAL, Scope.ALL), place("e2", 1, Cause.MANUAL, Scope(channel.value))])
    lifted = fold(record, Lift("e3", SUBJECT, (LiftTerm(Scope.ALL, Cause.MANUAL, 1),), USER), 2).record
    assert [reason.scope for reason in reasons(channel, "contact", lifted)] == [Scope(channel.value)]


def test_nothing_known_blocks_nothing() -> None:
    """R3, R5: without a hold everything goes out."""
    for channel in Channel:
        assert reasons(channel, "contact", None) == reasons(channel, "address", EMPTY) == []


@given(records())
def test_a_message_is_blocked_by_exactly_the_holds_in_force(record: Record) -> None:
    for channel in Channel:
        found = reasons(channel, "address", record)
        blocking = {(scope, cause) for (scope, cause), _ in record.holds() if scope in (channel.value, "ALL")}
        assert {(reason.scope, reason.cause) for reason in found} == blocking
        assert found == sorted(found, key=lambda reason: (reason.scope, reason.cause))
        assert len(found) == len(blocking)
