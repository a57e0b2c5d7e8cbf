"""R9 to R12: what turns Email DND on, who may turn it off, and the guided clean-up."""

from __future__ import annotations

import pytest

from tests.requirements.accounts import domains
from tests.requirements.location import FORWARDED, Location
from tests.requirements.mailgun_api import BROKEN, UNDELIVERABLE
from tests.requirements.people import somebody

BOUNCE = {("Email", "bounce", "temporary")}
UNSUBSCRIBE = {("Email", "unsubscribe", "temporary")}
SUPPRESSED_COMPLAINT = {("Email", "suppressed_complaint", "temporary")}
COMPLAINT = {("Email", "complaint", "permanent")}

FAILURES = {
    "permanent_bounce": BOUNCE,
    "permanent_generic": BOUNCE,
    "permanent_suppress_bounce": BOUNCE,
    "permanent_suppress_unsubscribe": UNSUBSCRIBE,
    "permanent_suppress_complaint": SUPPRESSED_COMPLAINT,
}
"""The five reasons of R9, as Mailgun's events."""

CLEARABLE = {**FAILURES, "unsubscribed": UNSUBSCRIBE}
COMPLAINED = "complained"


@pytest.mark.parametrize(("event", "held"), FAILURES.items())
def test_r9_a_permanent_failure_of_the_five_reasons_turns_email_dnd_on(
    location: Location, event: str, held: set[tuple[str, str, str]]
) -> None:
    person = somebody()
    location.emailed(person, event)
    assert location.dropped_for(person, "Email") == held
    assert location.outcome(person) == FORWARDED, "it is about email"


@pytest.mark.parametrize("event", FAILURES)
def test_r9_the_same_reason_with_severity_temporary_does_nothing(location: Location, event: str) -> None:
    person = somebody()
    location.emailed(person, event, severity="temporary")
    assert location.dropped_for(person, "Email") == set()


def test_r9_other_reasons_do_nothing_and_are_counted(location: Location) -> None:
    """`old`, `espblock` and words nobody knows."""
    person, metric = somebody(), location.outside.service.metric
    before = metric("signal_notes_total", provider="mailgun")
    location.emailed(person, "permanent_old")
    for reason in ("espblock", "something-new"):
        location.emailed(person, "permanent_generic", reason=reason)
    location.emailed(person, "delivered")
    assert location.dropped_for(person, "Email") == set()
    assert metric("signal_notes_total", provider="mailgun") == before + 4


@pytest.mark.parametrize(("event", "held"), [("unsubscribed", UNSUBSCRIBE), (COMPLAINED, COMPLAINT)])
def test_r10_who_unsubscribes_or_marks_as_spam_gets_email_dnd(
    location: Location, event: str, held: set[tuple[str, str, str]]
) -> None:
    person = somebody()
    location.known(person)
    location.emailed(person, event)
    assert location.dropped_for(person, "Email") == held
    shown = "permanent" if event == COMPLAINED else "active"
    assert location.dnd(person)["dndSettings"]["Email"]["status"] == shown


@pytest.mark.parametrize("key", ["user", "agency"])
@pytest.mark.parametrize("event", CLEARABLE)
def test_r11_users_and_the_agency_clear_every_email_cause_but_spam(location: Location, event: str, key: str) -> None:
    person = somebody()
    location.known(person)
    location.emailed(person, event)
    assert location.dropped_for(person, "Email") == CLEARABLE[event]
    assert location.switch(person, key=key, Email=False)["refused"] == []
    assert location.dropped_for(person, "Email") == set()


@pytest.mark.parametrize("key", ["user", "agency", "support"])
def test_r11_nobody_clears_a_complaint_from_the_contact_record(location: Location, key: str) -> None:
    """It stays and the answer says that support can lift it by an appeal; what else there is, is cleared."""
    person = somebody()
    location.known(person)
    location.emailed(person, COMPLAINED)
    location.emailed(person, "permanent_bounce")
    answer = location.switch(person, key=key, Email=False)
    assert [(each["cause"], each["why"]) for each in answer["refused"]] != []
    assert {each["cause"] for each in answer["refused"]} == {"complaint"}
    assert answer["refused"][0]["lifted_by"] == [{"actor": "support", "by_appeal": True}]
    assert location.dropped_for(person, "Email") == COMPLAINT


def test_r11_a_suppressed_complaint_is_clearable_but_a_complaint_on_file_stays(location: Location) -> None:
    person = somebody()
    location.known(person)
    location.emailed(person, "permanent_suppress_complaint")
    location.emailed(person, COMPLAINED)
    assert location.dropped_for(person, "Email") == SUPPRESSED_COMPLAINT | COMPLAINT
    location.clear(person)
    assert location.dropped_for(person, "Email") == COMPLAINT


def test_r11_a_complaint_ends_by_an_appeal_that_support_approves(location: Location) -> None:
    """Privileged and approved: who filed it is not who decides it."""
    person = somebody()
    location.known(person)
    location.emailed(person, COMPLAINED)
    appeal = location.appeal(person, "Email")
    assert location.decide_appeal(appeal, "approve", key="user").status == 403
    assert location.decide_appeal(appeal, "approve").status == 200
    assert location.dropped_for(person, "Email") == set()


@pytest.mark.parametrize("event", CLEARABLE)
def test_r12_a_clean_up_takes_the_address_off_every_list_validates_it_and_then_lifts(
    location: Location, event: str
) -> None:
    """On every sending domain of the location; an address that was on no list (404) is done too."""
    person = somebody()
    location.known(person)
    location.emailed(person, event)
    answer = location.clean_up(person)
    assert answer.status == 200, answer
    calls = location.outside.mailgun_api.of(person.email)
    removed = {
        ("DELETE", f"/v3/{domain}/{listed}/{person.email}")
        for domain in domains(location.id)
        for listed in ("bounces", "unsubscribes")
    }
    assert set(calls[:-1]) == removed
    assert calls[-1][0] == "GET"
    assert location.dropped_for(person, "Email") == set()


def test_r12_each_step_is_recorded(location: Location) -> None:
    """With its outcome and who did it."""
    person = somebody()
    location.known(person)
    location.emailed(person, "permanent_bounce")
    steps = location.clean_up(person, key="agency").json["steps"]
    assert len(steps) == 5
    assert {step["by"] for step in steps} == {"key:agency"}


@pytest.mark.parametrize("beginning", [UNDELIVERABLE, BROKEN])
def test_r12_a_step_that_fails_stops_with_a_clear_error_and_lifts_nothing(location: Location, beginning: str) -> None:
    """An address that takes no mail, and a list that it cannot be taken off."""
    person = somebody(email=f"{beginning}{somebody().email}")
    location.known(person)
    location.emailed(person, "permanent_bounce")
    answer = location.clean_up(person)
    assert 400 <= answer.status < 600
    assert answer.json["detail"]
    if beginning == BROKEN:
        assert not [called for called in location.outside.mailgun_api.of(person.email) if called[0] == "GET"]
    assert location.dropped_for(person, "Email") == BOUNCE


def test_r12_a_user_may_confirm_to_have_done_the_steps_by_hand(location: Location) -> None:
    person = somebody()
    location.known(person)
    location.emailed(person, "permanent_suppress_unsubscribe")
    answer = location.clean_up(person, by_hand=True)
    assert answer.status == 200, answer
    assert location.outside.mailgun_api.of(person.email) == []
    assert location.dropped_for(person, "Email") == set()


def test_r12_a_clean_up_does_not_lift_a_complaint(location: Location) -> None:
    person = somebody()
    location.known(person)
    location.emailed(person, "permanent_bounce")
    location.emailed(person, COMPLAINED)
    location.clean_up(person)
    assert location.dropped_for(person, "Email") == COMPLAINT
