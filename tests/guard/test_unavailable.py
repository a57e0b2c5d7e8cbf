"""R8: a channel that is not connected refuses what DND lets through, is no DND, and leaves DND as it is."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.contract.decisions import Unavailability
from gateway.dnd.model import Channel, Scope
from gateway.guard.deciding import Unavailable
from tests.guard.batches import CONTACT, NOW, PHONE, decide, email, held, mailbox, value
from tests.guard.test_random import HOLDS, UNHURRIED, almost_requests, lines

SMS_IS_OUT: Unavailable = {("loc1", Channel.SMS): Unavailability.DISCONNECTED}
EMAIL_IS_OUT: Unavailable = {("loc1", Channel.EMAIL): Unavailability.UNKNOWN}

A_HOLDS_FIELDS = {"subject", "cause", "kind", "since", "event_id"}


def decided(given: bytes, unavailable: Unavailable, holds: Any = None) -> dict[str, Any]:
    (decision,) = decide([given], holds, unavailable=unavailable).decisions
    return decision


def test_r8_a_disconnected_channel_is_unavailable_which_is_not_dnd() -> None:
    found = decide([value()], unavailable=SMS_IS_OUT)
    (decision,) = found.decisions
    assert decision["outcome"] == "unavailable"
    assert decision["reasons"] == [{"reason": "channel_unavailable", "channel": "SMS", "status": "disconnected"}]
    assert not A_HOLDS_FIELDS & decision["reasons"][0].keys()
    assert not found.forwarded
    assert not found.dead
    assert found.tally == {("SMS", "unavailable", ""): 1}


@pytest.mark.parametrize("other", [value(channel="Call"), value(location_id="loc2"), email()])
def test_r8_only_that_channel_of_that_location_is(other: bytes) -> None:
    assert decided(other, SMS_IS_OUT)["outcome"] == "forwarded"


def test_r7_a_channel_that_a_location_must_have_a_record_of_is_unavailable_until_there_is_one() -> None:
    assert decided(email(), EMAIL_IS_OUT)["reasons"] == [
        {"reason": "channel_unavailable", "channel": "Email", "status": "unknown"}
    ]


def test_the_first_that_applies_of_invalid_expired_dropped_unavailable() -> None:
    on_hold = {CONTACT: held(Scope.SMS)}
    assert decided(value(to="x"), SMS_IS_OUT, on_hold)["outcome"] == "invalid"
    assert decided(value(not_after=NOW - 1), SMS_IS_OUT, on_hold)["outcome"] == "expired"
    dropped = decided(value(), SMS_IS_OUT, on_hold)
    assert (dropped["outcome"], [reason["cause"] for reason in dropped["reasons"]]) == ("dropped", ["manual"])
    assert decided(value(), SMS_IS_OUT, {PHONE: held(Scope.EMAIL)})["outcome"] == "unavailable"


def test_an_email_to_several_is_unavailable_as_a_whole_unless_it_is_dropped() -> None:
    several = email(to=["a@example.com", "b@example.com"])
    one, both = {mailbox("a@example.com"): held(Scope.EMAIL)}, [mailbox("a@example.com"), mailbox("b@example.com")]
    found = decided(several, EMAIL_IS_OUT, one)
    assert found["outcome"] == "unavailable"
    assert "removed" not in found
    assert decided(several, EMAIL_IS_OUT, dict.fromkeys(both, held(Scope.EMAIL)))["outcome"] == "dropped"


INTEGRATIONS = st.dictionaries(
    st.tuples(st.sampled_from(["loc1", "loc2", "Ж"]), st.sampled_from(Channel)), st.sampled_from(Unavailability)
)


@given(lines(almost_requests()), INTEGRATIONS)
@UNHURRIED
def test_r8_an_integration_never_changes_what_dnd_says(batch: Any, unavailable: Unavailable) -> None:
    """Property: only what would be forwarded becomes unavailable; every other decision stays as it is, byte by byte."""
    connected = decide(batch, HOLDS, default_region="US").decisions
    found = decide(batch, HOLDS, default_region="US", unavailable=unavailable).decisions
    for before, after in zip(connected, found, strict=True):
        is_out = (before["location_id"], before["channel"]) in unavailable
        if before["outcome"] == "forwarded" and is_out:
            assert after["outcome"] == "unavailable"
            assert not any(A_HOLDS_FIELDS & reason.keys() for reason in after["reasons"])
        else:
            assert after == before
    assert decide(batch, HOLDS, default_region="US").decisions == connected, "once back, all is as it was"
