"""The calls of an e-mail clean-up and what their answers mean (R12)."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from yarl import URL

from gateway.providers.mailgun.suppressions import (
    VERDICTS,
    Answered,
    SuppressionList,
    Verdict,
    read_removal,
    read_validation,
    removal,
    removals,
    validation,
)
from gateway.providers.reading import SHOWN_LIMIT


def test_r12_the_address_is_taken_off_both_lists_of_every_domain() -> None:
    calls = removals(("mg.example.com", "news.example.com"), "alice+news@example.com")
    assert [(call.method, call.path) for call in calls] == [
        ("DELETE", "/v3/mg.example.com/bounces/alice%2Bnews%40example.com"),
        ("DELETE", "/v3/mg.example.com/unsubscribes/alice%2Bnews%40example.com"),
        ("DELETE", "/v3/news.example.com/bounces/alice%2Bnews%40example.com"),
        ("DELETE", "/v3/news.example.com/unsubscribes/alice%2Bnews%40example.com"),
    ]


def test_r11_complaints_are_not_taken_off() -> None:
    assert set(SuppressionList) == {"bounces", "unsubscribes"}


@given(st.text(min_size=1, max_size=30), st.text(max_size=10))
def test_no_address_can_lead_to_another_path(address: str, domain: str) -> None:
    path = removal(domain, SuppressionList.BOUNCES, address).path
    assert path.isascii()
    assert path.count("/") == 4
    assert not set(path) & set("?#%&+@ ") - {"%"}
    assert set(validation(address).path.partition("address=")[2]) & set("?#+@/ ") == set()


def test_a_call_is_not_changed_by_the_url_library_of_the_client() -> None:
    call = removal("mg.example.com", SuppressionList.BOUNCES, "a+b/c%2B@example.com")
    url = URL("https://api.mailgun.net" + call.path, encoded=True)
    assert url.raw_path == "/v3/mg.example.com/bounces/a%2Bb%2Fc%252B%40example.com"


@pytest.mark.parametrize(
    ("status", "message", "answered"),
    [
        (200, "Bounced address has been removed", Answered.DONE),
        (200, "Unsubscribe event has been removed", Answered.DONE),
        (404, "Address not found in bounces table", Answered.DONE),
        (404, "Address not found in unsubscribers table", Answered.DONE),
        (404, "", Answered.DONE),
        (404, "Domain not found: mg.example.com", Answered.FAILED),
        (400, "Invalid address", Answered.FAILED),
        (401, "Forbidden", Answered.FAILED),
        (302, "", Answered.FAILED),
        (429, "Too many requests", Answered.RETRY),
        (500, "", Answered.RETRY),
        (503, "", Answered.RETRY),
    ],
)
def test_r12_a_removal_is_done_when_the_address_is_off_the_list(status: int, message: str, answered: Answered) -> None:
    """404 says so too, unless it is the domain that Mailgun does not know: then nothing was looked at."""
    found = read_removal(status, json.dumps({"message": message}).encode())
    assert found.answered is answered
    assert found.why


@pytest.mark.parametrize(
    ("result", "verdict"),
    [
        ("deliverable", Verdict.PASS),
        ("catch_all", Verdict.WARN),
        ("unknown", Verdict.WARN),
        ("undeliverable", Verdict.REFUSE),
        ("do_not_send", Verdict.REFUSE),
        ("something_new", Verdict.REFUSE),
    ],
)
def test_r12_a_validation_lets_pass_warns_or_refuses(result: str, verdict: Verdict) -> None:
    answer = {
        "address": "alice@example.com",
        "is_disposable_address": False,
        "is_role_address": False,
        "reason": ["no_mx", 5, None],
        "result": result,
        "risk": "low",
    }
    found = read_validation(200, json.dumps(answer).encode())
    assert (found.answered, found.verdict, found.result, found.risk) == (Answered.DONE, verdict, result, "low")
    assert found.reasons == ("no_mx", "5")


def test_r12_each_documented_result_has_a_verdict() -> None:
    assert set(VERDICTS) == {"deliverable", "undeliverable", "do_not_send", "catch_all", "unknown"}


@pytest.mark.parametrize(
    ("status", "body", "answered"),
    [
        (200, b"{}", Answered.FAILED),
        (200, b"not json", Answered.FAILED),
        (200, b'{"result":null}', Answered.FAILED),
        (401, b"Forbidden", Answered.FAILED),
        (402, b'{"message":"no plan"}', Answered.FAILED),
        (429, b"", Answered.RETRY),
        (502, b"<html>", Answered.RETRY),
    ],
)
def test_r12_without_a_result_nothing_is_lifted(status: int, body: bytes, answered: Answered) -> None:
    found = read_validation(status, body)
    assert (found.answered, found.verdict) == (answered, None)


@given(st.integers(100, 599), st.binary(max_size=300))
def test_any_answer_is_read(status: int, body: bytes) -> None:
    assert read_removal(status, body).why
    found = read_validation(status, body)
    assert (found.verdict is None) == (found.answered is not Answered.DONE)


def test_what_is_shown_of_an_answer_is_bounded_and_without_the_address() -> None:
    body = json.dumps({"message": "alice@example.com " + "x" * 1_000}).encode()
    found = read_removal(400, body)
    assert "alice" not in found.why
    assert len(found.why) <= SHOWN_LIMIT + 50
