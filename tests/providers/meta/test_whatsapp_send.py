"""Messages of a WhatsApp number: our call is the one pywa makes, and its errors mean to us what they mean to pywa."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import httpx
import pytest
from hypothesis import given
from pywa.client import WhatsApp
from pywa.errors import AuthorizationError, ThrottlingError, WhatsAppError
from pywa.types.templates import BodyText, TemplateLanguage

from gateway.dnd.model import Channel, Subject, SubjectKind
from gateway.providers.meta.codes import CODES
from gateway.providers.meta.whatsapp import MarketingOptOut, WhatsAppNumber, read_change
from gateway.providers.meta.whatsapp_send import WhatsAppSender
from gateway.providers.sending import Answer, CannotSend, Message, Refused, Sent, TryLater, Unclear
from gateway.providers.signals import OptOut
from tests.providers.meta.whatsapp import NUMBER, NUMBER_ID
from tests.providers.outgoing import (
    CHECKED_AT,
    answer,
    any_answer,
    any_message,
    graph_error,
    kind_of,
    message,
    raw,
    statuses_read_as,
)

WA = Channel.WHATSAPP
TOKEN = "number-token"  # noqa: S105 - of the tests
SENDER = WhatsAppSender(phone_number_id=NUMBER_ID, token=TOKEN)
HI = message(WA)
USER_ID = "US.13491208655302741918"
TAKEN = {
    "messaging_product": "whatsapp",
    "contacts": [{"input": "14155550123", "wa_id": "14155550123"}],
    "messages": [{"id": "wamid.1"}],
}
TEMPLATE = {
    "name": "offer",
    "language": {"code": "en_US"},
    "components": [{"type": "body", "parameters": [{"type": "text", "text": "Anna", "parameter_name": "who"}]}],
}
BAD_TEMPLATES: list[Any] = ["offer", [], {}, {"name": "offer"}, {"name": 1, "language": {"code": "en"}}]
ODD_SUCCESSES: list[Any] = [None, {}, {"messages": []}, {"messages": [{}]}, {"messages": {"id": "wamid.1"}}]


@pytest.fixture
def posted_by_sdk() -> Iterator[tuple[WhatsApp, list[httpx.Request]]]:
    """pywa, and what it would have put on the wire."""
    posted: list[httpx.Request] = []

    def keep(request: httpx.Request) -> httpx.Response:
        posted.append(request)
        return httpx.Response(200, json=TAKEN)

    with httpx.Client(transport=httpx.MockTransport(keep)) as session:
        yield WhatsApp(phone_id=NUMBER_ID, token=TOKEN, session=session, api_version=21.0), posted


@pytest.mark.parametrize(
    ("sent", "send"),
    [
        (HI, lambda wa, **tracked: wa.send_message("14155550123", "Hi", **tracked)),
        (
            message(WA, body="Grüße 😀\nhttps://example.com"),
            lambda wa, **tracked: wa.send_message("14155550123", "Grüße 😀\nhttps://example.com", **tracked),
        ),
        (message(WA, to=(USER_ID,)), lambda wa, **tracked: wa.send_message(USER_ID, "Hi", **tracked)),
        (
            message(WA, body=None, attachments=(raw("https://example.com/a.png"),)),
            lambda wa, **tracked: wa.api.send_message(
                sender=NUMBER_ID,
                to="14155550123",
                recipient=None,
                recipient_type="individual",
                typ="image",
                msg={"link": "https://example.com/a.png"},
                biz_opaque_callback_data=tracked["tracker"],
            ),
        ),
        (
            message(WA, attachments=(raw({"url": "https://example.com/b/a.pdf"}),)),
            lambda wa, **tracked: wa.send_document(
                "14155550123", "https://example.com/b/a.pdf", "a.pdf", "Hi", **tracked
            ),
        ),
        (
            message(WA, body=None, attachments=(raw("https://example.com/a.pdf"),)),
            lambda wa, **tracked: wa.send_document("14155550123", "https://example.com/a.pdf", "a.pdf", **tracked),
        ),
        (
            message(WA, attachments=(raw("https://example.com/a.jpg"),)),
            lambda wa, **tracked: wa.send_image("14155550123", "https://example.com/a.jpg", "Hi", **tracked),
        ),
        (
            message(WA, attachments=(raw("https://example.com/a.mp4"),)),
            lambda wa, **tracked: wa.send_video("14155550123", "https://example.com/a.mp4", "Hi", **tracked),
        ),
        (
            message(WA, body=None, attachments=(raw("https://example.com/a.ogg"),)),
            lambda wa, **tracked: wa.send_audio("14155550123", "https://example.com/a.ogg", **tracked),
        ),
        (
            message(WA, metadata={"template": raw(TEMPLATE)}),
            lambda wa, **tracked: wa.send_template(
                "14155550123", "offer", TemplateLanguage.ENGLISH_US, [BodyText.params(who="Anna")], **tracked
            ),
        ),
    ],
)
def test_our_call_is_the_one_pywa_makes(
    posted_by_sdk: tuple[WhatsApp, list[httpx.Request]], sent: Message, send: Callable[..., object]
) -> None:
    ours = SENDER.call(sent)
    pywa, posted = posted_by_sdk
    send(pywa, tracker=sent.decision_id)
    [theirs] = posted
    assert (ours.method, ours.url) == (theirs.method, str(theirs.url))
    for header in ("Authorization", "Content-Type"):
        assert ours.headers[header] == theirs.headers[header]
    assert _parameters(json.loads(ours.body)) == _parameters(json.loads(theirs.content))
    assert not ours.repeatable


def _parameters(body: Any) -> Any:
    """Every parameter, with the spelling of a template's words (`BODY`, `body`) made one: Meta takes either."""
    for component in body.get("template", {}).get("components", ()):
        component["type"] = component["type"].lower()
        for parameter in component["parameters"]:
            parameter["type"] = parameter["type"].lower()
    return body


@pytest.mark.parametrize("to", ["+14155550123", "whatsapp:+14155550123", "14155550123"])
def test_a_number_goes_as_its_digits(to: str) -> None:
    assert json.loads(SENDER.call(message(WA, to=(to,))).body)["to"] == "14155550123"


@pytest.mark.parametrize(
    ("sent", "code"),
    [
        (message(WA, to=()), "bad_recipient"),
        (message(WA, to=("+14155550123", "+14155550124")), "bad_recipient"),
        (message(WA, bcc=("+14155550124",)), "bad_recipient"),
        (message(WA, to=("anna",)), "bad_recipient"),
        (message(WA, body=None), "no_content"),
        (message(WA, attachments=(raw("https://example.com/a.ogg"),)), "body_with_attachment"),
        (message(WA, attachments=(raw("https://example.com/a.pdf"),) * 2), "too_many_attachments"),
        (message(WA, attachments=(raw("example.com/a.pdf"),)), "bad_attachment"),
        (
            message(WA, metadata={"template": raw(TEMPLATE)}, attachments=(raw("https://example.com/a.pdf"),)),
            "template_with_attachment",
        ),
        *((message(WA, metadata={"template": raw(bad)}), "bad_metadata") for bad in BAD_TEMPLATES),
    ],
)
def test_what_cannot_be_sent_makes_no_call(sent: Message, code: str) -> None:
    with pytest.raises(CannotSend) as refused:
        SENDER.call(sent)
    assert refused.value.code == code


@given(any_message)
def test_whatever_is_asked_the_call_is_json_for_one_recipient_or_there_is_none(sent: Message) -> None:
    try:
        call = SENDER.call(sent)
    except CannotSend:
        return
    body = json.loads(call.body)
    assert ("to" in body) != ("recipient" in body)
    assert body["type"] in body
    assert len(sent.to + sent.cc + sent.bcc) == 1


def test_a_success_names_the_message() -> None:
    assert SENDER.outcome(HI, answer(200, TAKEN)) == Sent("wamid.1")
    for odd in ODD_SUCCESSES:
        assert isinstance(SENDER.outcome(HI, answer(200, odd)), Unclear)


@pytest.mark.parametrize(
    ("status", "code", "kind"),
    [
        (400, 131050, "refused"),
        (400, 131026, "refused"),
        (400, 131047, "refused"),
        (400, 131049, "refused"),
        (400, 130472, "refused"),
        (400, 131053, "refused"),
        (403, 130497, "refused"),
        (404, 132001, "refused"),
        (400, 131009, "refused"),
        (429, 130429, "throttled"),
        (400, 131048, "throttled"),
        (400, 131056, "throttled"),
        (400, 80007, "throttled"),
        (400, 4, "throttled"),
        (400, 133016, "throttled"),
        (400, 131064, "throttled"),
        (401, 190, "broken"),
        (400, 190, "broken"),
        (401, 0, "broken"),
        (500, 3, "broken"),
        (403, 10, "broken"),
        (403, 200, "broken"),
        (403, 299, "broken"),
        (400, 33, "broken"),
        (403, 368, "broken"),
        (403, 131005, "broken"),
        (403, 131031, "broken"),
        (400, 131042, "broken"),
        (400, 133010, "broken"),
        (503, 131016, "later"),
        (500, 131057, "later"),
        (503, 133004, "later"),
        (503, 2, "later"),
        (500, 2, "unclear"),
        (400, 1, "unclear"),
        (500, 131000, "unclear"),
        (400, 424242, "refused"),
        (500, 424242, "unclear"),
    ],
)
def test_every_code_has_a_meaning(status: int, code: int, kind: str) -> None:
    outcome = SENDER.outcome(HI, answer(status, graph_error(code)))
    assert kind_of(outcome) == kind
    assert not isinstance(outcome, Sent)
    assert outcome.code == str(code)


def _codes(kind: type[WhatsAppError]) -> set[int]:
    return {code for each in kind.__subclasses__() for code in each.__error_codes__ or ()}


def test_what_pywa_calls_throttling_or_no_authorization_is_that_to_us() -> None:
    assert len(_codes(ThrottlingError)) >= 7
    for kinds, expected in ((ThrottlingError, "throttled"), (AuthorizationError, "broken")):
        found = {code: kind_of(SENDER.outcome(HI, answer(400, graph_error(code)))) for code in _codes(kinds)}
        assert found == dict.fromkeys(found, expected)


def test_a_number_that_is_not_the_tokens_is_a_broken_account_and_a_bad_parameter_is_not() -> None:
    assert kind_of(SENDER.outcome(HI, answer(400, graph_error(100, 33)))) == "broken"
    assert kind_of(SENDER.outcome(HI, answer(400, graph_error(100)))) == "refused"


def _opt_outs(sent: Message, marketing: MarketingOptOut = MarketingOptOut.BLOCK, code: int = 131050) -> list[OptOut]:
    error = graph_error(code, error_data={"details": "The person stopped marketing messages"})
    outcome = replace(SENDER, marketing_opt_out=marketing).outcome(sent, answer(400, error))
    assert isinstance(outcome, Refused)
    return list(outcome.opt_outs)


@pytest.mark.parametrize("to", ["+16505550123", "+5215550123456", "+5491123456789", USER_ID])
def test_131050_holds_whom_and_what_a_failed_status_with_it_holds(to: str) -> None:
    [ours] = _opt_outs(message(WA, to=(to,)))
    status = {
        "id": "wamid.1",
        "status": "failed",
        "recipient_id": to.removeprefix("+"),
        "errors": [{"code": 131050, "title": "stopped"}],
    }
    [theirs] = read_change({"metadata": {"phone_number_id": NUMBER_ID}, "statuses": [status]}, {NUMBER_ID: NUMBER})
    assert isinstance(theirs, OptOut)
    assert (ours.subject, ours.scopes, ours.cause, ours.actor) == (
        theirs.subject,
        theirs.scopes,
        theirs.cause,
        theirs.actor,
    )
    for name in ("provider", "product", "phone_number_id", "code"):
        assert ours.evidence[name] == theirs.evidence[name]


def test_an_opt_out_is_dated_by_the_try_and_named_by_the_decision() -> None:
    [found] = _opt_outs(HI)
    assert (found.at, found.event_id) == (CHECKED_AT, "meta:outbound.requests:3:1200:131050")
    assert found.subject == Subject("loc1", SubjectKind.PHONE, "+14155550123")
    assert found.evidence["decision_id"] == HI.decision_id
    assert [again.event_id for again in _opt_outs(HI)] == [found.event_id]


def test_131050_holds_nothing_where_the_location_ignores_it() -> None:
    ignoring = WhatsAppNumber("loc1", NUMBER.classify, MarketingOptOut.IGNORE)
    assert ignoring.marketing_opt_out is MarketingOptOut.IGNORE
    assert _opt_outs(HI, MarketingOptOut.IGNORE) == []


@pytest.mark.parametrize("code", sorted(set(CODES) - {131050}))
def test_no_other_code_holds_anybody(code: int) -> None:
    outcome = SENDER.outcome(HI, answer(400, graph_error(code)))
    assert not (isinstance(outcome, Refused) and outcome.opt_outs)


def test_throttling_says_when_to_come_back() -> None:
    found = SENDER.outcome(HI, answer(429, graph_error(130429), retry_after="2"))
    assert isinstance(found, TryLater)
    assert (found.after_s, found.throttled) == (2.0, True)


def test_every_status_without_a_code_has_a_meaning() -> None:
    statuses_read_as(
        SENDER, HI, {302: "unclear", 400: "refused", 401: "broken", 429: "throttled", 500: "unclear", 503: "later"}
    )


@given(any_message, any_answer)
def test_odd_answers_never_raise(sent: Message, answered: Answer) -> None:
    assert kind_of(SENDER.outcome(sent, answered))
    assert SENDER.works(answered) in (True, False)


def test_the_number_works_again_when_its_token_tells_of_it() -> None:
    probe = SENDER.probe()
    assert (probe.method, probe.url) == ("GET", f"https://graph.facebook.com/v21.0/{NUMBER_ID}?fields=id")
    assert SENDER.works(answer(200, {"id": NUMBER_ID}))
    assert not SENDER.works(answer(400, graph_error(190)))


def test_the_token_and_what_is_written_are_not_shown() -> None:
    shown = repr(SENDER) + repr(SENDER.call(message(WA, body="private"))) + repr(SENDER.probe())
    assert TOKEN not in shown
    assert "private" not in shown
    assert (SENDER.provider, SENDER.account) == ("meta", NUMBER_ID)
