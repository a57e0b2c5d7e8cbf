"""R15, R16: what a failure of a message that we sent through Twilio does."""

from __future__ import annotations

from urllib.parse import parse_qsl, urlsplit

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from multidict import MultiDict
from twilio.request_validator import RequestValidator  # type: ignore[import-untyped]  # ships no py.typed

from gateway.dnd.model import Actor, ActorKind, Cause, Scope
from gateway.providers.signals import Note, OptOut, Parsed, Unparsable
from gateway.providers.twilio import webhooks as twilio
from gateway.providers.twilio.codes import NO_EFFECT, SMS_CAUSES
from gateway.providers.twilio.webhooks import parse_inbound, parse_status, status_callback_url
from tests.providers.folding import RECEIVED, deliveries, held, written
from tests.providers.twilio.calls import DEFAULTS, LOCATION, NUMBER, PERSON, bodies, body, form

CREATED = 1_763_900_000_000
QUERY = {"created_at": str(CREATED), "contact_id": "c1", "decision_id": "outbound.requests-3-4711"}

# As the requirements have it, written down once more.
CODES = {
    "30003": Cause.UNREACHABLE,
    "30005": Cause.UNREACHABLE,
    "30006": Cause.UNREACHABLE,
    "30004": Cause.CARRIER_OPT_OUT,
    "21610": Cause.CARRIER_OPT_OUT,
}


def parsed(name: str, query: dict[str, str] | None = None, **changed: str | None) -> Parsed:
    return parse_status(form(name, **changed), QUERY if query is None else query, LOCATION, DEFAULTS)


def opt_out(found: Parsed) -> OptOut:
    (signal,) = found.signals
    assert isinstance(signal, OptOut)
    return signal


def test_r15_an_unreachable_handset_is_held_since_the_message_was_created() -> None:
    assert parsed("status_undelivered_30003") == Parsed(
        (
            OptOut(
                event_id=f"twilio:SM{22:032x}:30003",
                subject=PERSON,
                scopes=(Scope.SMS,),
                cause=Cause.UNREACHABLE,
                at=CREATED,
                actor=Actor(ActorKind.PROVIDER, "twilio"),
                evidence={
                    "provider": "twilio",
                    "code": "30003",
                    "status": "undelivered",
                    "message_sid": f"SM{22:032x}",
                    "from": "+14155550100",
                    "contact_id": "c1",
                    "decision_id": "outbound.requests-3-4711",
                },
                message_id=f"SM{22:032x}",
            ),
        )
    )


@pytest.mark.parametrize("status", ["undelivered", "failed", "FAILED"])
@pytest.mark.parametrize(("code", "cause"), CODES.items())
def test_r15_r16_each_code_counts_as_undelivered_and_as_failed(code: str, cause: Cause, status: str) -> None:
    found = opt_out(parsed("status_undelivered_30003", ErrorCode=code, MessageStatus=status))
    assert (found.cause, found.scopes) == (cause, (Scope.SMS,))


def test_the_table_has_no_other_causes_and_no_code_twice() -> None:
    assert SMS_CAUSES == CODES
    assert not SMS_CAUSES.keys() & NO_EFFECT.keys()
    assert all(code.isdecimal() and len(code) == 5 for code in (*SMS_CAUSES, *NO_EFFECT))


@pytest.mark.parametrize("code", NO_EFFECT)
def test_a_failure_that_says_nothing_of_the_person_changes_nothing(code: str) -> None:
    assert parsed("status_undelivered_30003", ErrorCode=code) == Parsed(notes=(Note.NO_EFFECT,))


@pytest.mark.parametrize("code", ["30099", "", None, "0", "3000", "030003", "30003x", "\u0663\u0660\u0660\u0660\u0663"])
def test_a_code_without_a_row_is_counted_and_changes_nothing(code: str | None) -> None:
    assert parsed("status_undelivered_30003", ErrorCode=code) == Parsed(notes=(Note.UNKNOWN_CODE,))


@pytest.mark.parametrize("status", ["queued", "sending", "sent", "delivered", "read", "canceled", "Delivered"])
def test_only_a_failure_holds_whatever_code_stands_beside_it(status: str) -> None:
    found = parsed("status_undelivered_30003", MessageStatus=status)
    assert found == Parsed(notes=(Note.NOT_A_FAILURE,))


def test_a_status_nobody_knows_or_none_is_noted() -> None:
    assert parsed("status_undelivered_30003", MessageStatus="exploded") == Parsed(notes=(Note.UNKNOWN_EVENT,))
    nothing = parsed("status_undelivered_30003", MessageStatus=None, SmsStatus=None)
    assert nothing == Parsed(notes=(Note.UNKNOWN_EVENT,))


def test_the_older_name_of_the_status_will_do() -> None:
    assert opt_out(parsed("status_undelivered_30004", MessageStatus=None)).cause is Cause.CARRIER_OPT_OUT


def test_failed_and_undelivered_of_one_message_are_one_fact() -> None:
    failed = opt_out(parsed("status_undelivered_30004", MessageStatus="failed"))
    undelivered = opt_out(parsed("status_undelivered_30004"))
    assert failed.event_id == undelivered.event_id
    assert opt_out(parsed("status_undelivered_30005")).event_id != undelivered.event_id
    assert opt_out(parsed("status_undelivered_30004", ErrorCode="30003")).event_id != undelivered.event_id


def test_the_codes_of_sms_hold_nobody_on_whatsapp() -> None:
    assert parsed("status_whatsapp_failed_63016") == Parsed(notes=(Note.NO_EFFECT,))
    for code in CODES:
        assert parsed("status_whatsapp_failed_63016", ErrorCode=code) == Parsed(notes=(Note.NO_EFFECT,))
    assert parsed("status_whatsapp_failed_63016", ErrorCode="63999") == Parsed(notes=(Note.UNKNOWN_CODE,))


def test_r1_a_failure_of_rcs_is_one_of_sms() -> None:
    assert opt_out(parsed("status_undelivered_30003", To=f"rcs:{NUMBER}")).subject == PERSON


@pytest.mark.parametrize("to", ["32665", "", None, "messenger:14155550123", "rcs:", "+1"])
def test_a_recipient_that_cannot_be_held_is_noted(to: str | None) -> None:
    assert parsed("status_undelivered_30003", To=to) == Parsed(notes=(Note.BAD_ADDRESS,))


def test_a_failure_that_names_no_message_cannot_be_read() -> None:
    with pytest.raises(Unparsable, match="MessageSid"):
        parsed("status_undelivered_30003", MessageSid=None, SmsSid=None)
    assert parsed("status_delivered", MessageSid=None, SmsSid=None).notes == (Note.NOT_A_FAILURE,)


@pytest.mark.parametrize(
    "text",
    [
        *("", "0", "-1763900000000", "+1763900000000", "1763900000000.0", "1_763_900_000_000", "now", "1e12"),
        *("1763900000", "17639000000000", "999999999999", "4102444800001", "9" * 5_000),
        "\u0661\u0667\u0666\u0663\u0669\u0660\u0660\u0660\u0660\u0660\u0660\u0660\u0660",
    ],
)
def test_a_creation_time_that_is_none_is_as_if_it_were_missing(text: str) -> None:
    assert opt_out(parsed("status_undelivered_30004", {"created_at": text})).at is None
    assert opt_out(parsed("status_undelivered_30004", {})).at is None


def test_r16_a_late_30004_of_a_message_older_than_start_does_not_block() -> None:
    """In whatever order, and however often, the two are delivered."""
    old = parsed("status_undelivered_30004", {"created_at": str(RECEIVED - 60_000)}).signals
    start = parse_inbound(form("inbound_start"), LOCATION, DEFAULTS).signals
    for order in deliveries((*old, *start)):
        assert held(order) == set()
    new = parsed("status_undelivered_30004", {"created_at": str(RECEIVED + 1)}).signals
    assert held((*start, *new)) == {(Scope.SMS, Cause.CARRIER_OPT_OUT)}
    assert held((*start, *parsed("status_undelivered_30004", {}).signals)) == {(Scope.SMS, Cause.CARRIER_OPT_OUT)}


def test_the_callback_url_carries_the_time_of_the_message_and_whom_it_was_for() -> None:
    url = status_callback_url("https://gw.example.com/x/", LOCATION, CREATED, "c1", "outbound.requests-3-4711")
    assert url == (
        "https://gw.example.com/x/webhooks/twilio/loc1/status"
        "?created_at=1763900000000&contact_id=c1&decision_id=outbound.requests-3-4711"
    )
    assert status_callback_url("https://x", LOCATION, CREATED, None, None).endswith("/status?created_at=1763900000000")
    long = status_callback_url("https://x", LOCATION, CREATED, "c" * 257, "d")
    assert long.endswith("/status?created_at=1763900000000&decision_id=d")


TEXTS = st.text(st.characters(codec="utf-8"), min_size=1, max_size=20)


@given(TEXTS, st.integers(twilio.EARLIEST_MS, twilio.LATEST_MS), TEXTS, TEXTS)
@settings(max_examples=200)
def test_what_the_callback_url_says_comes_back_signed(
    location_id: str, created_at: int, contact_id: str, decision_id: str
) -> None:
    """The whole round: our URL, Twilio's signature over it as its SDK makes it, and the call read."""
    url = status_callback_url("https://gw.example.com", location_id, created_at, contact_id, decision_id)
    parts = urlsplit(url)
    assert url.isascii()
    assert "+" not in url  # a space that somebody may write as %20
    assert parts.path.count("/") == 4  # whatever stands in the location's id
    wire = body("status_undelivered_30004")
    signature = RequestValidator("12345").compute_signature(url, MultiDict(parse_qsl(wire.decode())))
    content_type = "application/x-www-form-urlencoded"
    call = twilio.verify(
        "https://gw.example.com", f"{parts.path}?{parts.query}", wire, content_type, signature, ["12345"]
    )
    found = opt_out(parse_status(call.form, call.query, location_id, DEFAULTS))
    assert found.at == created_at
    assert (found.evidence["contact_id"], found.evidence["decision_id"]) == (contact_id, decision_id)


VALUES = TEXTS | st.sampled_from(["failed", "30003", "21610", NUMBER, ""])


@given(
    st.sampled_from(bodies()),
    st.dictionaries(st.sampled_from(sorted(form("status_undelivered_30003"))), VALUES),
    st.dictionaries(st.sampled_from(sorted(QUERY)), VALUES),
)
@settings(max_examples=300)
def test_any_form_is_read_or_refused_and_what_it_says_can_be_written(
    name: str, changed: dict[str, str], query: dict[str, str]
) -> None:
    try:
        found = parse_status(form(name) | changed, query, LOCATION, DEFAULTS)
    except Unparsable:
        return
    assert len(found.signals) + len(found.notes) == 1
    for signal in found.signals:
        assert isinstance(signal, OptOut)
        written(signal)
