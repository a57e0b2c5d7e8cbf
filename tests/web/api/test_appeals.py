"""Appeals over HTTP (R18)."""

from __future__ import annotations

import pytest

from gateway.dnd.model import Cause, Scope
from tests.contacts.people import CONTACT, PHONE, place
from tests.web.api.serving import Api

PROOF = {
    "relationship_numbers": ["+14155550100"],
    "contact": "Ann, at the desk",
    "recording_url": "https://files.example.com/1.mp3",
}
FILED = {"channel": "SMS", "evidence": PROOF}


async def stop(api: Api) -> None:
    api.directory.entries["c1"] = (PHONE,)
    await api.gateway.told(place(PHONE, Scope.SMS, Cause.KEYWORD_OPT_OUT), place(CONTACT, Scope.SMS, Cause.MANUAL))


async def test_r18_an_appeal_is_filed_by_the_agency_and_approved_by_support_which_ends_the_permanent_hold(
    on_both: Api,
) -> None:
    await stop(on_both)
    filed = await on_both.call("POST", "contacts/c1/appeals", FILED, key="agency")
    assert (filed.status, filed.body["status"], filed.body["evidence"]) == (201, "open", PROOF)
    listed = await on_both.call("GET", "appeals?status=open", key="user")
    assert [each["id"] for each in listed.body["appeals"]] == [filed.body["id"]]
    approved = await on_both.call("POST", f"appeals/{filed.body['id']}/approve", key="support")
    assert (approved.status, approved.body["status"], approved.body["stays"]) == (200, "approved", [])
    assert approved.body["decided_by"] == {"kind": "support", "id": "key:support"}
    assert [hold["cause"] for hold in (await on_both.dnd())["holds"]] == ["manual"]
    other_way = await on_both.call("POST", f"appeals/{filed.body['id']}/reject", {"note": "no"}, key="support2")
    assert (other_way.status, other_way.problem) == (409, "appeal-decided")
    operations = [row["operation"] for row in await on_both.audited() if row["stage"] == "done"]
    assert operations == ["fileAppeal", "approveAppeal"]


async def test_r18_a_rejected_appeal_lifts_nothing(on_both: Api) -> None:
    await stop(on_both)
    filed = await on_both.call("POST", "contacts/c1/appeals", FILED)
    rejected = await on_both.call("POST", f"appeals/{filed.body['id']}/reject", {"note": "not hers"}, key="support")
    assert (rejected.status, rejected.body["status"], rejected.body["note"]) == (200, "rejected", "not hers")
    assert len((await on_both.dnd())["holds"]) == 2


async def test_r18_no_approval_without_an_appeal(quick: Api) -> None:
    await stop(quick)
    answer = await quick.call("POST", "appeals/invented/approve", key="support")
    assert (answer.status, answer.problem) == (404, "not-found")
    assert len((await quick.dnd())["holds"]) == 2


async def test_where_nothing_permanent_is_held_there_is_nothing_to_appeal(quick: Api) -> None:
    answer = await quick.call("POST", "contacts/c1/appeals", FILED, key="agency")
    assert (answer.status, answer.problem) == (409, "nothing-to-appeal")


@pytest.mark.parametrize(
    ("evidence", "field"),
    [
        (PROOF | {"recording_url": "http://files.example.com/1.mp3"}, "evidence.recording_url"),
        (PROOF | {"recording_url": 7}, "evidence.recording_url"),
        (PROOF | {"relationship_numbers": []}, "evidence.relationship_numbers"),
        (PROOF | {"contact": " "}, "evidence.contact"),
        ({}, "evidence.relationship_numbers"),
    ],
)
async def test_an_appeal_without_proof_is_refused(quick: Api, evidence: object, field: str) -> None:
    await stop(quick)
    answer = await quick.call("POST", "contacts/c1/appeals", {"channel": "SMS", "evidence": evidence}, key="agency")
    assert (answer.status, answer.problem, answer.fields) == (422, "invalid", [field])
