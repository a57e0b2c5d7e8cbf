"""What the guard would decide, over HTTP."""

from __future__ import annotations

from gateway.dnd.model import Cause, Scope
from tests.contacts.people import CONTACT, PHONE, place
from tests.running import request
from tests.web.api.memory import InMemoryLog
from tests.web.api.serving import Api


async def test_a_request_that_would_be_dropped_is_explained_with_the_holds_and_who_may_lift_them(
    quick: Api, log: InMemoryLog
) -> None:
    await quick.gateway.told(
        place(PHONE, Scope.SMS, Cause.KEYWORD_OPT_OUT, evidence={"provider": "twilio"}),
        place(CONTACT, Scope.ALL, Cause.MANUAL),
    )
    before = len(log.events)
    answer = await quick.call("POST", "explain", request(1, contact_id="c1", to="+1 (415) 555-2671"))
    assert (answer.status, answer.body["outcome"], answer.body["fault"]) == (200, "dropped", None)
    by_subject = {reason["held_on"]: reason for reason in answer.body["reasons"]}
    assert by_subject["address"]["subject"] == {"kind": "phone", "id": PHONE.id}
    assert by_subject["address"]["evidence"] == {"provider": "twilio"}
    assert {"actor": "support", "by_appeal": True} in by_subject["address"]["lifted_by"]
    assert by_subject["contact"]["cause"] == "manual"
    assert len(log.events) == before


async def test_a_request_nobody_can_read_is_explained_as_invalid(quick: Api) -> None:
    answer = await quick.call("POST", "explain", request(1, to="0123"))
    assert (answer.status, answer.body["outcome"], answer.body["fault"]["field"]) == (200, "invalid", "to")
    assert (await quick.call("POST", "explain", raw=b"{")).body["outcome"] == "invalid"


async def test_a_request_of_another_location_is_not_explained(quick: Api) -> None:
    answer = await quick.call("POST", "explain", request(1, location_id="loc2"))
    assert (answer.status, answer.fields) == (422, ["location_id"])
