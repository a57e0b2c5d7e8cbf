"""Which decision a request gets, and what goes out with it."""

import itertools
import json

import pytest

from gateway.dnd.model import Cause, Channel, Scope, Subject, SubjectKind
from tests.guard.batches import (
    CONTACT,
    FIRST_OFFSET,
    NOW,
    PHONE,
    TOPICS,
    Line,
    decide,
    email,
    held,
    mailbox,
    outcome,
    value,
)

TO: dict[Channel, tuple[str, SubjectKind]] = {
    Channel.CALL: ("+14155552671", SubjectKind.PHONE),
    Channel.EMAIL: ("a@example.com", SubjectKind.EMAIL),
    Channel.SMS: ("+14155552671", SubjectKind.PHONE),
    Channel.WHATSAPP: ("+14155552671", SubjectKind.PHONE),
    Channel.GMB: ("gmb-7", SubjectKind.GMB),
    Channel.FB: ("psid-7", SubjectKind.PSID),
}


@pytest.mark.parametrize("channel", Channel)
def test_r3_without_a_hold_the_request_goes_to_its_channels_topic(channel: Channel) -> None:
    decided = decide([value(channel=channel, to=TO[channel][0])])
    assert [each.topic for each in decided.forwarded] == [TOPICS.output(channel)]
    (decision,) = decided.decisions
    assert (decision["outcome"], decision["reasons"], decision["channel"]) == ("forwarded", [], channel)
    assert not decided.dead


def test_what_is_forwarded_are_the_original_bytes_key_and_headers_and_the_decisions_own() -> None:
    original = value(unknown={"kept": [1, 2.50, "\u0416"]}) + b"  \n"
    headers = (("trace", b"\x00\xff"), ("trace", b"again"), ("empty", b""), ("Жж", b"1"))
    decided = decide([Line(4711, original, b"\xff\x00", headers)])
    (sent,) = decided.forwarded
    assert (sent.key, sent.value) == (b"\xff\x00", original)
    assert sent.raw_headers[:4] == list(headers)
    assert sent.raw_headers[4:] == [
        ("sg-decision-id", b"outbound.requests-3-4711"),
        ("sg-decided-at", str(NOW).encode()),
    ]
    (decision,) = decided.decisions
    assert decision["decision_id"] == "outbound.requests-3-4711"
    assert decision["decided_at"] == NOW
    assert decision["state"] == {"events": [[0, 91], [1, 17]]}


def test_headers_a_sender_made_up_in_our_name_come_before_ours() -> None:
    """Readers take the last of a name."""
    decided = decide([Line(4711, value(), headers=(("sg-decision-id", b"forged"),))])
    assert decided.forwarded[0].headers["sg-decision-id"] == b"outbound.requests-3-4711"


def test_a_request_without_a_key_stays_without_one() -> None:
    decided = decide([Line(1, value(), None), Line(2, None, None)])
    assert {each.key for each in decided.written} == {None}


@pytest.mark.parametrize("channel", Channel)
@pytest.mark.parametrize("scope", Scope)
@pytest.mark.parametrize("on", ["contact", "address"])
def test_r2_r6_a_hold_on_the_channel_or_on_all_drops_whoever_it_is_on(channel: Channel, scope: Scope, on: str) -> None:
    to, kind = TO[channel]
    subject = CONTACT if on == "contact" else Subject("loc1", kind, to)
    decision = outcome(value(channel=channel, to=to), {subject: held(scope)})
    if scope in (channel.value, Scope.ALL):
        assert decision["outcome"] == "dropped"
        assert decision["reasons"] == [
            {
                "subject": on,
                "channel": scope,
                "cause": "manual",
                "kind": "manual",
                "since": NOW - 1_000,
                "event_id": "e1",
            }
        ]
    else:
        assert (decision["outcome"], decision["reasons"]) == ("forwarded", [])


def test_every_hold_in_force_is_named() -> None:
    holds = {
        CONTACT: held(Scope.ALL, Cause.MANUAL, "e1").join(held(Scope.SMS, Cause.KEYWORD_OPT_OUT, "e2")),
        PHONE: held(Scope.SMS, Cause.UNREACHABLE, "e3").join(held(Scope.CALL, Cause.MANUAL, "e4")),
    }
    reasons = outcome(value(), holds)["reasons"]
    assert {(each["subject"], each["channel"], each["cause"], each["kind"]) for each in reasons} == {
        ("contact", "ALL", "manual", "manual"),
        ("contact", "SMS", "keyword_opt_out", "permanent"),
        ("address", "SMS", "unreachable", "temporary"),
    }


@pytest.mark.parametrize(
    "other",
    [
        Subject("loc2", SubjectKind.CONTACT, "c1"),
        Subject("loc2", SubjectKind.PHONE, "+14155552671"),
        Subject("loc1", SubjectKind.CONTACT, "c2"),
        Subject("loc1", SubjectKind.PHONE, "+14155552672"),
        Subject("loc1", SubjectKind.CONTACT, "+14155552671"),
        Subject("loc1", SubjectKind.WA_USER, "+14155552671"),
    ],
    ids=repr,
)
def test_r21_a_hold_of_another_location_contact_or_address_drops_nothing(other: Subject) -> None:
    assert outcome(value(), {other: held(Scope.ALL)})["outcome"] == "forwarded"


SOURCES = [None, "workflow", "campaign", "bulk_actions", "api", "app", "transactional", "anything"]


@pytest.mark.parametrize("source", SOURCES)
def test_r2_the_source_never_changes_the_decision(source: str | None) -> None:
    assert outcome(value(source=source), {CONTACT: held()})["outcome"] == "dropped"
    assert outcome(value(source=source))["outcome"] == "forwarded"


SPELT = ["+14155552671", "+1 (415) 555-2671", "+1-415-555-2671", "tel:+1-415-555-2671", "4155552671", "(415) 555 2671"]


@pytest.mark.parametrize("spelt", SPELT)
def test_r21_every_spelling_of_a_number_meets_its_hold(spelt: str) -> None:
    assert outcome(value(to=spelt), {PHONE: held()}, default_region="US")["outcome"] == "dropped"


@pytest.mark.parametrize("spelt", ["A@Example.COM", "a@EXAMPLE.com", " a@example.com ", "a@bücher.example"])
def test_r21_every_spelling_of_a_mailbox_meets_its_hold(spelt: str) -> None:
    address = "a@xn--bcher-kva.example" if "ü" in spelt else "a@example.com"
    assert outcome(email(to=spelt), {mailbox(address): held(Scope.EMAIL)})["outcome"] == "dropped"


BAD_ADDRESSES = {
    Channel.SMS: ["", " ", "STOP", "12", "2125550123", "a@example.com", "+999999999999999999", "+1415555267\x00"],
    Channel.EMAIL: ["", "nobody", "a@", "a@b c", "a@example.com, b@example.com", "A <a@example.com>", "+14155552671"],
    Channel.FB: ["", "  ", "x" * 300],
    Channel.GMB: ["", "x" * 300],
}


@pytest.mark.parametrize(("channel", "to"), [(channel, to) for channel, all_ in BAD_ADDRESSES.items() for to in all_])
def test_an_address_that_cannot_be_compared_is_refused(channel: Channel, to: str) -> None:
    decision = outcome(value(channel=channel, to=to))
    assert (decision["outcome"], decision["reasons"][0]["field"]) == ("invalid", "to")
    assert to.strip() == "" or to.strip() not in decision["reasons"][0]["expected"], "never the address itself"


@pytest.mark.parametrize("channel", [channel for channel in Channel if channel is not Channel.EMAIL])
def test_only_email_takes_a_list(channel: Channel) -> None:
    decision = outcome(value(channel=channel, to=[TO[channel][0]]))
    assert (decision["outcome"], decision["reasons"][0]["field"]) == ("invalid", "to")


PAST, FUTURE = NOW - 1, NOW + 1


@pytest.mark.parametrize(
    ("not_after", "expected"), [(PAST, "expired"), (NOW, "forwarded"), (FUTURE, "forwarded"), (0, "expired")]
)
def test_a_request_whose_time_has_passed_expires(not_after: int, expected: str) -> None:
    decision = outcome(value(not_after=not_after))
    assert (decision["outcome"], decision["reasons"]) == (expected, [])
    assert outcome(email(to=["a@example.com"], not_after=not_after))["outcome"] == expected


@pytest.mark.parametrize("wrong", [True, False])
@pytest.mark.parametrize("late", [True, False])
@pytest.mark.parametrize("on_hold", [True, False])
@pytest.mark.parametrize("several", [True, False])
def test_the_first_that_applies_of_invalid_expired_dropped_forwarded(
    wrong: bool, late: bool, on_hold: bool, several: bool
) -> None:
    expected = "invalid" if wrong else "expired" if late else "dropped" if on_hold else "forwarded"
    fields: dict[str, object] = {"not_after": PAST if late else FUTURE, "body": 7 if wrong else "Hi"}
    given = email(to=["a@example.com", "b@example.com"], **fields) if several else value(**fields)
    decided = decide([given], {CONTACT: held(Scope.ALL)} if on_hold else {})
    assert [decision["outcome"] for decision in decided.decisions] == [expected]
    assert len(decided.forwarded) == (expected == "forwarded")
    assert len(decided.dead) == (expected == "invalid")


def test_a_dead_letter_has_the_original_and_says_what_is_wrong() -> None:
    original, headers = b'{"request_id":"r-9",', (("trace", b"\x00\xff"), ("trace", b"again"))
    decided = decide([Line(5, original, b"\xff", headers)])
    (letter,) = decided.dead
    assert (letter.key, letter.value, letter.raw_headers[:2]) == (b"\xff", original, list(headers))
    assert letter.headers["sg-decision-id"] == b"outbound.requests-3-5"
    assert letter.headers["sg-reason-field"] == b"value"
    assert letter.headers["sg-reason-expected"]
    (decision,) = decided.decisions
    (reason,) = decision["reasons"]
    assert decision["outcome"] == "invalid"
    assert reason == {
        key[len("sg-reason-") :]: letter.headers[key].decode() for key in letter.headers if "reason" in key
    }


def test_an_invalid_request_keeps_what_could_be_read_of_it() -> None:
    decision = outcome(value(to=None, channel="Instagram"))
    assert [decision[name] for name in ("request_id", "location_id", "contact_id", "channel")] == [
        "r-1",
        "loc1",
        "c1",
        "Instagram",
    ]
    assert outcome(b"")["request_id"] is None


def test_what_no_topic_takes_is_replaced_by_a_stand_in_that_points_to_it() -> None:
    original = value(body="x" * 100_000)
    decided = decide([Line(5, original, b"k" * 100_000, (("large", b"x" * 100_000),))], unwritable=True)
    (letter,), (decision,) = decided.dead, decided.decisions
    assert json.loads(letter.value or b"")["source"] == ["outbound.requests", 3, 5]
    assert json.loads(letter.value or b"")["length"] == len(original)
    assert decision["outcome"] == "invalid"
    assert (decision["request_id"], decision["contact_id"]) == ("r-1", "c1")
    assert sum(len(each.key or b"") + len(each.value or b"") for each in decided.written) < 10_000
    assert letter.headers["sg-stand-in"] == b"1"


@pytest.mark.parametrize("size", [1, 7, 1_000])
def test_offsets_with_gaps_give_ids_with_gaps(size: int) -> None:
    offsets = list(itertools.accumulate(range(1, size + 1), initial=FIRST_OFFSET))
    decided = decide([Line(offset, value()) for offset in offsets])
    assert [decision["decision_id"] for decision in decided.decisions] == [
        f"outbound.requests-3-{offset}" for offset in offsets
    ]


def test_the_tally_counts_by_channel_outcome_and_cause() -> None:
    decided = decide([value(), value(contact_id="c2"), value(not_after=PAST), b"", b"{}"], {CONTACT: held()})
    assert decided.tally == {
        ("SMS", "dropped", "manual"): 1,
        ("SMS", "forwarded", ""): 1,
        ("SMS", "expired", ""): 1,
        ("", "invalid", ""): 2,
    }
