"""What Twilio's answers to a create mean: sent, refused, opted out, later, unclear, or the account is broken."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.dnd.model import Actor, ActorKind, Cause, Channel, Scope
from gateway.providers.reading import SHOWN_LIMIT
from gateway.providers.sending import AccountBroken, Answer, Outcome, Refused, Sent, TryLater, Unclear
from gateway.providers.signals import OptOut
from gateway.providers.twilio.calls import TwilioCalls
from gateway.providers.twilio.codes import NO_EFFECT, SMS_CAUSES
from gateway.providers.twilio.send import TwilioSms, TwilioWhatsApp
from gateway.providers.twilio.send_answers import LONGEST_WAIT_S, retry_after_s
from gateway.providers.twilio.send_codes import BY_CODE, Means
from gateway.providers.twilio.webhooks import parse_inbound, parse_status
from tests.providers.calls import any_json, payload
from tests.providers.folding import held, written
from tests.providers.twilio.calls import DEFAULTS, PERSON, form
from tests.providers.twilio.sending import (
    ACCOUNT,
    CHECKED,
    CREATED,
    OURS,
    PUBLIC_URL,
    SERVICE,
    TOKEN,
    answer,
    error,
    message,
)

ACCESS: dict[str, Any] = {"account_sid": ACCOUNT, "auth_token": TOKEN, "public_url": PUBLIC_URL}
SMS = TwilioSms(**ACCESS, from_number=OURS)
OTHERS = {Channel.WHATSAPP: TwilioWhatsApp(**ACCESS, from_number=OURS), Channel.CALL: TwilioCalls(**ACCESS)}

DATE = "Fri, 24 May 2019 17:18:27 GMT"
LATER_DATE = "Fri, 24 May 2019 17:20:00 GMT"


def outcome(given: Answer) -> Outcome:
    return SMS.outcome(message(), given)


def coded(status: int, code: object, said: str = "No.") -> Answer:
    return answer(status, {"code": code, "message": said, "status": status})


@pytest.mark.parametrize("status", [200, 201, 202])
def test_a_message_that_is_taken_is_named_as_its_callbacks_name_it(status: int) -> None:
    assert outcome(answer(status, payload("twilio", "message_created"))) == Sent(f"SM{2:032x}")


@pytest.mark.parametrize(
    "body",
    [
        *(b"", b"OK", b"<html>", b"{}", b"[]", b"null", b'{"sid":', b'{"sid":null}', b'{"sid":""}', b'{"sid":"../x"}'),
        *(b'{"sid":["SM1"]}', b'{"sid":{"sid":"SM1"}}', b"\xff\xfe", b"[" * 100_000, b'{"sid":' * 100_000),
    ],
)
def test_an_answer_of_success_that_cannot_be_read_leaves_it_open(body: bytes) -> None:
    for status in (200, 201, 204):
        found = outcome(answer(status, body))
        assert isinstance(found, Unclear)
        assert found.code == "unreadable_answer"


def test_r16_a_recipient_who_is_opted_out_at_twilio_is_held() -> None:
    assert outcome(error(21610)) == Refused(
        "21610",
        "Twilio answered 400: Attempt to send to unsubscribed recipient",
        (
            OptOut(
                event_id="twilio:outbound.requests-3-4711:21610",
                subject=PERSON,
                scopes=(Scope.SMS,),
                cause=Cause.CARRIER_OPT_OUT,
                at=CHECKED,
                actor=Actor(ActorKind.PROVIDER, "twilio"),
                evidence={
                    "provider": "twilio",
                    "code": "21610",
                    "status": "refused",
                    "from": OURS,
                    "contact_id": "c1",
                    "decision_id": "outbound.requests-3-4711",
                },
            ),
        ),
    )


def opt_out(given: Outcome) -> OptOut:
    assert isinstance(given, Refused)
    (found,) = given.opt_outs
    written(found)
    return found


@pytest.mark.parametrize(("code", "cause"), SMS_CAUSES.items())
def test_r15_r16_a_code_at_create_holds_as_it_does_in_a_callback(code: str, cause: Cause) -> None:
    refused = opt_out(outcome(coded(400, int(code))))
    query = {"created_at": str(CREATED), "contact_id": "c1", "decision_id": "outbound.requests-3-4711"}
    (told,) = parse_status(form("status_undelivered_30003", ErrorCode=code), query, "loc1", DEFAULTS).signals
    assert isinstance(told, OptOut)
    assert refused.cause is told.cause is cause
    assert (refused.subject, refused.scopes, refused.actor) == (told.subject, told.scopes, told.actor)
    assert refused.evidence.keys() == told.evidence.keys() - {"message_sid"}
    assert held((refused,)) == held((told,))


def test_every_try_of_a_message_tells_of_one_opt_out() -> None:
    first, second = (SMS.outcome(message(checked_at=at), error(21610)) for at in (CHECKED, CHECKED + 60_000))
    assert opt_out(first).event_id == opt_out(second).event_id
    other = SMS.outcome(message(decision_id="outbound.requests-3-4712"), error(21610))
    assert opt_out(other).event_id != opt_out(first).event_id


def test_a_start_before_the_try_does_not_end_the_hold_and_one_after_it_does() -> None:
    """Twilio says it of the moment we tried: whoever opted in before is held there for another reason."""
    (start,) = parse_inbound(form("inbound_start"), "loc1", DEFAULTS).signals
    at = opt_out(outcome(error(21610))).at
    assert at == CHECKED > CREATED
    assert held((opt_out(outcome(error(21610))), start)) == set()
    untimed = opt_out(SMS.outcome(message(checked_at=None), error(21610)))
    assert untimed.at is None
    assert held((start, untimed)) == {(Scope.SMS, Cause.CARRIER_OPT_OUT)}


def test_the_evidence_names_the_messaging_service_that_the_opt_out_is_of() -> None:
    sender = TwilioSms(**ACCESS, messaging_service_sid=SERVICE)
    evidence = opt_out(sender.outcome(message(), error(21610))).evidence
    assert evidence["messaging_service_sid"] == SERVICE
    assert "from" not in evidence


@pytest.mark.parametrize("channel", OTHERS)
@pytest.mark.parametrize("code", SMS_CAUSES)
def test_the_codes_of_sms_hold_nobody_on_another_channel(channel: Channel, code: str) -> None:
    found = OTHERS[channel].outcome(message(channel=channel), coded(400, int(code)))
    assert isinstance(found, Refused)
    assert found.opt_outs == ()


@pytest.mark.parametrize("code", sorted(NO_EFFECT.keys() - BY_CODE.keys()))
@pytest.mark.parametrize("status", [400, 403, 404])
def test_a_refusal_of_one_message_is_no_more_than_that(code: str, status: int) -> None:
    """A 403 too: 21408, "not to this region", must not stop the account."""
    assert outcome(coded(status, int(code))) == Refused(code, f"Twilio answered {status}: No.")


def test_refusals_as_twilio_words_them() -> None:
    assert outcome(error(21211)) == Refused(
        "21211", "Twilio answered 400: The 'To' number +1415555 is not a valid phone number."
    )
    assert isinstance(outcome(error(21408)), Refused)
    assert isinstance(outcome(error(20404)), Refused)


KINDS: dict[Means, type[Outcome]] = {
    Means.REFUSED: Refused,
    Means.LATER: TryLater,
    Means.THROTTLED: TryLater,
    Means.BROKEN: AccountBroken,
}


@pytest.mark.parametrize(("code", "means"), BY_CODE.items())
@pytest.mark.parametrize("status", [400, 401, 403, 429])
def test_a_code_with_a_row_says_more_than_its_status(code: str, means: Means, status: int) -> None:
    found = outcome(coded(status, int(code)))
    assert isinstance(found, KINDS[means])
    assert not isinstance(found, Sent)
    assert found.code == code
    if isinstance(found, TryLater):
        assert found.throttled == (means is Means.THROTTLED)
    assert outcome(coded(status, code)) == found  # the code as text


def test_no_code_has_two_meanings() -> None:
    assert not BY_CODE.keys() & SMS_CAUSES.keys()
    assert all(code.isascii() and code.isdecimal() for code in BY_CODE)
    assert set(BY_CODE.values()) <= KINDS.keys()


@pytest.mark.parametrize("status", [401, 403])
@pytest.mark.parametrize("body", [b"", b"<html>Forbidden</html>", b'{"code":20003}', b'{"code":20999}', b'{"code":1}'])
def test_r8_an_account_that_twilio_does_not_know_is_broken(status: int, body: bytes) -> None:
    assert isinstance(outcome(answer(status, body)), AccountBroken)


def test_r8_a_401_is_the_account_s_whatever_its_code() -> None:
    assert isinstance(outcome(coded(401, 21_211)), AccountBroken)
    assert isinstance(outcome(error(20003)), AccountBroken)


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        (400, Refused("http_400", "Twilio answered 400")),
        (404, Refused("http_404", "Twilio answered 404")),
        (405, Refused("http_405", "Twilio answered 405")),
        (409, Refused("http_409", "Twilio answered 409")),
        (413, Refused("http_413", "Twilio answered 413")),
        (408, TryLater("http_408", "Twilio answered 408")),
        (429, TryLater("http_429", "Twilio answered 429", throttled=True)),
        (503, TryLater("http_503", "Twilio answered 503")),
        (500, Unclear("http_500", "Twilio answered 500")),
        (502, Unclear("http_502", "Twilio answered 502")),
        (504, Unclear("http_504", "Twilio answered 504")),
        (520, Unclear("http_520", "Twilio answered 520")),
        (100, Unclear("http_100", "Twilio answered 100")),
        (302, Unclear("http_302", "Twilio answered 302")),
        (308, Unclear("http_308", "Twilio answered 308")),
        (999, Unclear("http_999", "Twilio answered 999")),
    ],
)
def test_errors_of_whatever_is_in_between_have_a_status_alone(status: int, expected: Outcome) -> None:
    for body in (b"", b"<html><h1>Error</h1>", b"[]", b"null", b'{"code":"oops"}', b"[" * 100_000):
        assert outcome(answer(status, body)) == expected


@pytest.mark.parametrize("code", ["20003", "20429", *SMS_CAUSES, "21211"])
@pytest.mark.parametrize("status", [500, 502, 504])
def test_an_unknown_outcome_is_never_taken_for_a_refusal(code: str, status: int) -> None:
    assert isinstance(outcome(coded(status, int(code))), Unclear)


@pytest.mark.parametrize("code", [None, "", "x", "21610x", " 21610", "-21610", 21610.0, 10**30, [21610], "٢١٦١٠", True])
def test_what_is_no_code_is_as_if_there_were_none(code: object) -> None:
    assert outcome(coded(400, code)) == Refused("http_400", "Twilio answered 400: No.")


def test_throttled_as_twilio_words_it() -> None:
    found = outcome(error(20429))
    assert found == TryLater("20429", "Twilio answered 429: Too Many Requests", throttled=True)


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"retry-after": "7"}, 7.0),
        ({"retry-after": " 0.5 "}, 0.5),
        ({"retry-after": "0"}, 0.0),
        ({"retry-after": "999999999"}, LONGEST_WAIT_S),
        ({"retry-after": LATER_DATE, "date": DATE}, 93.0),
        ({"retry-after": DATE, "date": LATER_DATE}, 0.0),
        ({"retry-after": "Fri, 24 May 2219 17:20:00 GMT", "date": DATE}, LONGEST_WAIT_S),
        ({"retry-after": LATER_DATE, "date": "yesterday"}, 60.0),
        ({"retry-after": LATER_DATE}, 60.0),
        ({}, None),
        ({"date": DATE}, None),
        ({"retry-after": ""}, None),
        ({"retry-after": "-1"}, None),
        ({"retry-after": "1e3"}, None),
        ({"retry-after": "nan"}, None),
        ({"retry-after": "soon"}, None),
        ({"retry-after": "9" * 5_000}, None),
        ({"retry-after": "٣"}, None),
    ],
)
def test_how_long_twilio_asks_to_wait(headers: dict[str, str], seconds: float | None) -> None:
    now = 1_558_718_340_000  # a minute before LATER_DATE
    assert retry_after_s(headers, now) == seconds
    assert retry_after_s({"retry-after": LATER_DATE}, None) is None
    for status in (429, 503):
        found = SMS.outcome(message(checked_at=now), Answer(status, headers, b""))
        assert isinstance(found, TryLater)
        assert found.after_s == seconds


@given(st.text(max_size=40), st.text(max_size=40), st.none() | st.integers(0, 10**13))
def test_any_header_is_a_wait_or_none(asked: str, date: str, now: int | None) -> None:
    found = retry_after_s({"retry-after": asked, "date": date}, now)
    assert found is None or 0 <= found <= LONGEST_WAIT_S


def test_what_twilio_says_is_kept_in_part_and_on_one_line() -> None:
    found = outcome(coded(400, 21211, "x\n" * 10_000))
    assert isinstance(found, Refused)
    assert len(found.message) <= SHOWN_LIMIT + 30
    assert "\n" not in found.message


FIELDS = st.sampled_from(["sid", "code", "message", "status"])
CODES = st.sampled_from([int(code) for code in (*BY_CODE, *SMS_CAUSES, *NO_EFFECT)])


@given(
    st.integers(100, 999),
    st.binary(max_size=200)
    | any_json.map(lambda found: json.dumps(found).encode())
    | st.dictionaries(FIELDS, any_json | CODES).map(lambda found: json.dumps(found).encode()),
)
def test_any_answer_can_be_read(status: int, body: bytes) -> None:
    found = outcome(answer(status, body))
    if isinstance(found, Sent):
        assert 200 <= status < 300
        return
    assert found.code.isascii()
    found.message.encode()
    if isinstance(found, Refused):
        assert 400 <= status < 500
        for each in found.opt_outs:
            written(each)
