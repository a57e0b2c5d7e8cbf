"""Whether an account at Twilio works again (R8): the probe, judged by Twilio's own SDK, and its answers."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.providers.twilio.send import TwilioSms
from tests.providers.calls import any_json, payload
from tests.providers.twilio.sending import ACCOUNT, OURS, PUBLIC_URL, TOKEN, answer, asked, asked_by_the_sdk, error

SENDER = TwilioSms(account_sid=ACCOUNT, auth_token=TOKEN, public_url=PUBLIC_URL, from_number=OURS)


def account(**changed: Any) -> dict[str, Any]:
    return payload("twilio", "account_active") | changed


def test_the_probe_is_the_account_as_twilio_s_own_sdk_fetches_it() -> None:
    probe = SENDER.probe()
    assert probe.method == "GET"
    assert probe.body == b""
    assert asked(probe) == asked_by_the_sdk(lambda client: client.api.accounts(ACCOUNT).fetch())


def test_r8_an_account_that_is_answered_and_active_works() -> None:
    assert SENDER.works(answer(200, account()))


@pytest.mark.parametrize(
    "body",
    [
        account(status="suspended"),
        account(status="closed"),
        account(status=None),
        account(sid=f"AC{2:032x}"),
        {},
        [],
        b"",
        b"<html>It works!</html>",
        b"[" * 100_000,
    ],
)
def test_r8_another_answer_does_not_say_that_it_works(body: object) -> None:
    assert not SENDER.works(answer(200, body))


@pytest.mark.parametrize("status", [201, 301, 401, 403, 404, 429, 500, 503])
def test_r8_only_an_answer_of_200_says_that_it_works(status: int) -> None:
    assert not SENDER.works(answer(status, account()))
    assert not SENDER.works(error(20003))


@given(st.integers(100, 599), st.binary(max_size=200) | any_json.map(lambda found: json.dumps(found).encode()))
def test_any_answer_to_the_probe_can_be_read(status: int, body: bytes) -> None:
    assert not SENDER.works(answer(status, body))
