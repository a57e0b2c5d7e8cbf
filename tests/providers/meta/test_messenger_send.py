"""Messages of a page: the documented calls, and what Meta's errors mean."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given

from gateway.providers.meta.codes import CODES
from gateway.providers.meta.messenger_send import TAG_LIMIT, MessengerSender
from gateway.providers.sending import Answer, CannotSend, Message, Refused, Sent, TryLater, Unclear
from tests.providers.outgoing import (
    answer,
    any_answer,
    any_message,
    graph_error,
    kind_of,
    message,
    raw,
    statuses_read_as,
)

FB = message().channel.FB
SENDER = MessengerSender(page_id="1001", token="page-token")  # noqa: S106 - of the tests
HI = message(FB)
BAD_URLS: list[Any] = [
    1,
    None,
    {},
    "",
    "http://example.com/a",
    "https://",
    "https://[",
    "https://a b",
    "https://a:0/",
]


@pytest.mark.parametrize(
    ("sent", "fields"),
    [
        (HI, {"messaging_type": "RESPONSE", "message": {"text": "Hi"}}),
        (
            message(FB, body="Grüße 😀", metadata={"messaging_type": raw("UPDATE"), "other": raw({})}),
            {"messaging_type": "UPDATE", "message": {"text": "Grüße 😀"}},
        ),
        (
            message(FB, metadata={"tag": raw("HUMAN_AGENT")}),
            {"messaging_type": "MESSAGE_TAG", "tag": "HUMAN_AGENT", "message": {"text": "Hi"}},
        ),
        (
            message(FB, metadata={"tag": raw("HUMAN_AGENT"), "messaging_type": raw("MESSAGE_TAG")}),
            {"messaging_type": "MESSAGE_TAG", "tag": "HUMAN_AGENT", "message": {"text": "Hi"}},
        ),
        (
            message(FB, metadata={"tag": raw(None), "messaging_type": raw(None)}),
            {"messaging_type": "RESPONSE", "message": {"text": "Hi"}},
        ),
    ],
)
def test_a_text_is_posted_as_documented(sent: Message, fields: dict[str, object]) -> None:
    """https://developers.facebook.com/docs/messenger-platform/reference/send-api."""
    call = SENDER.call(sent)
    assert (call.method, call.url) == ("POST", "https://graph.facebook.com/v21.0/1001/messages")
    assert call.headers["Authorization"] == "Bearer page-token"
    assert call.headers["Content-Type"] == "application/json"
    assert json.loads(call.body) == {"recipient": {"id": "24680"}, **fields}
    assert not call.repeatable


@pytest.mark.parametrize(
    ("attachment", "kind"),
    [
        ("https://example.com/a.jpg", "image"),
        ("https://example.com/a.MP4?x=1", "video"),
        ("https://example.com/a.mp3", "audio"),
        ("https://example.com/a.pdf", "file"),
        ({"url": "https://example.com/a"}, "file"),
    ],
)
def test_a_file_is_posted_by_its_url(attachment: str | dict[str, str], kind: str) -> None:
    call = SENDER.call(message(FB, body=None, attachments=(raw(attachment),)))
    url = attachment if isinstance(attachment, str) else attachment["url"]
    payload = {"url": url, "is_reusable": False}
    assert json.loads(call.body)["message"] == {"attachment": {"type": kind, "payload": payload}}


@pytest.mark.parametrize(
    ("sent", "code"),
    [
        (message(FB, to=()), "bad_recipient"),
        (message(FB, to=(" ",)), "bad_recipient"),
        (message(FB, to=("1", "2")), "bad_recipient"),
        (message(FB, cc=("2",)), "bad_recipient"),
        (message(FB, body=None), "no_content"),
        (message(FB, attachments=(raw("https://example.com/a.jpg"),)), "body_with_attachment"),
        (message(FB, body=None, attachments=(raw("https://example.com/a.jpg"),) * 2), "too_many_attachments"),
        *((message(FB, body=None, attachments=(raw(bad),)), "bad_attachment") for bad in BAD_URLS),
        (message(FB, body=None, attachments=(raw("https://example.com/" + "a" * 2_000),)), "bad_attachment"),
        (message(FB, metadata={"messaging_type": raw("MARKETING")}), "bad_metadata"),
        (message(FB, metadata={"messaging_type": raw("MESSAGE_TAG")}), "bad_metadata"),
        (message(FB, metadata={"messaging_type": raw("UPDATE"), "tag": raw("HUMAN_AGENT")}), "bad_metadata"),
        (message(FB, metadata={"tag": raw(["HUMAN_AGENT"])}), "bad_metadata"),
        (message(FB, metadata={"tag": raw("x" * (TAG_LIMIT + 1))}), "bad_metadata"),
    ],
)
def test_what_cannot_be_sent_makes_no_call(sent: Message, code: str) -> None:
    with pytest.raises(CannotSend) as refused:
        SENDER.call(sent)
    assert refused.value.code == code


@given(any_message)
def test_whatever_is_asked_the_call_is_for_the_one_recipient_or_there_is_none(sent: Message) -> None:
    try:
        call = SENDER.call(sent)
    except CannotSend:
        return
    assert json.loads(call.body)["recipient"] == {"id": sent.to[0].strip()}
    assert len(sent.to + sent.cc + sent.bcc) == 1


def test_a_success_names_the_message() -> None:
    assert SENDER.outcome(HI, answer(200, {"recipient_id": "24680", "message_id": "mid.1"})) == Sent("mid.1")
    assert isinstance(SENDER.outcome(HI, answer(200, {"recipient_id": "24680"})), Unclear)
    assert isinstance(SENDER.outcome(HI, answer(200)), Unclear)


@pytest.mark.parametrize(
    ("status", "code", "subcode", "kind"),
    [
        (400, 10, 2018278, "refused"),
        (403, 10, 2018278, "refused"),
        (403, 10, 2534022, "refused"),
        (403, 10, None, "broken"),
        (400, 551, 1545041, "refused"),
        (400, 100, 2018001, "refused"),
        (400, 100, None, "refused"),
        (400, 190, 463, "broken"),
        (400, 190, None, "broken"),
        (401, 190, None, "broken"),
        (400, 4, None, "throttled"),
        (403, 4, None, "throttled"),
        (400, 4, 2018022, "throttled"),
        (400, 4, 2018354, "refused"),
        (400, 613, None, "throttled"),
        (400, 613, 1893016, "throttled"),
        (400, 80006, None, "throttled"),
        (403, 200, 1545041, "refused"),
        (403, 200, 2018028, "broken"),
        (403, 230, None, "broken"),
        (403, 368, None, "broken"),
        (500, 1, 1357046, "unclear"),
        (400, 2, None, "unclear"),
        (503, 2, None, "later"),
        (500, 1200, None, "unclear"),
        (400, 424242, None, "refused"),
        (401, 424242, None, "broken"),
        (500, 424242, None, "unclear"),
        (200, 424242, None, "unclear"),
    ],
)
def test_every_code_has_a_meaning(status: int, code: int, subcode: int | None, kind: str) -> None:
    outcome = SENDER.outcome(HI, answer(status, graph_error(code, subcode)))
    assert kind_of(outcome) == kind
    assert not isinstance(outcome, Sent)
    assert outcome.code == (f"{code}/{subcode}" if subcode else str(code))


@pytest.mark.parametrize("code", CODES)
def test_no_refusal_in_messenger_is_an_opt_out(code: int) -> None:
    for status in (400, 403, 500):
        outcome = SENDER.outcome(HI, answer(status, graph_error(code, 2018278)))
        assert not (isinstance(outcome, Refused) and outcome.opt_outs)


def test_an_error_that_meta_calls_transient_is_no_refusal() -> None:
    assert kind_of(SENDER.outcome(HI, answer(400, graph_error(424242, is_transient=True)))) == "unclear"


def test_throttling_says_when_to_come_back() -> None:
    found = SENDER.outcome(HI, answer(400, graph_error(613, said="(#613) Calls exceeded"), retry_after="9"))
    assert found == TryLater("613", "answered 400: (#613) Calls exceeded", 9.0, throttled=True)


def test_every_status_without_a_code_has_a_meaning() -> None:
    statuses_read_as(
        SENDER, HI, {302: "unclear", 400: "refused", 401: "broken", 429: "throttled", 500: "unclear", 503: "later"}
    )


@given(any_answer)
def test_odd_answers_never_raise(answered: Answer) -> None:
    assert kind_of(SENDER.outcome(HI, answered))
    assert SENDER.works(answered) in (True, False)


def test_the_page_works_again_when_its_token_tells_of_it() -> None:
    probe = SENDER.probe()
    assert (probe.method, probe.url) == ("GET", "https://graph.facebook.com/v21.0/1001?fields=id")
    assert probe.headers["Authorization"] == "Bearer page-token"
    assert SENDER.works(answer(200, {"id": "1001"}))
    assert not SENDER.works(answer(200, {"id": "1002"}))
    assert not SENDER.works(answer(200))
    assert not SENDER.works(answer(400, graph_error(190)))


def test_the_token_and_what_is_written_are_not_shown() -> None:
    shown = repr(SENDER) + repr(SENDER.call(message(FB, body="private"))) + repr(SENDER.probe())
    assert "page-token" not in shown
    assert "private" not in shown
    assert (SENDER.provider, SENDER.account) == ("meta", "1001")
