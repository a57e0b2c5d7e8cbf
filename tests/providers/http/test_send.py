"""Messages posted to a URL: the documented request, and what the answers mean."""

from __future__ import annotations

import json

import pytest
from hypothesis import given

from gateway.dnd.causes import CAUSES as CAUSE_RULES
from gateway.dnd.model import ActorKind, Cause, Channel, Scope, Subject, SubjectKind
from gateway.providers.http.send import CAUSES, ID_LIMIT, HttpSender
from gateway.providers.sending import Answer, CannotSend, Message, Refused, Sent, TryLater
from gateway.providers.signals import OptOut
from tests.providers.outgoing import (
    CHECKED_AT,
    CREATED_AT,
    answer,
    any_answer,
    any_message,
    kind_of,
    message,
    raw,
    statuses_read_as,
)

SENDER = HttpSender(url="https://hooks.example.com/gmb?key=secret")
GMB = message(Channel.GMB)


def test_the_request_is_the_documented_json_with_the_decisions_id_as_key() -> None:
    sent = message(
        Channel.CALL,
        spelling="voicemail",
        from_="+14155550100",
        attachments=(raw("https://example.com/a.mp3"), raw({"url": "https://example.com/b", "size": 1})),
        metadata={"campaign": raw({"id": 1.5}), "x": raw(None)},
    )
    call = SENDER.call(sent)
    assert (call.method, call.url, call.repeatable) == ("POST", SENDER.url, True)
    assert call.headers["Idempotency-Key"] == "outbound.requests:3:1200"
    assert call.headers["Content-Type"] == "application/json"
    assert json.loads(call.body) == {
        "decision_id": "outbound.requests:3:1200",
        "request_id": "req-1",
        "location_id": "loc1",
        "contact_id": "contact-1",
        "channel": "Call",
        "spelling": "voicemail",
        "to": ["+14155550123"],
        "cc": [],
        "bcc": [],
        "from": "+14155550100",
        "subject": None,
        "body": "Hi",
        "html": None,
        "attachments": ["https://example.com/a.mp3", {"url": "https://example.com/b", "size": 1}],
        "metadata": {"campaign": {"id": 1.5}, "x": None},
        "created_at": CREATED_AT,
        "not_after": CREATED_AT + 3_600_000,
    }


def test_a_repeated_call_is_the_same_to_the_byte() -> None:
    assert SENDER.call(GMB) == SENDER.call(message(Channel.GMB, checked_at=CHECKED_AT + 60_000))


def test_a_message_for_nobody_makes_no_call() -> None:
    with pytest.raises(CannotSend):
        SENDER.call(message(Channel.GMB, to=()))


@given(any_message)
def test_every_message_arrives_as_it_is(sent: Message) -> None:
    if not sent.to:
        return
    fields = json.loads(SENDER.call(sent).body)
    assert (fields["to"], fields["cc"], fields["bcc"]) == (list(sent.to), list(sent.cc), list(sent.bcc))
    assert (fields["from"], fields["body"], fields["html"]) == (sent.from_, sent.body, sent.html)
    assert fields["attachments"] == [json.loads(bytes(each)) for each in sent.attachments]
    assert fields["metadata"] == {name: json.loads(bytes(each)) for name, each in sent.metadata.items()}


@pytest.mark.parametrize(
    ("answered", "id_"),
    [
        (answer(200, {"id": "m1"}), "m1"),
        (answer(201, {"message_id": "m2"}), "m2"),
        (answer(202, {"id": 7}), "7"),
        (answer(204), "outbound.requests:3:1200"),
        (answer(200, ["odd"]), "outbound.requests:3:1200"),
        (answer(200, {"id": None}), "outbound.requests:3:1200"),
        (answer(200, {"id": "x" * 999}), "x" * ID_LIMIT),
        (answer(409, {"id": "m1"}), "m1"),
    ],
)
def test_a_success_is_sent_under_the_providers_id_or_the_decisions(answered: Answer, id_: str) -> None:
    assert SENDER.outcome(GMB, answered) == Sent(id_)


def test_every_status_has_a_meaning() -> None:
    statuses_read_as(
        SENDER,
        GMB,
        {
            200: "sent",
            302: "unclear",
            400: "refused",
            401: "broken",
            403: "broken",
            404: "refused",
            409: "unclear",  # another try with the key is still going on; the next one tells
            410: "refused",
            422: "refused",
            429: "throttled",
            500: "unclear",
            502: "unclear",
            503: "later",
            504: "unclear",
        },
    )


def test_a_busy_provider_says_when_to_come_back() -> None:
    found = SENDER.outcome(GMB, answer(503, {"message": "later"}, retry_after="5"))
    assert found == TryLater("http_503", "answered 503: later", 5.0)


def _opt_outs(sent: Message, status: int = 422, told: object = True) -> tuple[OptOut, ...]:
    outcome = SENDER.outcome(sent, answer(status, {"opt_out": told, "message": "stopped"}))
    return outcome.opt_outs if isinstance(outcome, Refused) else ()


@pytest.mark.parametrize("channel", Channel)
def test_an_opt_out_holds_its_channel_for_a_cause_that_the_table_has_there(channel: Channel) -> None:
    [found] = _opt_outs(message(channel))
    assert (found.scopes, found.cause, found.at) == ((Scope(channel),), CAUSES[channel], CHECKED_AT)
    assert Scope(channel) in CAUSE_RULES[found.cause].scopes
    assert found.cause is not Cause.KEYWORD_OPT_OUT  # nobody said that there was one
    assert (found.actor.kind, found.evidence["message"]) == (ActorKind.PROVIDER, "stopped")
    assert found.subject.location_id == "loc1"


@pytest.mark.parametrize("status", [400, 401, 403, 404, 409, 410, 422, 429])
def test_an_opt_out_counts_in_every_4xx_and_refuses_the_message(status: int) -> None:
    assert _opt_outs(GMB, status)
    found = SENDER.outcome(GMB, answer(status, {"opt_out": True}))
    assert isinstance(found, Refused)
    assert found.code == "opt_out"


@pytest.mark.parametrize(
    ("status", "told"), [(200, True), (500, True), (503, True), (422, "true"), (422, 1), (422, False), (422, None)]
)
def test_nothing_else_is_an_opt_out(status: int, told: object) -> None:
    assert _opt_outs(GMB, status, told) == ()


def test_of_several_recipients_those_named_are_held_else_all() -> None:
    sent = message(to=("Anna@example.com",), cc=("ben@example.com",), bcc=("cara@example.com",))
    everybody = _opt_outs(sent)
    assert [each.subject.id for each in everybody] == ["anna@example.com", "ben@example.com", "cara@example.com"]
    assert len({each.event_id for each in everybody}) == 3
    [named] = _opt_outs(sent, told=["ANNA@example.com", "stranger@example.com", 5])
    assert named.subject == Subject("loc1", SubjectKind.EMAIL, "anna@example.com")
    assert _opt_outs(sent, told=["stranger@example.com"]) == ()


@given(any_message, any_answer)
def test_odd_answers_never_raise(sent: Message, answered: Answer) -> None:
    assert kind_of(SENDER.outcome(sent, answered))
    assert SENDER.works(answered) in (True, False)


def test_only_a_message_tells_whether_it_works() -> None:
    probe: object = SENDER.probe()  # type: ignore[func-returns-value]
    assert probe is None


def test_the_url_is_not_shown_and_tells_accounts_apart() -> None:
    other = HttpSender(url="https://hooks.example.com/gmb?key=other")
    assert "secret" not in repr(SENDER) + SENDER.account
    assert SENDER.account.startswith("hooks.example.com:")
    assert (SENDER.provider, SENDER.account != other.account) == ("http", True)
    assert HttpSender(url=SENDER.url).account == SENDER.account
