"""Twilio's message log: asked for as Twilio's own SDK asks, page by page, and read by the rules of the webhook."""

from __future__ import annotations

import json
import logging
from datetime import UTC, datetime
from typing import Any

import pytest
import requests
from hypothesis import given
from hypothesis import strategies as st
from twilio.http import HttpClient  # type: ignore[import-untyped]  # ships no py.typed
from twilio.http.response import Response  # type: ignore[import-untyped]
from twilio.rest import Client  # type: ignore[import-untyped]

from gateway.accounts import LocationSettings
from gateway.dnd.model import Cause, Scope
from gateway.providers.signals import OptIn, OptOut, Unparsable
from gateway.providers.twilio.inbound import parse_inbound
from gateway.providers.twilio.log import first_path, read_page, signals_of
from tests.providers.calls import any_json, payload

ACCOUNT = f"AC{1:032x}"
BASE = "https://api.twilio.com"
LOG = f"/2010-04-01/Accounts/{ACCOUNT}/Messages.json"
NEXT = f"{LOG}?DateSent%3E=2025-11-23T12%3A13%3A20Z&PageSize=2&Page=1&PageToken=PASM1"
SETTINGS = LocationSettings(default_region="US")
CREATED_AT = 1_558_718_307_000
"""The `date_created` of `message_inbound`."""


def message(**changed: object) -> dict[str, Any]:
    return payload("twilio", "message_inbound") | changed


def page(*messages: object, following: object = None) -> bytes:
    return json.dumps({"messages": messages, "next_page_uri": following, "page": 0}).encode()


class Overheard(HttpClient):  # type: ignore[misc]  # untyped
    """What Twilio's own SDK asks of a log of two pages."""

    def __init__(self) -> None:
        super().__init__(logging.getLogger(__name__), is_async=False)
        self.asked: list[tuple[str, str]] = []

    def request(self, method: str, url: str, params: dict[str, str] | None = None, *_: object, **__: object) -> object:
        self.asked.append((method, str(requests.Request(method, url, params=params).prepare().url)))
        return Response(200, page(message(), following=NEXT if len(self.asked) == 1 else None).decode())


def test_the_questions_are_those_of_twilios_own_sdk() -> None:
    http, since = Overheard(), datetime(2025, 11, 23, 12, 13, 20, tzinfo=UTC)
    found = Client(ACCOUNT, "token", http_client=http).messages.list(date_sent_after=since, page_size=2)
    assert len(found) == 2
    first = first_path(ACCOUNT, int(since.timestamp() * 1000) + 999, 2)
    following = read_page(page(message(), following=NEXT), ACCOUNT).next_path
    assert http.asked == [("GET", f"{BASE}{first}"), ("GET", f"{BASE}{following}")]


@pytest.mark.parametrize("body", ["STOP", "start", "Stop by tomorrow"])
def test_r13_r18_a_message_says_what_the_webhook_says_of_it_under_the_same_id(body: str) -> None:
    (inbound,) = read_page(page(message(body=body)), ACCOUNT).inbound
    form = {"MessageSid": inbound.sid, "From": inbound.sender, "To": inbound.to, "Body": body}
    told = parse_inbound(form, "loc1", SETTINGS).signals
    found = signals_of(inbound, "loc1", SETTINGS)
    assert [(type(each), each.event_id, each.subject, each.scopes) for each in found] == [
        (type(each), each.event_id, each.subject, each.scopes) for each in told
    ]


def test_r18_in_one_second_a_stop_is_later_than_a_start() -> None:
    stop, start = (read_page(page(message(body=body)), ACCOUNT).inbound[0] for body in ("STOP", "START"))
    (stopped,), (started,) = signals_of(stop, "loc1", SETTINGS), signals_of(start, "loc1", SETTINGS)
    assert isinstance(stopped, OptOut)
    assert isinstance(started, OptIn)
    assert (stopped.cause, stopped.scopes) == (Cause.KEYWORD_OPT_OUT, (Scope.SMS,))
    assert (started.at, stopped.at) == (CREATED_AT, CREATED_AT + 999)


def test_what_we_sent_is_passed_over_and_dates_the_log_all_the_same() -> None:
    sent = message(direction="outbound-api", body="STOP", date_created="Fri, 24 May 2019 17:44:46 +0000")
    found = read_page(page(sent, message()), ACCOUNT)
    assert (len(found.inbound), found.messages, found.unusable) == (1, 2, 0)
    assert found.newest_at == 1_558_719_886_000


@pytest.mark.parametrize("following", ["/2010-04-01/Accounts/AC2/Messages.json?Page=1", "/2010-04-01/Accounts.json", 7])
def test_a_next_page_of_another_log_is_not_followed(following: object) -> None:
    with pytest.raises(Unparsable):
        read_page(page(message(), following=following), ACCOUNT)


@pytest.mark.parametrize(
    "body", [b"", b"<html>", b"[]", b"{}", b'{"messages":[]}', b'{"messages":{},"next_page_uri":null}']
)
def test_an_answer_of_another_shape_is_no_page(body: bytes) -> None:
    with pytest.raises(Unparsable):
        read_page(body, ACCOUNT)


@given(
    st.lists(
        any_json | st.fixed_dictionaries({"direction": st.just("inbound"), "sid": any_json, "date_created": any_json})
    )
)
def test_whatever_stands_in_a_page_what_can_be_read_is(messages: list[Any]) -> None:
    found = read_page(page(*messages, message(body="STOP")), ACCOUNT)
    assert found.messages == len(messages) + 1
    assert [each.sid for each in found.inbound][-1] == message()["sid"]
    for each in found.inbound:
        signals_of(each, "loc1", SETTINGS)
