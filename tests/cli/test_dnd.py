"""`sendguard dnd`, on a log of its own."""

import json
from typing import Any

import pytest

from gateway.dnd.addresses import canonical
from gateway.dnd.model import Subject, SubjectKind
from tests.cli.shell import Ran, sendguard
from tests.running import Outside

PHONE = ("--phone", "+14155552671")
SMS = ("--channel", "SMS")


@pytest.fixture
def dnd(environment: dict[str, str]) -> Any:
    def run(command: str, *arguments: str) -> Ran:
        return sendguard(environment, "dnd", command, "loc1", *arguments)

    return run


def causes(shown: Ran) -> list[tuple[str, str]]:
    return [(hold["channel"], hold["cause"]) for hold in shown.json["holds"]]


def test_nothing_known_is_off(dnd: Any) -> None:
    shown = dnd("show", *PHONE)
    assert (shown.code, shown.out) == (0, "DND Off\n")


def test_set_is_acknowledged_and_shown_with_cause_since_when_and_who_may_lift_it(dnd: Any) -> None:
    held = dnd("set", *PHONE, *SMS, "--actor", "agency", "--actor-id", "a-1", "--json")
    assert held.code == 0
    shown = dnd("show", *PHONE, "--json").json
    assert (shown["status"], shown["channels"]["SMS"], shown["channels"]["Email"]) == ("Partial", "active", "inactive")
    (hold,) = shown["holds"]
    assert hold["event_id"] == held.json[0]["event_id"]
    assert (hold["cause"], hold["kind"], hold["since"]) == ("manual", "manual", held.json[0]["at"])
    assert hold["placed_by"] == {"kind": "agency", "id": "a-1"}
    assert hold["lifted_by"] == ["agency", "support", "user", "workflow"]


def test_set_says_that_it_is_enforced_from_now_on(dnd: Any) -> None:
    assert "enforced from now on" in dnd("set", *PHONE, *SMS).out


def test_the_record_is_keyed_by_the_subject_and_the_address_is_normalised(dnd: Any, outside: Outside) -> None:
    assert dnd("set", "--email", "Anna@EXAMPLE.com", "--channel", "Email").code == 0
    (record,) = outside.committed(outside.topics.dnd_events, 1)
    assert record.key() == b'["loc1","email","anna@example.com"]'
    assert json.loads(record.value())["channels"] == ["Email"]
    assert dnd("show", "--email", "anna@example.com").out.startswith("DND Partial")


def test_all_is_a_hold_of_its_own(dnd: Any) -> None:
    dnd("set", "--contact", "c1", "--channel", "ALL")
    dnd("set", "--contact", "c1", *SMS)
    assert dnd("show", "--contact", "c1", "--json").json["status"] == "On"
    assert dnd("lift", "--contact", "c1", "--channel", "ALL").code == 0
    assert causes(dnd("show", "--contact", "c1", "--json")) == [("SMS", "manual")]


def test_lift_ends_what_the_table_lets_the_actor_lift_and_names_what_stays(dnd: Any) -> None:
    dnd("set", *PHONE, *SMS)
    dnd("set", *PHONE, *SMS, "--cause", "keyword_opt_out", "--actor", "contact")
    lifted = dnd("lift", *PHONE, *SMS)
    assert lifted.code == 1
    assert "SMS lifted (manual)" in lifted.out
    assert "keyword_opt_out" in lifted.err
    assert "may be lifted by contact, support (by an approved appeal)" in lifted.err
    assert causes(dnd("show", *PHONE, "--json")) == [("SMS", "keyword_opt_out")]


def test_support_needs_an_appeal_to_lift_what_is_permanent(dnd: Any) -> None:
    """R18."""
    dnd("set", *PHONE, *SMS, "--cause", "keyword_opt_out", "--actor", "contact")
    assert dnd("lift", *PHONE, *SMS, "--actor", "support").code == 1
    assert dnd("lift", *PHONE, *SMS, "--actor", "support", "--appeal", "A-7").code == 0
    assert causes(dnd("show", *PHONE, "--json")) == []


def test_lift_of_one_cause_leaves_the_others(dnd: Any) -> None:
    dnd("set", *PHONE, *SMS)
    dnd("set", *PHONE, *SMS, "--cause", "unreachable", "--actor", "provider")
    lifted = dnd("lift", *PHONE, *SMS, "--cause", "unreachable", "--json")
    assert (lifted.code, lifted.json["lifted"][0]["causes"]) == (0, ["unreachable"])
    assert causes(dnd("show", *PHONE, "--json")) == [("SMS", "manual")]


def test_what_was_lifted_can_be_held_again(dnd: Any) -> None:
    for _ in range(2):
        dnd("set", *PHONE, *SMS)
        assert dnd("show", *PHONE).out.startswith("DND Partial")
        assert dnd("lift", *PHONE, *SMS).code == 0
        assert dnd("show", *PHONE).out == "DND Off\n"


def test_lifting_nothing_is_done_at_once(dnd: Any, outside: Outside) -> None:
    lifted = dnd("lift", *PHONE, *SMS)
    assert (lifted.code, lifted.out) == (0, "nothing is held there\n")
    assert outside.committed(outside.topics.dnd_events, 0) == []


def test_a_contact_is_judged_together_with_its_addresses(dnd: Any) -> None:
    dnd("set", *PHONE, *SMS)
    shown = dnd("show", "--contact", "c1", *PHONE, "--json").json
    assert (shown["status"], shown["holds"][0]["subject"]) == ("Partial", ["loc1", "phone", "+14155552671"])


def test_holds_of_another_location_do_not_count(dnd: Any, environment: dict[str, str]) -> None:
    """R21."""
    dnd("set", *PHONE, *SMS)
    assert sendguard(environment, "dnd", "show", "loc2", *PHONE).out == "DND Off\n"


@pytest.mark.parametrize(
    "arguments",
    [
        SMS,
        ("--phone", "12", *SMS),
        ("--email", "nobody", "--channel", "Email"),
        (*PHONE, "--channel", "Fax"),
        (*PHONE, "--channel", "Email", "--cause", "keyword_opt_out"),
    ],
    ids=["nobody", "no number", "no address", "no channel", "cause not of the channel"],
)
def test_what_makes_no_sense_ends_with_2_and_writes_nothing(
    dnd: Any, outside: Outside, arguments: tuple[str, ...]
) -> None:
    assert dnd("set", *arguments).code == 2
    assert outside.committed(outside.topics.dnd_events, 0) == []


@pytest.mark.parametrize(
    ("option", "kind", "text"),
    [
        ("--psid", SubjectKind.PSID, "7654321"),
        ("--gmb", SubjectKind.GMB, "g-1"),
        ("--wa-user", SubjectKind.WA_USER, "US.13491208655302741918"),
    ],
)
def test_every_kind_of_address_has_the_key_that_requests_are_looked_up_by(
    dnd: Any, outside: Outside, option: str, kind: SubjectKind, text: str
) -> None:
    assert dnd("set", option, text, "--channel", "ALL").code == 0
    (record,) = outside.committed(outside.topics.dnd_events, 1)
    assert json.loads(record.key()) == list(canonical(Subject("loc1", kind, text)))
