"""R21: opt-outs belong to the number or address; nothing that happens to contacts weakens a hold."""

from __future__ import annotations

from tests.requirements.accounts import Kind
from tests.requirements.location import CHANNELS, DROPPED, FORWARDED, MANUAL, Location, NewLocation
from tests.requirements.people import Person, somebody

KEYWORD = {("SMS", "keyword_opt_out", "permanent")}
BOUNCE = {("Email", "bounce", "temporary")}
COMPLAINT = {("Email", "complaint", "permanent")}


def test_r21_an_opt_out_holds_the_number_at_once_whoever_has_it(location: Location) -> None:
    """Contacts that nobody has told of, too; the decision names the address as what is held."""
    person = somebody()
    duplicate = somebody(phone=person.phone)
    location.texts(person, "STOP")
    found = location.sends(duplicate)
    assert found.holds == KEYWORD
    assert [reason["subject"] for reason in found.decision["reasons"]] == ["address"]


def test_r21_the_contact_record_shows_the_opt_out_of_its_number_and_address(location: Location) -> None:
    person = somebody()
    duplicate = somebody(person.phone, person.email)
    location.known(person, duplicate)
    location.texts(person, "STOP")
    location.emailed(person, "unsubscribed")
    for each in (person, duplicate):
        shown = location.dnd(each)
        assert {(hold["channel"], hold["cause"]) for hold in shown["holds"]} == {
            ("SMS", "keyword_opt_out"),
            ("Email", "unsubscribe"),
        }
        assert shown["status"] == "Partial"
    by_number = location.call("GET", f"addresses/phone/%2B{person.phone[1:]}/dnd").json
    assert by_number["dndSettings"]["SMS"]["status"] == "permanent"


def test_r21_a_contact_stays_held_when_its_phone_is_edited_and_so_does_the_number(location: Location) -> None:
    """The contact keeps what it was held for, under its new number; who gets the old number is held by it."""
    person, successor = somebody(), somebody()
    location.known(person)
    location.texts(person, "STOP")
    location.event(person, causes=["keyword_opt_out"])
    edited = Person(person.contact, somebody().phone, person.email)
    heir = Person(successor.contact, person.phone, successor.email)
    location.known(edited, heir)
    assert location.dropped_for(edited) == location.dropped_for(heir) == KEYWORD
    location.event(heir, causes=["keyword_opt_out"])


def test_r21_a_contact_that_gets_a_held_number_is_held(location: Location) -> None:
    person, later = somebody(), somebody()
    location.texts(person, "STOP")
    location.known(Person(later.contact, person.phone, later.email))
    location.event(later, causes=["keyword_opt_out"])
    assert location.dropped_for(later, to=somebody().phone) == KEYWORD, "also at another number"


def test_r21_a_merge_is_the_union_of_holds(location: Location) -> None:
    merged, into = somebody(), somebody()
    location.known(merged, into)
    location.texts(merged, "STOP")
    location.switch(merged, Email=True)
    location.switch(into, FB=True)
    location.event(merged, causes=["keyword_opt_out"])
    location.snapshot(merged, merged_into=into.contact, deleted=True)
    location.event(into, causes=["keyword_opt_out"])
    location.event(into, channels=["Email"])
    assert {name for name, outcome in location.outcomes(into).items() if outcome == DROPPED} == {"SMS", "Email", "FB"}


def test_r21_delete_and_create_again_weaken_no_hold(location: Location) -> None:
    person = somebody()
    location.known(person)
    location.texts(person, "STOP")
    location.switch(person, Email=True)
    location.event(person, causes=["keyword_opt_out"])
    location.deleted(person)
    location.taken_in()
    assert location.dropped_for(person) == KEYWORD
    location.known(person)
    assert location.dropped_for(person) == KEYWORD
    assert location.outcome(person, "Email", source=MANUAL) == DROPPED


def test_r21_an_import_adds_holds_and_weakens_none(location: Location) -> None:
    """Active is `manual`; permanent is an opt-out of SMS, a complaint of Email; inactive does nothing."""
    person, new = somebody(), somebody()
    location.known(person)
    location.texts(person, "STOP")
    location.emailed(person, "permanent_bounce")
    status = {"active": {"status": "active"}, "permanent": {"status": "permanent"}, "inactive": {"status": "inactive"}}
    location.snapshot(person, dnd=False, dndSettings={"SMS": status["inactive"], "Email": status["inactive"]})
    location.snapshot(
        new, dndSettings={"SMS": status["permanent"], "Email": status["permanent"], "FB": status["active"]}
    )
    location.taken_in()
    assert location.dropped_for(person) == KEYWORD
    assert location.dropped_for(person, "Email") == BOUNCE
    assert location.dropped_for(new) == KEYWORD
    assert location.dropped_for(new, "Email") == COMPLAINT
    assert location.dropped_for(new, "FB") == {("FB", "manual", "manual")}


def test_r21_start_frees_the_number_and_every_contact_that_has_it(location: Location) -> None:
    person = somebody()
    duplicate = somebody(phone=person.phone)
    location.known(person, duplicate)
    location.texts(person, "STOP")
    for each in (person, duplicate):
        location.event(each, type="place")
    location.texts(person, "START")
    for each in (person, duplicate):
        location.event(each, type="lift")
        assert location.dropped_for(each) == set()


def test_r21_a_late_bounce_of_an_address_the_contact_no_longer_has_holds_the_address_only(location: Location) -> None:
    person, new_email = somebody(), somebody().email
    location.known(person)
    edited = Person(person.contact, person.phone, new_email)
    location.known(edited)
    location.emailed(person, "permanent_bounce")
    assert location.dropped_for(edited, "Email") == set()
    assert location.dropped_for(person, "Email") == BOUNCE


def test_r21_nothing_reaches_across_locations(new_location: NewLocation) -> None:
    """The same number, address and contact id in two locations."""
    here, there, person = new_location(Kind.PLAIN), new_location(Kind.PLAIN), somebody()
    for each in (here, there):
        each.known(person)
    here.texts(person, "STOP")
    here.emailed(person, "complained")
    here.switch(person, dnd=True)
    assert here.outcome(person) == DROPPED
    assert there.outcomes(person) == dict.fromkeys(CHANNELS, FORWARDED)
    assert there.dnd(person)["holds"] == []
