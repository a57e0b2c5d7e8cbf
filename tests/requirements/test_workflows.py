"""R19 and R20: workflows set a contact's DND, and hear of every change of it."""

from __future__ import annotations

import pytest

from tests.requirements.location import CHANNELS, DROPPED, FORWARDED, Location, now_ms
from tests.requirements.people import somebody

KEYWORD = {("SMS", "keyword_opt_out", "permanent")}
COMPLAINT = {("Email", "complaint", "permanent")}


@pytest.mark.parametrize("channels", [("SMS",), ("Email", "whatsapp", "GMB"), ("ALL",)])
def test_r19_a_workflow_turns_dnd_on_and_off_for_all_or_chosen_channels(
    location: Location, channels: tuple[str, ...]
) -> None:
    """The action "Set contact DND"."""
    person = somebody()
    location.commanded(person, "enable", *channels)
    chosen = set(CHANNELS) if channels == ("ALL",) else {name for name in CHANNELS if name.lower() in _lower(channels)}
    expected = {name: DROPPED if name in chosen else FORWARDED for name in CHANNELS}
    location.ends_as(person, expected)
    location.command(person, "disable", *channels)
    location.ends_as(person, dict.fromkeys(CHANNELS, FORWARDED))


def test_r19_a_workflow_clears_no_permanent_nor_complaint_hold_and_the_rest_is_done(location: Location) -> None:
    """What is forbidden is reported: with the event of what was done, and counted."""
    person, metric = somebody(), location.outside.service.metric
    location.known(person)
    location.texts(person, "STOP")
    location.undelivered(person, "30003")
    location.emailed(person, "complained")
    location.emailed(person, "permanent_bounce")
    location.switch(person, FB=True)
    before = metric("command_parts_refused_total", reason="not_allowed")
    location.command(person, "disable", "ALL")
    location.ends_as(person, dict.fromkeys(CHANNELS, FORWARDED) | {"SMS": DROPPED, "Email": DROPPED})
    lift = location.event(person, type="lift", channels=None, actor={"kind": "workflow", "id": "w1"})
    assert {(each["channel"], each["cause"]) for each in lift["lifts"]} >= {("FB", "manual")}
    location.outside.reader.wait(
        "the refused parts are counted",
        lambda: metric("command_parts_refused_total", reason="not_allowed") >= before + 2 or None,
    )
    assert location.dropped_for(person) == KEYWORD
    assert location.dropped_for(person, "Email") == COMPLAINT


def test_r19_a_channel_nobody_knows_is_reported_and_the_rest_is_done(location: Location) -> None:
    person, metric = somebody(), location.outside.service.metric
    before = metric("command_parts_refused_total", reason="unknown_channel")
    placed = location.commanded(person, "enable", "Instagram", "SMS")
    assert placed["channels"] == ["SMS"]
    assert any("Instagram" in each for each in placed["evidence"]["refused"])
    location.outside.reader.wait(
        "it is counted", lambda: metric("command_parts_refused_total", reason="unknown_channel") == before + 1 or None
    )
    assert location.outcome(person) == DROPPED


def test_r20_one_change_for_each_real_change_with_before_and_after(location: Location) -> None:
    """The trigger "Contact DND": enabled and disabled, by channel; a STOP said again is no change."""
    person = somebody()
    location.known(person)
    location.texts(person, "STOP")
    location.event(person, causes=["keyword_opt_out"])
    location.texts(person, "STOP")
    location.texts(person, "START")
    location.switch(person, dnd=True)
    location.switch(person, dnd=True)
    location.switch(person, Email=True)
    location.emailed(person, "complained")
    found = location.changes(person, "complaint")
    told = [
        [(each["channel"], each["before"], each["after"], each["cause"]) for each in one["changes"]] for one in found
    ]
    assert told == [
        [("SMS", "inactive", "permanent", "keyword_opt_out")],
        [("SMS", "permanent", "inactive", "keyword_opt_out")],
        [("ALL", "inactive", "active", "manual")],
        [("Email", "inactive", "active", "manual")],
        [("Email", "active", "permanent", "complaint")],
    ]
    assert len({one["event_id"] for one in found}) == len(found)


def test_r20_a_change_is_the_vendor_s_snapshot_of_the_contact(location: Location) -> None:
    """ContactDndUpdate, in which `active` means that DND is on; keyed by the contact."""
    person = somebody()
    location.switch(person, SMS=True)
    (change,) = location.changes(person, "manual")
    assert (change["type"], change["locationId"], change["id"]) == ("ContactDndUpdate", location.id, person.contact)
    assert (change["dnd"], change["status"]) == (False, "Partial")
    settings = {channel: setting["status"] for channel, setting in change["dndSettings"].items()}
    assert settings == dict.fromkeys(CHANNELS, "inactive") | {"SMS": "active"}
    assert abs(change["changed_at"] - now_ms()) < 60_000


def test_r20_an_opt_out_of_a_number_is_a_change_of_every_contact_that_has_it(location: Location) -> None:
    one = somebody()
    other = somebody(phone=one.phone)
    location.known(one, other)
    location.texts(one, "STOP")
    assert len(location.changes(one, "keyword_opt_out")) == len(location.changes(other, "keyword_opt_out")) == 1


def _lower(words: tuple[str, ...]) -> set[str]:
    return {word.lower() for word in words}
