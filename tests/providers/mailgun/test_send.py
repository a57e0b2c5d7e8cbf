"""Email through Mailgun: our call is the one Mailgun's own client makes, and every answer has a meaning."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import parse_qsl

import pytest
import requests
from hypothesis import given
from mailgun.client import Client

from gateway.providers.mailgun.send import OPTIONS_LIMIT_BYTES, MailgunSender
from gateway.providers.mailgun.webhooks import Envelope, parse
from gateway.providers.sending import Answer, CannotSend, HttpCall, Message, Refused, Sent, TryLater, Unclear
from gateway.providers.signals import OptOut
from tests.providers.calls import payload
from tests.providers.outgoing import (
    CREATED_AT,
    answer,
    any_answer,
    any_message,
    kind_of,
    message,
    raw,
    statuses_read_as,
)

SENDER = MailgunSender(domain="mg.example.com", api_key="key-1")

VARIABLES = {
    "v:location_id": "loc1",
    "v:contact_id": "contact-1",
    "v:decision_id": "outbound.requests:3:1200",
    "v:request_id": "req-1",
    "v:created_at": str(CREATED_AT),
}


def form(call: HttpCall) -> list[tuple[str, str]]:
    return parse_qsl(call.body.decode(), keep_blank_values=True, strict_parsing=True)


@pytest.fixture
def posted_by_sdk(monkeypatch: pytest.MonkeyPatch) -> list[requests.PreparedRequest]:
    """What Mailgun's client would have put on the wire."""
    posted: list[requests.PreparedRequest] = []

    def keep(_: requests.Session, request: requests.PreparedRequest, **__: Any) -> requests.Response:
        posted.append(request)
        response = requests.Response()
        response.status_code = 200
        return response

    monkeypatch.setattr(requests.Session, "send", keep)
    return posted


@pytest.mark.parametrize(
    ("sent", "data"),
    [
        (
            message(from_="Acme <hello@example.com>", subject="News", body="Hi", html="<p>Hi</p>"),
            {"from": "Acme <hello@example.com>", "to": "anna@example.com", "subject": "News", "text": "Hi"}
            | {"html": "<p>Hi</p>"},
        ),
        (
            message(to=("a+b@example.com", "b@example.com"), cc=("c@example.com",), bcc=("d@example.com", "e@x.de")),
            {"from": "no-reply@mg.example.com", "to": ["a+b@example.com", "b@example.com"], "cc": ["c@example.com"]}
            | {"bcc": ["d@example.com", "e@x.de"], "text": "Hi"},
        ),
        (
            message(body="Grüße & mehr = 100 %\r\n😀", subject="+1"),
            {"from": "no-reply@mg.example.com", "to": "anna@example.com", "subject": "+1"}
            | {"text": "Grüße & mehr = 100 %\r\n😀"},
        ),
        (
            message(body=None, html="<b>x</b>"),
            {"from": "no-reply@mg.example.com", "to": "anna@example.com", "html": "<b>x</b>"},
        ),
    ],
)
@pytest.mark.parametrize("api_base", ["https://api.mailgun.net", "https://api.eu.mailgun.net"])
def test_our_call_is_the_one_mailguns_client_makes(
    posted_by_sdk: list[requests.PreparedRequest], sent: Message, data: Mapping[str, str | Sequence[str]], api_base: str
) -> None:
    ours = MailgunSender(domain="mg.example.com", api_key="key-1", api_base=api_base).call(sent)
    with Client(auth=("api", "key-1"), api_url=api_base) as client:
        client.messages.create(data={**data, **VARIABLES}, domain="mg.example.com")
    [theirs] = posted_by_sdk
    assert (ours.method, ours.url) == (theirs.method, theirs.url)
    for header in ("Authorization", "Content-Type"):
        assert ours.headers[header] == theirs.headers[header]
    assert isinstance(theirs.body, str)
    assert sorted(form(ours)) == sorted(parse_qsl(theirs.body, strict_parsing=True))


def test_a_call_is_not_repeatable_because_mailgun_has_no_idempotency_key() -> None:
    assert not SENDER.call(message()).repeatable


def test_the_variables_come_back_in_user_variables() -> None:
    sent = {name.removeprefix("v:"): value for name, value in form(SENDER.call(message())) if name.startswith("v:")}
    event = payload("mailgun", "complained")["event-data"] | {"user-variables": sent}
    [found] = parse(Envelope("replay", None, event), "loc1").signals
    assert isinstance(found, OptOut)
    assert found.evidence["contact_id"] == "contact-1"


@pytest.mark.parametrize(
    ("sent", "code"),
    [
        (message(to=()), "bad_recipient"),
        (message(to=("",)), "bad_recipient"),
        (message(to=("a@example.com, b@example.com",)), "bad_recipient"),
        (message(cc=("a@example.com\r\nBcc: b@example.com",)), "bad_recipient"),
        (message(bcc=("Anna <a@example.com>",)), "bad_recipient"),
        (message(to=("a@example.com",) * 500, cc=("b@example.com",) * 500, bcc=("c@x.de",)), "too_many_recipients"),
        (message(from_="a@example.com\r\nBcc: b@example.com"), "bad_sender"),
        (message(attachments=(raw("https://example.com/a.pdf"),)), "attachments_unsupported"),
        (message(body=None), "no_content"),
        (message(body="", html=""), "no_content"),
        (message(contact_id="x" * OPTIONS_LIMIT_BYTES), "ids_too_long"),
    ],
)
def test_what_cannot_be_sent_makes_no_call(sent: Message, code: str) -> None:
    with pytest.raises(CannotSend) as refused:
        SENDER.call(sent)
    assert refused.value.code == code
    assert "example.com" not in str(refused.value)


def test_a_thousand_recipients_are_sent_in_one_call() -> None:
    call = SENDER.call(message(to=("a@example.com",), bcc=tuple(f"b{n}@example.com" for n in range(999))))
    assert sum(name in ("to", "cc", "bcc") for name, _ in form(call)) == 1_000


@given(any_message)
def test_every_field_arrives_as_it_was_written_or_no_call_is_made(sent: Message) -> None:
    try:
        call = SENDER.call(sent)
    except CannotSend:
        return
    fields = form(call)
    assert [value for name, value in fields if name in ("to", "cc", "bcc")] == [
        each.strip() for each in (*sent.to, *sent.cc, *sent.bcc)
    ]
    single = dict(fields)
    assert (single.get("text"), single.get("html")) == (sent.body or None, sent.html or None)
    assert single["v:location_id"] == sent.location_id


def test_the_id_is_the_one_that_webhooks_name() -> None:
    event = payload("mailgun", "permanent_bounce")["event-data"]
    answered = {"id": f"<{event['message']['headers']['message-id']}>", "message": "Queued. Thank you."}
    sent = SENDER.outcome(message(), answer(200, answered))
    [found] = parse(Envelope("replay", None, event), "loc1").signals
    assert isinstance(sent, Sent)
    assert sent.message_id == found.evidence["provider_message_id"]


@pytest.mark.parametrize("answered", [answer(200), answer(200, {"id": "<>"}), answer(200, {"id": None}), answer(204)])
def test_a_success_without_an_id_is_unclear(answered: Answer) -> None:
    assert isinstance(SENDER.outcome(message(), answered), Unclear)


def test_every_status_has_a_meaning() -> None:
    statuses_read_as(
        SENDER,
        message(),
        {
            302: "unclear",
            400: "refused",
            401: "broken",
            402: "broken",
            403: "broken",
            404: "broken",
            413: "refused",
            429: "throttled",
            500: "unclear",
            502: "unclear",
            503: "later",
            504: "unclear",
        },
    )


def test_a_refusal_is_told_in_mailguns_words_without_the_address_and_holds_nobody() -> None:
    said = {"message": "'to' parameter is not a valid address: anna@example.com"}
    found = SENDER.outcome(message(), answer(400, said))
    assert isinstance(found, Refused)
    assert (found.code, found.opt_outs) == ("http_400", ())
    assert "not a valid address" in found.message
    assert "anna" not in found.message


def test_a_busy_mailgun_says_when_to_come_back() -> None:
    found = SENDER.outcome(message(), answer(429, {"message": "Too many requests"}, retry_after="30"))
    assert isinstance(found, TryLater)
    assert (found.after_s, found.throttled) == (30.0, True)


@given(any_answer)
def test_odd_answers_never_raise(answered: Answer) -> None:
    assert kind_of(SENDER.outcome(message(), answered))
    assert SENDER.works(answered) in (True, False)


@pytest.mark.parametrize(
    ("answered", "works"),
    [
        (answer(200, {"domain": {"name": "mg.example.com", "state": "active", "is_disabled": False}}), True),
        (answer(200, {"domain": {"name": "mg.example.com", "state": "active"}}), True),
        (answer(200, {"domain": {"state": "disabled"}}), False),
        (answer(200, {"domain": {"state": "active", "is_disabled": True}}), False),
        (answer(200), False),
        (answer(401, {"message": "Invalid private key"}), False),
        (answer(404, {"message": "Domain not found"}), False),
        (answer(500), False),
    ],
)
def test_the_account_works_again_when_its_domain_is_told_and_active(answered: Answer, works: bool) -> None:
    probe = SENDER.probe()
    assert (probe.method, probe.url) == ("GET", "https://api.mailgun.net/v4/domains/mg.example.com")
    assert probe.headers["Authorization"] == SENDER.call(message()).headers["Authorization"]
    assert SENDER.works(answered) is works


def test_the_key_is_not_shown() -> None:
    shown = repr(SENDER) + repr(SENDER.call(message(body="private"))) + repr(SENDER.probe())
    assert "key-1" not in shown
    assert "private" not in shown
    assert (SENDER.provider, SENDER.account) == ("mailgun", "mg.example.com")
