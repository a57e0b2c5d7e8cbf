"""R7 and R8: channels are switched while they are connected, and a channel that drops is no DND."""

from __future__ import annotations

import pytest

from tests.requirements.accounts import Kind
from tests.requirements.location import CHANNELS, DROPPED, FORWARDED, UNAVAILABLE, Location, NewLocation
from tests.requirements.people import somebody


def test_r7_enlisted_channels_are_switched_one_by_one_and_all_at_once(location: Location) -> None:
    """What nobody has said anything about is enlisted, as is what was said to be connected."""
    person = somebody()
    location.integration("SMS", "connected")
    assert set(location.dnd(person)["enlisted"]) == set(CHANNELS)
    location.switch(person, SMS=True, Email=True)
    assert location.outcomes(person) == dict.fromkeys(CHANNELS, FORWARDED) | {"SMS": DROPPED, "Email": DROPPED}
    location.switch(person, SMS=False)
    location.switch(person, dnd=True)
    assert location.outcomes(person) == dict.fromkeys(CHANNELS, DROPPED)


@pytest.mark.parametrize("on", [True, False])
def test_r7_switching_a_channel_that_is_not_enlisted_is_refused_with_a_clear_error(
    location: Location, on: bool
) -> None:
    """And nothing else of the same request is done."""
    person = somebody()
    if not on:
        location.switch(person, WhatsApp=True)
    location.integration("WhatsApp", "disconnected")
    answer = location.asked_to_switch(person, {"WhatsApp": on, "SMS": True})
    assert answer.status == 409
    assert "WhatsApp" in answer.json["detail"]
    assert location.outcome(person) == FORWARDED
    location.integration("WhatsApp", "connected")
    assert location.outcome(person, "WhatsApp") == (FORWARDED if on else DROPPED)


def test_r7_system_signals_for_a_channel_that_is_not_enlisted_still_count(location: Location) -> None:
    person = somebody()
    location.integration("SMS", "disconnected")
    location.texts(person, "STOP")
    assert location.dropped_for(person) == {("SMS", "keyword_opt_out", "permanent")}
    location.integration("SMS", "connected")
    assert location.dropped_for(person) == {("SMS", "keyword_opt_out", "permanent")}


def test_r8_a_disconnected_channel_is_unavailable_which_is_not_dnd(location: Location) -> None:
    """The guard refuses with the reason `channel_unavailable`; no DND is shown, and DND comes first in a decision."""
    free, held = somebody(), somebody()
    location.switch(held, SMS=True)
    location.integration("SMS", "disconnected")
    found = location.sends(free)
    assert found.outcome == UNAVAILABLE
    (reason,) = found.decision["reasons"]
    assert reason["reason"] == "channel_unavailable"
    assert not {"cause", "kind"} & reason.keys()
    shown = location.dnd(free)
    assert (shown["status"], shown["holds"]) == ("Off", [])
    assert {each["status"] for each in shown["dndSettings"].values()} == {"inactive"}
    assert location.dropped_for(held) == {("SMS", "manual", "manual")}
    assert location.outcome(free, "Email") == FORWARDED


def test_r8_once_the_channel_is_back_the_earlier_dnd_is_respected(location: Location) -> None:
    """Through any number of drops; also what came while it was away."""
    before, while_away, never = somebody(), somebody(), somebody()
    location.switch(before, Email=True)
    for _ in range(2):
        location.integration("Email", "disconnected")
        location.emailed(while_away, "unsubscribed")
        assert location.outcome(never, "Email") == UNAVAILABLE
        location.integration("Email", "connected")
    assert location.dropped_for(before, "Email") == {("Email", "manual", "manual")}
    assert location.dropped_for(while_away, "Email") == {("Email", "unsubscribe", "temporary")}
    assert location.dropped_for(never, "Email") == set()


def test_r8_what_nobody_has_said_anything_about_is_enlisted_unless_the_location_demands_a_record(
    new_location: NewLocation,
) -> None:
    """The setting `require_integration`."""
    plain, demanding, person = new_location(Kind.PLAIN), new_location(Kind.REQUIRE_INTEGRATION), somebody()
    assert plain.outcome(person) == FORWARDED
    assert demanding.outcome(person) == UNAVAILABLE
    demanding.integration("SMS", "connected")
    assert demanding.outcome(person) == FORWARDED
    assert demanding.outcome(person, "Email") == UNAVAILABLE
