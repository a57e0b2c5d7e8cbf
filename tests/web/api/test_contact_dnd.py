"""The contact's DND over HTTP, on a real Kafka."""

from __future__ import annotations

import logging

import pytest

from gateway.dnd.model import Actor, ActorKind, Cause, Channel, Place, Scope, Subject, SubjectKind
from tests.web.api.serving import Api

DND = "contacts/c1/dnd"
CONTACT = Subject("loc1", SubjectKind.CONTACT, "c1")
PHONE = Subject("loc1", SubjectKind.PHONE, "+14155552671")


def place(subject: Subject, scope: Scope, cause: Cause, at: int = 1_763_900_000_000, **evidence: object) -> Place:
    return Place(f"test:{subject.id}:{cause}", subject, (scope,), (cause,), at, Actor(ActorKind.PROVIDER), evidence)


async def test_a_contact_nobody_knows_has_no_holds(api: Api) -> None:
    """R3"""
    shown = await api.dnd("nobody")
    assert (shown["dnd"], shown["status"], shown["holds"]) == (False, "Off", [])
    assert shown["dndSettings"] == {c: {"status": "inactive", "message": "", "code": ""} for c in Channel}
    assert shown["enlisted"] == list(Channel)


async def test_r4_a_channel_set_active_is_held_and_a_read_that_follows_sees_it(api: Api) -> None:
    asked = {"dndSettings": {"SMS": {"status": "active", "message": "asked by phone", "code": "103"}}}
    put = await api.call("PUT", DND, asked)
    assert (put.status, put.body["status"], put.body["refused"]) == (200, "Partial", [])
    shown = await api.dnd()
    assert shown["dndSettings"]["SMS"] == {"status": "active", "message": "asked by phone", "code": "103"}
    (held,) = shown["holds"]
    assert held["actor"] == {"kind": "user", "id": "key:user"}
    assert held["evidence"]["operation"] == "setContactDnd"
    assert {(each["actor"], each["by_appeal"]) for each in held["lifted_by"]} >= {("user", False), ("support", False)}
    assert shown == {name: value for name, value in put.body.items() if name != "refused"}


@pytest.mark.parametrize("spelling", ["WhatsApp", "whatsApp", "whatsapp"])
async def test_both_spellings_of_the_vendor_mean_the_same_channel(api: Api, spelling: str) -> None:
    put = await api.call("PUT", DND, {"dndSettings": {spelling: {"status": "active"}}})
    assert put.body["dndSettings"]["WhatsApp"]["status"] == "active"


async def test_r6_dnd_is_a_hold_of_its_own_and_channels_stay_as_they_are(api: Api) -> None:
    await api.call("PUT", DND, {"dnd": True, "dndSettings": {"Email": {"status": "active"}}})
    assert (await api.dnd())["status"] == "On"
    put = await api.call("PUT", DND, {"dnd": False})
    assert (put.body["dnd"], put.body["dndSettings"]["Email"]["status"], put.body["status"]) == (
        False,
        "active",
        "Partial",
    )


async def test_r18_what_the_caller_may_not_lift_stays_and_is_named_and_the_rest_is_done(api: Api) -> None:
    api.directory.entries["c1"] = (PHONE,)
    await api.gateway.told(place(PHONE, Scope.SMS, Cause.KEYWORD_OPT_OUT), place(PHONE, Scope.SMS, Cause.UNREACHABLE))
    for key in ("user", "agency", "support"):
        put = await api.call("PUT", DND, {"dndSettings": {"SMS": {"status": "inactive"}}}, key=key)
        (stays,) = put.body["refused"]
        assert (put.status, stays["cause"], stays["why"]) == (200, "keyword_opt_out", "not_allowed")
        assert stays["lifted_by"] == [
            {"actor": "support", "by_appeal": True},
            {"actor": "contact", "by_appeal": False},
        ]
        assert [hold["cause"] for hold in put.body["holds"]] == ["keyword_opt_out"]


async def test_r6_clear_lifts_all_that_may_be_lifted_and_says_what_stays(api: Api) -> None:
    await api.call("PUT", DND, {"dnd": True, "dndSettings": {"GMB": {"status": "active"}}})
    await api.gateway.told(
        place(CONTACT, Scope.EMAIL, Cause.COMPLAINT), place(CONTACT, Scope.EMAIL, Cause.SUPPRESSED_COMPLAINT)
    )
    cleared = await api.call("POST", f"{DND}/clear")
    assert cleared.status == 200
    assert [each["cause"] for each in cleared.body["refused"]] == ["complaint"]
    assert [each["cause"] for each in cleared.body["holds"]] == ["complaint"]


async def test_what_was_shown_may_be_sent_back_and_changes_nothing(api: Api) -> None:
    await api.gateway.told(place(CONTACT, Scope.SMS, Cause.KEYWORD_OPT_OUT))
    await api.call("PUT", DND, {"dnd": True})
    shown = await api.dnd()
    put = await api.call("PUT", DND, shown)
    assert put.status == 200, put
    assert put.body == shown | {"refused": put.body["refused"]}


async def test_permanent_cannot_be_set(api: Api) -> None:
    put = await api.call("PUT", DND, {"dnd": True, "dndSettings": {"sms": {"status": "permanent"}}})
    assert (put.status, put.problem, put.fields) == (422, "not-permanent", ["dndSettings.SMS"])
    assert (await api.dnd())["status"] == "Off"


async def test_an_address_is_shown_in_any_spelling(api: Api) -> None:
    await api.gateway.told(place(PHONE, Scope.SMS, Cause.CARRIER_OPT_OUT))
    for spelling in ("%2B14155552671", "+1%20(415)%20555-2671"):
        shown = await api.call("GET", f"addresses/phone/{spelling}/dnd")
        assert (shown.status, shown.body["dndSettings"]["SMS"]["status"]) == (200, "permanent"), shown
        assert set(shown.body["dndSettings"]) == {"Call", "SMS", "WhatsApp"}


async def test_every_change_is_recorded_before_it_is_made_and_after(api: Api, caplog: pytest.LogCaptureFixture) -> None:
    api.directory.entries["c1"] = (PHONE,)
    await api.gateway.told(place(PHONE, Scope.SMS, Cause.KEYWORD_OPT_OUT, text="STOP that, +14155552671"))
    with caplog.at_level(logging.INFO):
        await api.call("PUT", DND, {"dndSettings": {"SMS": {"status": "inactive"}, "fb": {"status": "active"}}})
    asked, done = await api.audited()
    assert (asked["stage"], done["stage"]) == ("asked", "done")
    assert asked["change_id"] == done["change_id"]
    assert {(row["actor_kind"], row["actor_id"], row["location_id"], row["contact_id"]) for row in (asked, done)} == {
        ("user", "key:user", "loc1", "c1")
    }
    assert done["details"]["before"]["holds"] == ["SMS keyword_opt_out on phone"]
    assert done["details"]["after"]["holds"] == ["FB manual on contact", "SMS keyword_opt_out on phone"]
    assert done["details"]["refused"] == ["SMS keyword_opt_out on phone: not_allowed"]
    (line,) = [record.getMessage() for record in caplog.records if record.name == "gateway.web.api.audit"]
    assert done["change_id"] in line
    assert "4155552671" not in caplog.text + str(asked) + str(done)
