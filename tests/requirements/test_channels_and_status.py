"""R1 to R6: channels, On, Partial and Off, the legacy flag, and the switch for all channels."""

from __future__ import annotations

import json

import pytest

from tests.requirements.location import (
    AUTOMATED,
    CHANNELS,
    DROPPED,
    FORWARDED,
    INVALID,
    MANUAL,
    Location,
)
from tests.requirements.people import somebody

SOURCES = (*AUTOMATED, MANUAL, None, "something new")
ALL_HELD = {("ALL", "manual", "manual")}
LEGACY_HELD = {("ALL", "legacy", "manual")}


@pytest.mark.parametrize("channel", CHANNELS)
def test_r1_each_of_the_six_channels_is_held_by_itself(location: Location, channel: str) -> None:
    person = somebody()
    location.switch(person, {channel: True})
    assert location.outcomes(person) == dict.fromkeys(CHANNELS, FORWARDED) | {channel: DROPPED}


def test_r1_all_channels_are_held_together(location: Location) -> None:
    person = somebody()
    location.switch(person, dnd=True)
    assert location.outcomes(person) == dict.fromkeys(CHANNELS, DROPPED)


def test_r1_other_spellings_and_kinds_of_message_are_one_of_the_six(location: Location) -> None:
    """Lower case is accepted; MMS and RCS are SMS; voicemail drops and manual calls are Call. Switches too."""
    person = somebody()
    for version_3, on in (("sms", True), ("call", True), ("whatsApp", False)):
        location.switch(person, {version_3: on})
    to_phone = {"to": person.phone}
    for spelling in ("sms", "MMS", "RCS", "call", "Voicemail", "Manual_Call"):
        assert location.outcome(person, spelling, **to_phone) == DROPPED, spelling
    for spelling in ("whatsapp", "Messenger", "fb", "gmb"):
        assert location.outcome(person, spelling, **to_phone) == FORWARDED, spelling


@pytest.mark.parametrize("channel", ["Instagram", "Live_Chat", "TikTok", "ALL", ""])
def test_r1_an_unknown_channel_goes_to_the_dead_letters_and_is_never_forwarded(
    location: Location, channel: str
) -> None:
    """Refused with the field named, the original kept; also when everything is held, which is no DND then."""
    person = somebody()
    found = location.sends(person, channel)
    assert found.outcome == INVALID
    assert found.decision["reasons"][0]["field"] == "channel"
    letter = location.outside.reader.dead(found.decision["decision_id"])
    assert letter.value == found.sent
    assert letter.headers["sg-reason-field"] == b"channel"


def test_r1_the_decision_names_the_channel_in_the_vendor_s_spelling(location: Location) -> None:
    found = location.sends(somebody(), "whatsapp")
    assert (found.decision["channel"], json.loads(found.sent)["channel"]) == ("WhatsApp", "whatsapp")


def test_r2_on_stops_automated_and_manual_messages_alike(location: Location) -> None:
    """Whatever `source` says; nothing in a request is a bypass or a transactional exemption."""
    person = somebody()
    location.texts(person, "STOP")
    location.switch(person, Email=True)
    for source in SOURCES:
        assert location.outcome(person, "SMS", source=source) == DROPPED, source
        assert location.outcome(person, "Email", source=source) == DROPPED, source
    asked = {"metadata": {"transactional": True, "bypass_dnd": True}, "transactional": True, "priority": "urgent"}
    assert location.outcome(person, "SMS", **asked) == DROPPED


def test_r3_off_lets_automated_and_manual_messages_through_as_they_are(location: Location) -> None:
    """Never held, and held and off again: the original bytes go out (which `sends` looks at)."""
    never, again = somebody(), somebody()
    location.switch(again, dnd=True, SMS=True)
    assert location.outcome(again) == DROPPED
    location.switch(again, dnd=False, SMS=False)
    for source in SOURCES:
        assert location.outcome(never, source=source) == FORWARDED
        assert location.outcome(again, source=source) == FORWARDED
    assert location.outcomes(again) == dict.fromkeys(CHANNELS, FORWARDED)


def test_r4_on_partial_and_off_are_computed_over_the_enlisted_channels(location: Location) -> None:
    """Some channels: Partial. All that are enlisted, or the switch for all: On. It changes with what is enlisted."""
    person = somebody()
    assert location.dnd(person)["status"] == "Off"
    assert location.switch(person, SMS=True)["status"] == "Partial"
    assert location.outcomes(person) == dict.fromkeys(CHANNELS, FORWARDED) | {"SMS": DROPPED}
    assert location.switch(person, dict.fromkeys(CHANNELS, True))["status"] == "On"
    assert location.switch(person, FB=False)["status"] == "Partial"
    location.integration("FB", "disconnected")
    assert location.dnd(person)["status"] == "On", "FB is not enlisted any more"
    location.integration("FB", "connected")
    assert location.dnd(person)["status"] == "Partial"
    assert location.switch(person, dnd=True)["status"] == "On"
    assert location.switch(person, dict.fromkeys(CHANNELS, False), dnd=False)["status"] == "Off"


@pytest.mark.parametrize("flag", [True, "true", 1])
def test_r5_the_legacy_flag_holds_all_channels_and_a_user_can_remove_it(location: Location, flag: object) -> None:
    """A hold with the cause `legacy` on ALL, that blocks manual sends too."""
    person = somebody()
    location.snapshot(person, dnd=flag)
    location.event(person, type="place", causes=["legacy"], channels=["ALL"])
    assert location.dropped_for(person, source=MANUAL) == LEGACY_HELD
    assert location.dropped_for(person, "Email", source="workflow") == LEGACY_HELD
    shown = location.dnd(person)
    assert (shown["dnd"], shown["status"]) == (True, "On")
    assert location.switch(person, dnd=False)["refused"] == []
    assert location.dropped_for(person, source=MANUAL) == set()


def test_r5_a_snapshot_read_again_does_not_undo_what_the_user_removed(location: Location) -> None:
    """The import's hold is as old as the snapshot."""
    person = somebody()
    location.snapshot(person, dnd=True, updated_at=1_763_900_000_000)
    location.event(person, causes=["legacy"])
    location.switch(person, dnd=False)
    location.snapshot(person, dnd=True, updated_at=1_763_900_000_000)
    location.taken_in()
    assert location.dropped_for(person) == set()


@pytest.mark.parametrize("fields", [{"dnd": False}, {"dnd": None}, {}])
def test_r5_without_the_legacy_flag_contacts_go_on_as_before(location: Location, fields: dict[str, object]) -> None:
    person = somebody()
    location.snapshot(person, **fields)
    location.taken_in()
    assert location.outcomes(person) == dict.fromkeys(CHANNELS, FORWARDED)


def test_r6_all_channels_is_a_hold_of_its_own_and_lifting_it_leaves_those_of_channels(location: Location) -> None:
    """Not six copies: no channel is switched by it, and what a channel had before stays as it was."""
    person = somebody()
    location.known(person)
    location.texts(person, "STOP")
    before = location.switch(person, Email=True)["dndSettings"]
    held = location.switch(person, dnd=True)
    assert (held["dnd"], held["dndSettings"]) == (True, before)
    assert location.dropped_for(person, "GMB") == ALL_HELD
    lifted = location.switch(person, dnd=False)
    assert (lifted["dnd"], lifted["dndSettings"]) == (False, before)
    assert location.outcomes(person) == dict.fromkeys(CHANNELS, FORWARDED) | {"SMS": DROPPED, "Email": DROPPED}
    assert location.dropped_for(person) == {("SMS", "keyword_opt_out", "permanent")}


def test_r6_a_channel_connected_later_is_covered(location: Location) -> None:
    person = somebody()
    location.integration("WhatsApp", "disconnected")
    location.switch(person, dnd=True)
    location.integration("WhatsApp", "connected")
    assert location.dropped_for(person, "WhatsApp") == ALL_HELD


def test_r6_clear_everything_leaves_permanent_and_complaint_holds_and_says_so(location: Location) -> None:
    """The other command: all that a user may clear, on the contact and its addresses."""
    person = somebody()
    location.known(person)
    location.switch(person, dnd=True, Call=True, FB=True)
    location.texts(person, "STOP")
    location.undelivered(person, "30003")
    location.emailed(person, "permanent_bounce")
    location.emailed(person, "complained")
    answer = location.clear(person)
    stays = {(each["channel"], each["cause"]) for each in answer["refused"]}
    assert stays == {("SMS", "keyword_opt_out"), ("Email", "complaint")}
    assert all(each["why"] == "not_allowed" and each["lifted_by"] for each in answer["refused"])
    assert (answer["dnd"], answer["status"]) == (False, "Partial")
    assert location.dropped_for(person) == {("SMS", "keyword_opt_out", "permanent")}
    assert location.dropped_for(person, "Email") == {("Email", "complaint", "permanent")}
    assert location.outcome(person, "Call") == location.outcome(person, "FB") == FORWARDED
