"""What Mailgun's events do to Email DND (R9, R10)."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from gateway.dnd.causes import CAUSES
from gateway.dnd.model import Actor, ActorKind, Cause, Scope, Subject, SubjectKind
from gateway.providers.mailgun.webhooks import EVENTS, HINT_LIMIT, REASONS, parse, verify
from gateway.providers.reading import EVENT_ID_LIMIT, SHOWN_LIMIT
from gateway.providers.signals import Note, OptOut, Parsed, Unparsable
from tests.providers.calls import (
    MAILGUN_KEY,
    any_json,
    encoded,
    hex_hmac,
    paths,
    payload,
    payload_names,
    replaced,
    without,
)
from tests.providers.folding import deliveries, held, written

ALICE = Subject("loc1", SubjectKind.EMAIL, "alice@example.com")


def parsed(call: Any) -> Parsed:
    return parse(verify(encoded(call), (MAILGUN_KEY,)), "loc1")


def event(name: str, **changes: object) -> dict[str, Any]:
    """The call of a payload, with fields of its event changed (`_` for `-`); None = the field is missing."""
    call = payload("mailgun", name)
    for field, value in changes.items():
        call["event-data"][field.replace("_", "-")] = value
        if value is None:
            del call["event-data"][field.replace("_", "-")]
    return call


def opt_out(call: Any) -> OptOut:
    found = parsed(call)
    assert found.notes == ()
    (signal,) = found.signals
    assert isinstance(signal, OptOut)
    return signal


@pytest.mark.parametrize(
    ("name", "cause"),
    [
        ("permanent_bounce", Cause.BOUNCE),
        ("permanent_generic", Cause.BOUNCE),
        ("permanent_suppress_bounce", Cause.BOUNCE),
        ("permanent_suppress_unsubscribe", Cause.UNSUBSCRIBE),
        ("permanent_suppress_complaint", Cause.SUPPRESSED_COMPLAINT),
    ],
)
def test_r9_a_permanent_failure_of_the_five_reasons_holds_email(name: str, cause: Cause) -> None:
    signal = opt_out(payload("mailgun", name))
    assert (signal.subject, signal.scopes, signal.cause) == (ALICE, (Scope.EMAIL,), cause)
    assert signal.actor == Actor(ActorKind.PROVIDER, "mailgun")
    assert CAUSES[cause].scopes == {Scope.EMAIL}


def test_r9_the_table_holds_for_the_five_reasons_and_no_other() -> None:
    assert {reason for reason, meaning in REASONS.items() if isinstance(meaning, Cause)} == {
        "bounce",
        "generic",
        "suppress-complaint",
        "suppress-unsubscribe",
        "suppress-bounce",
    }


@pytest.mark.parametrize("reason", [*sorted(REASONS), "something new", None])
def test_r9_a_temporary_failure_does_nothing_whatever_its_reason(reason: str | None) -> None:
    """`generic` comes with both severities."""
    assert parsed(event("temporary_generic", reason=reason)) == Parsed(notes=(Note.TEMPORARY_FAILURE,))


@pytest.mark.parametrize("severity", [None, "", "fatal", True, 5, ["permanent"]])
def test_r9_a_failure_that_does_not_say_permanent_does_nothing(severity: object) -> None:
    assert parsed(event("permanent_bounce", severity=severity)) == Parsed(notes=(Note.UNKNOWN_CODE,))


@pytest.mark.parametrize(
    ("reason", "note"),
    [
        ("old", Note.NO_EFFECT),
        ("espblock", Note.NO_EFFECT),
        ("greylisted", Note.NO_EFFECT),
        ("hardfail", Note.NO_EFFECT),
        ("suppress-everything", Note.UNKNOWN_CODE),
        (None, Note.UNKNOWN_CODE),
        (605, Note.UNKNOWN_CODE),
    ],
)
def test_r9_other_reasons_of_a_permanent_failure_are_counted_and_do_nothing(reason: object, note: Note) -> None:
    assert parsed(event("permanent_old", reason=reason)) == Parsed(notes=(note,))


@pytest.mark.parametrize(("name", "cause"), [("unsubscribed", Cause.UNSUBSCRIBE), ("complained", Cause.COMPLAINT)])
def test_r10_who_unsubscribes_or_complains_gets_email_dnd(name: str, cause: Cause) -> None:
    signal = opt_out(payload("mailgun", name))
    assert (signal.subject, signal.scopes, signal.cause) == (ALICE, (Scope.EMAIL,), cause)
    assert signal.actor == Actor(ActorKind.CONTACT, ALICE.id)


@pytest.mark.parametrize("kind", ["accepted", "opened", "clicked", "delivered", "stored"])
def test_events_that_are_no_failure_do_nothing(kind: str) -> None:
    assert parsed(event("delivered", event=kind)) == Parsed(notes=(Note.NOT_A_FAILURE,))


@pytest.mark.parametrize("kind", ["something_new", "", None, 7, {}])
def test_an_unknown_kind_of_event_is_counted(kind: object) -> None:
    assert parsed(event("delivered", event=kind)) == Parsed(notes=(Note.UNKNOWN_EVENT,))


def test_no_event_of_mailgun_can_lift_anything() -> None:
    """Its signature does not cover the event, so a captured one could carry anything."""
    for name in payload_names("mailgun"):
        assert all(isinstance(signal, OptOut) for signal in parsed(payload("mailgun", name)).signals)


@pytest.mark.parametrize("name", ["permanent_bounce", "complained"])
def test_an_event_of_the_test_mode_is_ignored_and_noted(name: str) -> None:
    assert parsed(event(name, flags={"is-test-mode": True})) == Parsed(notes=(Note.TEST_MODE,))
    assert opt_out(event(name, flags={"is-test-mode": False})).subject == ALICE


def test_the_address_is_the_recipient_and_never_a_header() -> None:
    assert payload("mailgun", "permanent_bounce")["event-data"]["message"]["headers"]["to"] != ALICE.id
    assert opt_out(payload("mailgun", "permanent_bounce")).subject == ALICE


@pytest.mark.parametrize("recipient", [" Alice@Example.COM ", "ALICE@example.com"])
def test_the_subject_is_the_key_of_the_address(recipient: str) -> None:
    assert opt_out(event("complained", recipient=recipient)).subject == ALICE


@pytest.mark.parametrize("recipient", ["alice@localhost", "alice@@example.com", '"al ice"@example.com', "\ud83d@x"])
def test_a_recipient_that_is_no_address_is_held_under_a_key_of_its_own(recipient: str) -> None:
    """An opt-out is never dropped where a key can be made."""
    signal = opt_out(event("complained", recipient=recipient))
    assert signal.subject.id.startswith("raw:")
    written(signal)


@pytest.mark.parametrize("recipient", [None, "", "  ", ["alice@example.com"], {"address": "alice@example.com"}, True])
def test_without_a_recipient_there_is_nothing_to_hold(recipient: object) -> None:
    assert parsed(event("complained", recipient=recipient)) == Parsed(notes=(Note.BAD_ADDRESS,))


@pytest.mark.parametrize(
    ("timestamp", "at"),
    [
        (1529701969.818328, 1_529_701_969_818),
        (1529701969, 1_529_701_969_000),
        ("1529701969.5", 1_529_701_969_500),
        (None, None),
        (0, None),
        (-1.5, None),
        (1529701969818, None),  # milliseconds
        (10**400, None),
        ("soon", None),
        (True, None),
        (float("nan"), None),
        (float("inf"), None),
    ],
)
def test_a_hold_is_dated_by_the_event_or_by_its_arrival(timestamp: object, at: int | None) -> None:
    assert opt_out(event("permanent_bounce", timestamp=timestamp)).at == at


def test_deliveries_of_one_event_share_their_id_whatever_signed_them() -> None:
    """A domain's webhook and the account's carry the same event with two tokens."""
    call = payload("mailgun", "complained")
    signed = {"timestamp": "1529009999", "token": "of the other webhook"}
    signature = hex_hmac(MAILGUN_KEY, "".join(signed.values()).encode())
    other = call | {"signature": signed | {"signature": signature}}
    assert opt_out(call) == opt_out(other)
    assert opt_out(call).event_id == "mailgun:-Agny091SquKnsrW2NEKUA:2018-03-16"


def test_one_id_on_two_days_is_two_events() -> None:
    """Mailgun promises ids to be unique within a day."""
    call = payload("mailgun", "complained")
    next_day = event("complained", timestamp=call["event-data"]["timestamp"] + 86_400)
    assert opt_out(call).event_id != opt_out(next_day).event_id


@pytest.mark.parametrize("id_", [None, "", ["x"]])
def test_an_event_without_an_id_is_known_by_what_was_signed(id_: object) -> None:
    signature = payload("mailgun", "complained")["signature"]
    assert opt_out(event("complained", id=id_)).event_id == f"mailgun:{signature['timestamp']}{signature['token']}"


def test_the_evidence_says_why_without_repeating_the_address() -> None:
    found = opt_out(payload("mailgun", "permanent_generic")).evidence
    assert found == {
        "provider": "mailgun",
        "event": "failed",
        "reason": "generic",
        "code": "550",
        "enhanced_code": "5.1.1",
        "message": "5.1.1 The email account that you tried to reach does not exist: <<address>> https://support.example.com/?p=NoSuchUser",
        "provider_message_id": "20130503192659.13651.20287@mg.example.com",
        "contact_id": "c1",
    }


@example("x" * 3 * SHOWN_LIMIT, "c" * (HINT_LIMIT + 1), "i" * (EVENT_ID_LIMIT + 1))
@given(st.text(max_size=3 * SHOWN_LIMIT), st.text(max_size=2 * HINT_LIMIT), st.text(max_size=2 * EVENT_ID_LIMIT))
def test_what_is_kept_of_an_event_is_bounded(message: str, contact_id: str, id_: str) -> None:
    call = event(
        "permanent_bounce", id=id_, delivery_status={"message": message}, user_variables={"contact_id": contact_id}
    )
    signal = opt_out(call)
    assert len(str(signal.evidence.get("message", ""))) <= SHOWN_LIMIT
    assert signal.evidence.get("contact_id", "") == (contact_id if len(contact_id) <= HINT_LIMIT else "")
    assert 0 < len(signal.event_id) <= EVENT_ID_LIMIT


def test_every_order_and_repetition_of_events_ends_in_the_same_holds() -> None:
    signals = [opt_out(payload("mailgun", name)) for name in ("permanent_bounce", "unsubscribed", "complained")]
    ends = [held(order) for order in deliveries(signals)]
    assert all(end == ends[0] for end in ends)
    assert {cause for _, cause in ends[0]} == {Cause.BOUNCE, Cause.UNSUBSCRIBE, Cause.COMPLAINT}


@pytest.mark.parametrize("event_data", [None, [], "failed", 5])
def test_a_signed_call_without_an_event_cannot_be_parsed(event_data: object) -> None:
    with pytest.raises(Unparsable):
        parsed(payload("mailgun", "complained") | {"event-data": event_data})


@given(st.data())
@settings(max_examples=120)
def test_whatever_is_in_an_event_is_parsed_or_noted_and_never_another_error(data: st.DataObject) -> None:
    event_data = payload("mailgun", data.draw(st.sampled_from(payload_names("mailgun"))))["event-data"]
    for _ in range(data.draw(st.integers(1, 3))):
        path = data.draw(st.sampled_from([each for each in paths(event_data) if each]))
        if data.draw(st.booleans()):
            event_data = without(event_data, path)
        else:
            event_data = replaced(event_data, path, data.draw(any_json))
        if not event_data:
            break
    found = parsed(payload("mailgun", "complained") | {"event-data": event_data})
    assert bool(found.signals) != bool(found.notes)
    for signal in found.signals:
        written(signal)


@given(any_json)
def test_any_json_in_the_place_of_an_event_is_parsed_or_unparsable(value: Any) -> None:
    call = payload("mailgun", "complained") | {"event-data": value}
    if isinstance(value, dict):
        parsed(call)
    else:
        with pytest.raises(Unparsable):
            parsed(call)


def test_every_meaning_of_the_tables_is_one_we_place_or_count() -> None:
    causes = {meaning for meaning in (*REASONS.values(), *EVENTS.values()) if isinstance(meaning, Cause)}
    assert causes == {cause for cause, rule in CAUSES.items() if rule.scopes == {Scope.EMAIL}}
