"""R13 to R18: what turns SMS DND on, how it goes off again, and for whom. All from outside, on the whole service.

The whole table of causes x who x command is in `tests/contacts/test_matrix.py`; here each rule goes through the service
once, from the provider's signed call to the guard's decision.
"""

from __future__ import annotations

import pytest

from tests.requirements.accounts import Kind
from tests.requirements.location import CHANNELS, DROPPED, FORWARDED, Location, NewLocation, now_ms
from tests.requirements.people import somebody

KEYWORD = {("SMS", "keyword_opt_out", "permanent")}
CARRIER = {("SMS", "carrier_opt_out", "permanent")}
UNREACHABLE = {("SMS", "unreachable", "temporary")}
MANUAL = {("SMS", "manual", "manual")}

THE_FOUR = ("STOP", "UNSTOP", "UNSUBSCRIBE", "CANCEL")
MORE = ("STOPALL", "STOP ALL", "END", "QUIT", "REVOKE", "OPTOUT", "OPT OUT")
DECORATED = (
    " stop ",
    "Stop.",
    '"STOP!"',
    "s\u200bt\u200bop",
    "\uff33\uff34\uff2f\uff30",
    "Opt \n out,",
    "\u201c'cancel'\u201d!!",
)
SENTENCES = ("Stop by tomorrow", "please stop", "nonstop", "STOP\U0001f6d1", "don't stop", "YES", "HELP", "", "...")


def test_r13_a_reply_that_is_an_opt_out_keyword_blocks_sms_permanently(location: Location) -> None:
    """The four words of the rule and those after them; permanent in the decision and on the contact record."""
    people = {word: somebody() for word in (*THE_FOUR, *MORE)}
    assert not any(location.all_dropped_for(*people.values()))
    for word, person in people.items():
        location.texts(person, word)
    assert dict(zip(people, location.all_dropped_for(*people.values()), strict=True)) == dict.fromkeys(people, KEYWORD)
    assert not any(location.all_dropped_for(*people.values(), channel="Call")), "a keyword is about SMS"


def test_r13_a_permanent_opt_out_is_shown_as_permanent(location: Location) -> None:
    person = somebody()
    location.known(person)
    location.texts(person, "STOP")
    assert location.dnd(person)["dndSettings"]["SMS"]["status"] == "permanent"


@pytest.mark.parametrize("said", DECORATED)
def test_r13_a_keyword_is_known_however_it_is_decorated(location: Location, said: str) -> None:
    """NFKC, no zero width, trimmed, inner space collapsed, casefolded, `.!,` and quotes taken off, until it stands."""
    person = somebody()
    location.texts(person, said)
    assert location.dropped_for(person) == KEYWORD


def test_r13_a_sentence_with_a_keyword_in_it_is_no_opt_out(location: Location) -> None:
    """The whole body has to be the word: "Stop by tomorrow" is none."""
    person = somebody()
    for said in SENTENCES:
        location.texts(person, said)
    assert location.dropped_for(person) == set()


def test_r13_a_location_adds_words_and_takes_none_away(new_location: NewLocation) -> None:
    """The list is data: a location's own words count there, beside the default ones, and nowhere else."""
    adding, plain = new_location(Kind.MORE_WORDS), new_location(Kind.PLAIN)
    for said in ("baja", "NO MA\u0301S!", "STOP"):
        person = somebody()
        adding.texts(person, said)
        assert adding.dropped_for(person) == KEYWORD, said
    person = somebody()
    plain.texts(person, "BAJA")
    assert plain.dropped_for(person) == set()


def test_r13_a_keyword_blocks_call_and_whatsapp_too_where_a_location_says_so(new_location: NewLocation) -> None:
    """By the setting `opt_out_channels`; by default SMS alone."""
    location, person = new_location(Kind.ALL_KEYWORD_CHANNELS), somebody()
    location.texts(person, "STOP")
    blocked = {channel for channel, outcome in location.outcomes(person).items() if outcome == DROPPED}
    assert blocked == {"SMS", "Call", "WhatsApp"}


def test_r14_unstop_opts_out_in_the_default_profile(location: Location) -> None:
    """`as_specified`: the word is an opt-out word, literally, and does not end an opt-out either."""
    opted_out, new = somebody(), somebody()
    location.texts(opted_out, "STOP")
    location.texts(opted_out, "UNSTOP")
    location.texts(new, "unstop")
    assert location.dropped_for(opted_out) == location.dropped_for(new) == KEYWORD


@pytest.mark.parametrize("word", ["START", "YES", "UNSTOP"])
def test_r14_unstop_start_and_yes_opt_in_under_the_profile_twilio_aligned(new_location: NewLocation, word: str) -> None:
    """The second profile, chosen per location: as Twilio means these words."""
    location, person = new_location(Kind.TWILIO_ALIGNED), somebody()
    location.texts(person, "STOP")
    assert location.dropped_for(person) == KEYWORD
    location.texts(person, word)
    assert location.dropped_for(person) == set()


def test_r14_where_twilio_says_start_and_the_profile_says_opt_out_it_stays_blocked_and_is_counted(
    location: Location,
) -> None:
    """`OptOutType=START` with UNSTOP: the opt-out wins."""
    person, metric = somebody(), location.outside.service.metric
    before = metric("signal_notes_total", provider="twilio", note="keyword_conflict")
    location.texts(person, "UNSTOP", OptOutType="START")
    assert location.dropped_for(person) == KEYWORD
    assert metric("signal_notes_total", provider="twilio", note="keyword_conflict") == before + 1


@pytest.mark.parametrize("code", ["30003", "30005", "30006"])
@pytest.mark.parametrize("status", ["undelivered", "failed"])
def test_r15_r16_unreachable_codes_block_sms_temporarily(location: Location, code: str, status: str) -> None:
    """R15: temporary = a user may clear it. R16: `undelivered` and `failed` alike."""
    person = somebody()
    location.undelivered(person, code, status=status)
    assert location.dropped_for(person) == UNREACHABLE
    assert location.outcome(person, "WhatsApp") == FORWARDED


def test_r15_temporary_is_shown_as_active(location: Location) -> None:
    person = somebody()
    location.known(person)
    location.undelivered(person, "30003")
    assert location.dnd(person)["dndSettings"]["SMS"]["status"] == "active"


@pytest.mark.parametrize("code", ["30004", "21610"])
@pytest.mark.parametrize("status", ["undelivered", "failed"])
def test_r16_a_carrier_s_opt_out_blocks_sms_permanently(location: Location, code: str, status: str) -> None:
    """30004, and 21610: the provider holds an opt-out already."""
    person = somebody()
    location.known(person)
    location.undelivered(person, code, status=status)
    assert location.dropped_for(person) == CARRIER
    assert location.dnd(person)["dndSettings"]["SMS"]["status"] == "permanent"


def test_r15_r16_no_other_code_blocks(location: Location) -> None:
    """30007, 30008 and codes nobody knows: nothing; nor a listed code of a message that was delivered."""
    person = somebody()
    for code in ("30007", "30008", "21211", "99999", "", "30003x"):
        location.undelivered(person, code)
    location.undelivered(person, "30004", status="delivered")
    assert location.dropped_for(person) == set()


@pytest.mark.parametrize("key", ["user", "agency", "support"])
def test_r17_temporary_is_cleared_from_the_contact_record(location: Location, key: str) -> None:
    """By a user, the agency and support; the number is free with it."""
    person = somebody()
    location.known(person)
    location.undelivered(person, "30005")
    assert location.dropped_for(person) == UNREACHABLE
    assert location.switch(person, key=key, SMS=False)["refused"] == []
    assert location.dropped_for(person) == set()


def test_r17_temporary_is_cleared_by_a_workflow(location: Location) -> None:
    person = somebody()
    location.known(person)
    location.undelivered(person, "30006")
    assert location.dropped_for(person) == UNREACHABLE
    location.command(person, "disable", "SMS")
    location.ends_as(person, dict.fromkeys(CHANNELS, FORWARDED))


@pytest.mark.parametrize("key", ["user", "agency", "support"])
def test_r18_permanent_is_not_cleared_from_the_contact_record(location: Location, key: str) -> None:
    """Refused for all of them; the answer names the hold and that the contact, or support by an appeal, can lift it."""
    person = somebody()
    location.known(person)
    location.texts(person, "STOP")
    location.undelivered(person, "30004")
    for answer in (location.switch(person, key=key, SMS=False), location.clear(person, key=key)):
        assert {each["cause"] for each in answer["refused"]} == {"keyword_opt_out", "carrier_opt_out"}
        for each in answer["refused"]:
            lifters = {(who["actor"], who["by_appeal"]) for who in each["lifted_by"]}
            assert lifters == {("contact", False), ("support", True)}
    assert location.dropped_for(person) == KEYWORD | CARRIER


def test_r18_the_contact_s_start_lifts_keyword_carrier_and_unreachable(location: Location) -> None:
    person = somebody()
    location.texts(person, "STOP")
    location.undelivered(person, "30004")
    location.undelivered(person, "30003")
    assert location.dropped_for(person) == KEYWORD | CARRIER | UNREACHABLE
    location.texts(person, " start. ")
    assert location.dropped_for(person) == set()
    location.texts(person, "STOP")
    assert location.dropped_for(person) == KEYWORD, "and a STOP after it counts again"


def test_r18_start_never_lifts_a_user_s_own_hold_nor_all(location: Location) -> None:
    person = somebody()
    location.known(person)
    location.texts(person, "STOP")
    location.switch(person, dnd=True, SMS=True)
    location.texts(person, "START")
    assert location.dropped_for(person) == MANUAL | {("ALL", "manual", "manual")}


def test_r18_start_by_somebody_never_opted_out_does_nothing(location: Location) -> None:
    """Nothing is held or lifted, no change is told, and an opt-out that comes later counts."""
    person = somebody()
    location.known(person)
    location.texts(person, "START")
    assert location.dropped_for(person) == set()
    assert location.dnd(person)["status"] == "Off"
    location.texts(person, "STOP")
    assert location.dropped_for(person) == KEYWORD
    (change,) = location.changes(person, "keyword_opt_out")
    assert [(each["before"], each["after"]) for each in change["changes"]] == [("inactive", "permanent")]


def test_r18_a_late_30004_of_a_message_older_than_start_does_not_block(location: Location) -> None:
    """The time the message was created stands in the signed callback URL; without one, the time of receipt counts."""
    person, before = somebody(), now_ms()
    location.texts(person, "STOP")
    location.texts(person, "START")
    location.undelivered(person, "30004", created_at=before)
    assert location.dropped_for(person) == set()
    location.undelivered(person, "30004")
    assert location.dropped_for(person) == CARRIER


def test_r18_an_appeal_with_proof_approved_by_support_lifts_the_permanent_holds(location: Location) -> None:
    """The agency files it with evidence, support approves; on the contact, its number, and who shares the number."""
    person = somebody()
    same_phone = somebody(phone=person.phone)
    location.known(person, same_phone)
    location.texts(person, "STOP")
    location.undelivered(person, "30004")
    location.switch(person, SMS=True)
    appeal = location.appeal(person, "SMS")
    assert location.dropped_for(person) == KEYWORD | CARRIER | MANUAL, "filing changes nothing"
    assert location.decide_appeal(appeal, "approve", key="agency").status == 403
    assert location.decide_appeal(appeal, "approve").status == 200
    assert location.dropped_for(person) == MANUAL, "it is about permanent holds"
    assert location.dropped_for(same_phone) == set()


def test_r18_a_rejected_appeal_changes_nothing(location: Location) -> None:
    person = somebody()
    location.known(person)
    location.texts(person, "STOP")
    appeal = location.appeal(person, "SMS", key="user")
    assert location.decide_appeal(appeal, "reject").json["status"] == "rejected"
    assert location.decide_appeal(appeal, "approve", key="other support").status == 409
    assert location.dropped_for(person) == KEYWORD


def test_r18_an_appeal_needs_its_proof(location: Location) -> None:
    """Relationship numbers, the contact and a link to a recording; nothing is filed without."""
    person = somebody()
    location.known(person)
    location.texts(person, "STOP")
    whole = {"relationship_numbers": ["+14155550100"], "contact": "c", "recording_url": "https://example.com/1"}
    for name in whole:
        evidence = {key: value for key, value in whole.items() if key != name}
        answer = location.call("POST", f"contacts/{person.contact}/appeals", {"channel": "SMS", "evidence": evidence})
        assert answer.status == 422
        assert name in answer.json["errors"][0]["field"]
    assert location.call("GET", "appeals").json["appeals"] == []
