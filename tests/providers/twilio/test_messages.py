"""The question for a message and what its answers mean (R13, R18: which of two opposite replies came last)."""

from __future__ import annotations

import json
import logging
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from twilio.base.exceptions import TwilioRestException  # type: ignore[import-untyped]  # ships no py.typed
from twilio.http import HttpClient  # type: ignore[import-untyped]
from twilio.rest import Client  # type: ignore[import-untyped]
from yarl import URL

from gateway.providers.reading import SHOWN_LIMIT
from gateway.providers.twilio.messages import BY_CODE, BY_STATUS, Answered, message_path, read_message
from tests.providers.calls import any_json, payload

SID = "SM00000000000000000000000000000001"
CREATED_AT = 1_558_718_307_000
"""The `date_created` of `message_inbound`."""


def message(**changed: Any) -> bytes:
    return json.dumps(payload("twilio", "message_inbound") | changed).encode()


class Overheard(HttpClient):  # type: ignore[misc]  # untyped
    """What Twilio's own SDK would ask."""

    def __init__(self) -> None:
        super().__init__(logging.getLogger(__name__), is_async=False)
        self.asked: tuple[str, str] | None = None

    def request(self, method: str, url: str, *_: object, **__: object) -> object:
        self.asked = (method, url)
        raise TwilioRestException(404, url)


def test_the_question_is_that_of_twilio_s_own_sdk() -> None:
    http = Overheard()
    with pytest.raises(TwilioRestException):
        Client("AC1", "token", http_client=http).messages(SID).fetch()
    assert http.asked == ("GET", f"https://api.twilio.com{message_path('AC1', SID)}")


@given(st.text(min_size=1, max_size=30))
def test_no_id_can_lead_to_another_path(sid: str) -> None:
    path = message_path("AC1", sid)
    assert path.isascii()
    assert path.count("/") == 5
    assert not set(path) & set("?#&+@ ")
    if set(sid) - {"."}:
        assert URL("https://api.twilio.com" + path, encoded=True).raw_path == path


def test_a_message_is_dated_by_when_twilio_took_it_in() -> None:
    """Not by `date_sent`: of an inbound message that is when our webhook was called."""
    found = read_message(200, message(), SID)
    assert (found.answered, found.created_at) == (Answered.DONE, CREATED_AT)
    later = message(date_sent="Fri, 24 May 2019 17:20:00 +0000", date_updated="Fri, 24 May 2019 17:20:00 +0000")
    assert read_message(200, later, SID) == found


@pytest.mark.parametrize(
    "date",
    [
        "Fri, 24 May 2019 17:18:27 +0000",
        "Fri, 24 May 2019 17:18:27 GMT",
        "Fri, 24 May 2019 17:18:27 -0000",
        "24 May 2019 17:18:27 +0000",
        "Fri, 24 May 2019 19:18:27 +0200",
        " Fri,  24 May 2019 17:18:27 +0000 ",
    ],
)
def test_dates_as_rfc_2822_allows_them(date: str) -> None:
    assert read_message(200, message(date_created=date), SID).created_at == CREATED_AT


@pytest.mark.parametrize(
    "date", [None, "", "now", 1_558_718_307, [], "Fri, 24 May 2019", "Fri, 99 May 2019 17:18:27 +0000", "0 0 0 0 0 0"]
)
def test_what_is_no_date_is_no_answer(date: object) -> None:
    """`date_sent` does not stand in for it."""
    found = read_message(200, message(date_created=date), SID)
    assert (found.answered, found.created_at) == (Answered.FAILED, None)


def test_an_answer_about_another_message_is_none() -> None:
    assert read_message(200, message(), "SM2").answered is Answered.FAILED


@pytest.mark.parametrize(
    ("status", "name", "answered"),
    [(401, "20003", Answered.DENIED), (404, "20404", Answered.NOT_FOUND), (429, "20429", Answered.BUSY)],
)
def test_errors_of_twilio(status: int, name: str, answered: Answered) -> None:
    found = read_message(status, json.dumps(payload("twilio", f"error_{name}")).encode(), SID)
    assert (found.answered, found.created_at) == (answered, None)
    assert f"{status} ({name})" in found.why


@pytest.mark.parametrize(("status", "answered"), [*BY_STATUS.items(), (302, Answered.FAILED), (418, Answered.FAILED)])
def test_errors_of_whatever_is_in_between_have_a_status_alone(status: int, answered: Answered) -> None:
    found = read_message(status, b"<html>", SID)
    assert found.answered is (Answered.FAILED if status == 200 else answered)
    assert found.created_at is None


def test_a_code_says_more_than_its_status() -> None:
    for code, answered in BY_CODE.items():
        assert read_message(400, json.dumps({"code": int(code)}).encode(), SID).answered is answered


@given(st.integers(100, 599), st.binary(max_size=200) | any_json.map(lambda found: json.dumps(found).encode()))
def test_any_answer_can_be_read(status: int, body: bytes) -> None:
    found = read_message(status, body, SID)
    assert found.created_at is None
    assert found.answered is not Answered.DONE
    assert len(found.why) <= SHOWN_LIMIT + 100
    found.why.encode()


@given(st.dictionaries(st.sampled_from(["sid", "date_created", "code"]), any_json | st.text(max_size=60)))
def test_any_field_can_be_read(changed: dict[str, object]) -> None:
    found = read_message(200, message(**changed), SID)
    assert (found.created_at is None) == (found.answered is not Answered.DONE)
