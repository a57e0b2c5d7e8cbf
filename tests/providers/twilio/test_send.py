"""SMS, MMS and WhatsApp through Twilio: what is sent, judged by Twilio's own SDK, and what cannot be sent."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from gateway.dnd.model import Channel
from gateway.providers.sending import CannotSend, Message, Sender
from gateway.providers.twilio.send import BODY_LIMIT, TwilioSms, TwilioWhatsApp
from gateway.providers.twilio.webhooks import parse_status, status_callback_url
from tests.providers.twilio.calls import DEFAULTS, form
from tests.providers.twilio.sending import (
    ACCOUNT,
    CHECKED,
    CREATED,
    OURS,
    PUBLIC_URL,
    SERVICE,
    THEIRS,
    TOKEN,
    Asked,
    asked,
    asked_by_the_sdk,
    attached,
    message,
    messages,
)

ACCESS: dict[str, Any] = {"account_sid": ACCOUNT, "auth_token": TOKEN, "public_url": PUBLIC_URL}
SMS = TwilioSms(**ACCESS, from_number=OURS)
WHATSAPP = TwilioWhatsApp(**ACCESS, from_number=OURS)
THROUGH_A_SERVICE = (
    TwilioSms(**ACCESS, messaging_service_sid=SERVICE, from_number=OURS),
    TwilioWhatsApp(**ACCESS, messaging_service_sid=SERVICE, from_number=OURS),
)
SENDERS: tuple[Sender, ...] = (SMS, WHATSAPP, *THROUGH_A_SERVICE)


def by_the_sdk(sent: Message, scheme: str, service: str | None) -> Asked:
    """The same message, as somebody who uses the SDK would send it."""
    given: dict[str, Any] = {
        "to": scheme + sent.to[0],
        "status_callback": status_callback_url(
            PUBLIC_URL, sent.location_id, sent.created_at, sent.contact_id, sent.decision_id
        ),
    }
    if service and sent.from_ is None:
        given["messaging_service_sid"] = service
    else:
        given["from_"] = scheme + (sent.from_ or OURS)
    if sent.body:
        given["body"] = sent.body
    if sent.attachments:
        found = [json.loads(bytes(each)) for each in sent.attachments]
        given["media_url"] = [each["url"] if isinstance(each, dict) else each for each in found]
    if sent.checked_at is not None:
        given["validity_period"] = sorted([1, (sent.not_after - sent.checked_at) // 1000, 36_000])[1]
    return asked_by_the_sdk(lambda client: client.messages.create(**given))


CASES: list[tuple[Sender, str, str | None]] = [
    (SMS, "", None),
    (WHATSAPP, "whatsapp:", None),
    (THROUGH_A_SERVICE[0], "", SERVICE),
    (THROUGH_A_SERVICE[1], "whatsapp:", SERVICE),
]


@given(messages, st.sampled_from(CASES))
def test_what_is_sent_is_what_twilio_s_own_sdk_sends(sent: Message, case: tuple[Sender, str, str | None]) -> None:
    sender, scheme, service = case
    assume((sent.body or "").strip() or sent.attachments)
    assert asked(sender.call(sent)) == by_the_sdk(sent, scheme, service)


def test_one_message_written_out() -> None:
    """So that a mistake that we and the SDK's user share is seen."""
    call = SMS.call(message(attachments=attached("https://x.example/a.png", {"url": "https://x.example/b.png"})))
    assert (call.method, call.url) == (
        "POST",
        f"https://api.twilio.com/2010-04-01/Accounts/{ACCOUNT}/Messages.json",
    )
    assert parse_qsl(call.body.decode(), strict_parsing=True) == [
        ("To", THEIRS),
        (
            "StatusCallback",
            "https://gateway.example.com/webhooks/twilio/loc1/status"
            "?created_at=1763900000000&contact_id=c1&decision_id=outbound.requests-3-4711",
        ),
        ("From", OURS),
        ("ValidityPeriod", "600"),
        ("Body", "Your appointment is tomorrow."),
        ("MediaUrl", "https://x.example/a.png"),
        ("MediaUrl", "https://x.example/b.png"),
    ]


def fields(sender: Sender, **changed: Any) -> dict[str, str]:
    return dict(parse_qsl(sender.call(message(**changed)).body.decode()))


@pytest.mark.parametrize("sender", SENDERS)
def test_no_call_may_be_repeated_when_its_end_is_unknown(sender: Sender) -> None:
    """Twilio documents no idempotency key for create."""
    assert not sender.call(message()).repeatable


def test_neither_call_nor_sender_shows_the_token_or_the_text() -> None:
    shown = f"{SMS!r} {SMS.call(message())!r}"
    assert TOKEN not in shown
    assert "appointment" not in shown
    assert "Basic" not in shown


def test_a_message_that_names_its_sender_is_sent_from_there() -> None:
    for sender in (SMS, THROUGH_A_SERVICE[0]):
        sent = fields(sender, from_=" +14155550101 ")
        assert sent["From"] == "+14155550101"
        assert "MessagingServiceSid" not in sent
    assert fields(SMS, from_="ACME")["From"] == "ACME"
    assert fields(SMS, from_="  ")["From"] == OURS


@pytest.mark.parametrize("own", ["+14155550101", "whatsapp:+14155550101"])
def test_a_whatsapp_sender_may_be_named_with_or_without_the_scheme(own: str) -> None:
    assert fields(WHATSAPP, from_=own)["From"] == "whatsapp:+14155550101"


@pytest.mark.parametrize(
    ("left_ms", "validity_s"),
    [(600_000, 600), (600_999, 600), (999, 1), (0, 1), (-5_000, 1), (35_999_000, 35_999), (10**9, 36_000)],
)
def test_r22_a_message_waits_at_twilio_no_longer_than_it_may_wait_at_all(left_ms: int, validity_s: int) -> None:
    for sender in (SMS, WHATSAPP):
        assert fields(sender, not_after=CHECKED + left_ms)["ValidityPeriod"] == str(validity_s)
        assert "ValidityPeriod" not in fields(sender, checked_at=None)


def test_r16_a_late_failure_finds_when_its_message_was_created_and_for_whom() -> None:
    """What goes out as `StatusCallback` is what `parse_status` reads."""
    query = dict(parse_qsl(urlsplit(fields(SMS)["StatusCallback"]).query))
    (held,) = parse_status(form("status_undelivered_30004"), query, "loc1", DEFAULTS).signals
    assert held.at == CREATED
    assert (held.evidence["contact_id"], held.evidence["decision_id"]) == ("c1", "outbound.requests-3-4711")


@pytest.mark.parametrize("body", [None, "", " \n"])
def test_without_a_body_a_file_is_enough_and_without_both_nothing_is_sent(body: str | None) -> None:
    assert fields(SMS, body=body, attachments=attached("https://x.example/a"))["MediaUrl"] == "https://x.example/a"
    assert cannot(SMS, body=body) == "no_content"
    assert cannot(SMS, body=body, html="<p>Hi</p>", subject="Hi") == "no_content"


def cannot(sender: Sender, **changed: Any) -> str:
    with pytest.raises(CannotSend) as refused:
        sender.call(message(**changed))
    return refused.value.code


def test_a_body_has_1600_characters_at_most() -> None:
    for sender in (SMS, WHATSAPP):
        assert fields(sender, body="x" * BODY_LIMIT)["Body"] == "x" * 1_600
        assert cannot(sender, body="x" * 1_601) == "body_too_long"


def test_nobody_sends_what_has_no_sender() -> None:
    for sender in (TwilioSms(**ACCESS), TwilioWhatsApp(**ACCESS)):
        assert cannot(sender) == "no_sender"
        assert cannot(sender, from_=" ") == "no_sender"
        assert sender.call(message(from_=OURS))


@pytest.mark.parametrize("own", ["32665", "ACME", "messenger:1", "whatsapp:32665", "whatsapp:whatsapp:+14155550101"])
def test_what_is_no_number_sends_no_whatsapp(own: str) -> None:
    assert cannot(WHATSAPP, from_=own) == "bad_sender"


@pytest.mark.parametrize(
    "to",
    [
        ("whatsapp:+14155550123",),
        ("messenger:14155550123",),
        ("client:joe",),
        ("sip:joe@example.com",),
        ("4155550123",),
        ("+1",),
        ("+14155550123 ",),
        ("+14155550123\n",),
        ("US.13491208655302741918",),
        ("",),
        (),
        (THEIRS, "+14155550124"),
    ],
)
def test_nothing_goes_out_on_a_channel_that_was_not_checked(to: tuple[str, ...]) -> None:
    """To Twilio the form of `To` is the channel: an SMS to `whatsapp:+1...` would pass a hold on WhatsApp."""
    for sender in SENDERS:
        assert cannot(sender, to=to) == "bad_recipient"


def test_a_message_has_one_recipient() -> None:
    assert cannot(SMS, cc=("+14155550124",)) == "bad_recipient"
    assert cannot(SMS, bcc=("+14155550124",)) == "bad_recipient"


def test_a_body_that_is_no_text_costs_no_more_than_the_character() -> None:
    assert fields(SMS, body="Hi \ud83d!")["Body"] == "Hi ?!"


@pytest.mark.parametrize("sender", SENDERS)
def test_all_senders_of_an_account_share_its_name(sender: Sender) -> None:
    assert (sender.provider, sender.account) == ("twilio", ACCOUNT)


def test_another_base_of_the_api_is_called_there() -> None:
    sender = TwilioSms(**ACCESS, from_number=OURS, api_base="http://127.0.0.1:8080/x/")
    assert sender.call(message(channel=Channel.SMS)).url == (
        f"http://127.0.0.1:8080/x/2010-04-01/Accounts/{ACCOUNT}/Messages.json"
    )
