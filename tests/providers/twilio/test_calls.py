"""Calls and voicemail drops through Twilio, judged by its own SDK: the call, and the TwiML in it."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import parse_qsl
from xml.etree import ElementTree

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from twilio.twiml.voice_response import VoiceResponse  # type: ignore[import-untyped]  # ships no py.typed

from gateway.dnd.model import Channel
from gateway.providers.sending import CannotSend, Message, Sender, Sent
from gateway.providers.twilio.calls import TWIML_LIMIT, TwilioCalls, twiml
from gateway.providers.twilio.webhooks import status_callback_url
from tests.providers.calls import payload
from tests.providers.twilio.sending import (
    ACCOUNT,
    OURS,
    PUBLIC_URL,
    SERVICE,
    TOKEN,
    Asked,
    answer,
    asked,
    asked_by_the_sdk,
    attached,
    message,
    messages,
)

ACCESS: dict[str, Any] = {"account_sid": ACCOUNT, "auth_token": TOKEN, "public_url": PUBLIC_URL}
CALLS = TwilioCalls(**ACCESS, from_number=OURS)


def call_to(**changed: Any) -> Message:
    return message(**({"channel": Channel.CALL, "spelling": "Call"} | changed))


def by_the_sdk(sent: Message) -> Asked:
    said = VoiceResponse()
    if (sent.body or "").strip():
        said.say(sent.body)
    for each in (json.loads(bytes(raw)) for raw in sent.attachments):
        said.play(each["url"] if isinstance(each, dict) else each)
    given: dict[str, Any] = {
        "to": sent.to[0],
        "from_": sent.from_ or OURS,
        "twiml": str(said),
        "status_callback": status_callback_url(
            PUBLIC_URL, sent.location_id, sent.created_at, sent.contact_id, sent.decision_id
        ),
    }
    if sent.spelling.lower() == "voicemail":
        given["machine_detection"] = "DetectMessageEnd"
    return asked_by_the_sdk(lambda client: client.calls.create(**given))


XML_TEXTS = st.text(st.characters(codec="utf-8", exclude_categories=["Cc"], exclude_characters="\ufffe\uffff"))


@given(messages, st.sampled_from(["Call", "Manual_Call", "Voicemail", "voicemail", "VOICEMAIL"]), XML_TEXTS)
def test_what_is_sent_is_what_twilio_s_own_sdk_sends(drawn: Message, spelling: str, body: str) -> None:
    sent = call_to(
        to=drawn.to,
        from_=drawn.from_,
        spelling=spelling,
        body=body,
        attachments=drawn.attachments,
        contact_id=drawn.contact_id,
        created_at=drawn.created_at,
    )
    assume(body.strip() or sent.attachments)
    assert asked(CALLS.call(sent)) == by_the_sdk(sent)


def fields(sender: Sender, **changed: Any) -> dict[str, str]:
    return dict(parse_qsl(sender.call(call_to(**changed)).body.decode()))


def cannot(sender: Sender, **changed: Any) -> str:
    with pytest.raises(CannotSend) as refused:
        sender.call(call_to(**changed))
    return refused.value.code


@pytest.mark.parametrize("spelling", ["Voicemail", "voicemail", "VOICEMAIL"])
def test_a_voicemail_drop_waits_for_the_end_of_the_greeting_and_a_call_does_not(spelling: str) -> None:
    assert fields(CALLS, spelling=spelling)["MachineDetection"] == "DetectMessageEnd"
    assert "MachineDetection" not in fields(CALLS, spelling="Call")
    assert "MachineDetection" not in fields(CALLS, spelling="Manual_Call")


def test_what_a_body_says_can_be_no_command() -> None:
    said = '</Say><Dial>+19005550199</Dial><Say>&amp; "more" ]]>'
    tree = ElementTree.fromstring(twiml(call_to(body=said)))  # noqa: S314 - our own
    assert [(each.tag, each.text) for each in tree] == [("Say", said)]
    url = "https://x.example/a?b=1&c=2"
    tree = ElementTree.fromstring(twiml(call_to(body=None, attachments=attached(url))))  # noqa: S314
    assert [(each.tag, each.text) for each in tree] == [("Play", url)]


@given(st.text())
def test_any_body_makes_xml_that_can_be_read(body: str) -> None:
    assume(body.strip())
    (said,) = ElementTree.fromstring(twiml(call_to(body=body)))  # noqa: S314
    assert said.tag == "Say"
    assert len(said.text or "") == len(body.replace("\r\n", "\n"))


def test_what_is_said_comes_before_what_is_played() -> None:
    sent = call_to(body="Hello.", attachments=attached("https://x.example/a.mp3", "https://x.example/b.mp3"))
    assert twiml(sent).endswith(
        "<Response><Say>Hello.</Say><Play>https://x.example/a.mp3</Play><Play>https://x.example/b.mp3</Play></Response>"
    )


def test_a_twiml_has_4000_characters_at_most() -> None:
    room = TWIML_LIMIT - len(twiml(call_to(body="x"))) + 1
    assert len(fields(CALLS, body="x" * room)["Twiml"]) == 4_000
    assert cannot(CALLS, body="x" * (room + 1)) == "body_too_long"
    assert cannot(CALLS, body="&" * (room // 4)) == "body_too_long"


@pytest.mark.parametrize("body", [None, "", " \n"])
def test_there_is_something_to_hear(body: str | None) -> None:
    assert cannot(CALLS, body=body) == "no_content"
    assert cannot(CALLS, body=body, attachments=attached("http://x.example/a.mp3")) == "bad_attachment"


def test_only_a_number_calls() -> None:
    assert cannot(TwilioCalls(**ACCESS)) == "no_sender"
    assert cannot(TwilioCalls(**ACCESS, messaging_service_sid=SERVICE)) == "no_sender"
    for own in ("32665", "ACME", "client:joe", "whatsapp:+14155550101"):
        assert cannot(CALLS, from_=own) == "bad_sender"
    assert fields(CALLS, from_="+14155550101")["From"] == "+14155550101"
    assert fields(TwilioCalls(**ACCESS, messaging_service_sid=SERVICE, from_number=OURS))["From"] == OURS


@pytest.mark.parametrize("to", ["client:joe", "sip:joe@example.com", "whatsapp:+14155550123", "911"])
def test_only_a_number_is_called(to: str) -> None:
    assert cannot(CALLS, to=(to,)) == "bad_recipient"


def test_a_call_that_is_taken_is_named_as_its_callbacks_name_it() -> None:
    assert CALLS.outcome(call_to(), answer(201, payload("twilio", "call_created"))) == Sent(f"CA{1:032x}")


def test_no_call_may_be_repeated_when_its_end_is_unknown() -> None:
    assert not CALLS.call(call_to()).repeatable
    assert (CALLS.provider, CALLS.account) == ("twilio", ACCOUNT)
