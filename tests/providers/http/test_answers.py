"""What an answer over HTTP says where a provider's own table has no row."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.providers.http.answers import LONGEST_WAIT_S, Means, by_status, not_sent, retry_after_s
from gateway.providers.reading import SHOWN_LIMIT
from gateway.providers.sending import Refused, TryLater
from tests.providers.outgoing import CHECKED_AT, answer


@pytest.mark.parametrize(
    ("status", "means"),
    [
        (301, Means.UNCLEAR),
        (303, Means.UNCLEAR),
        (400, Means.REFUSED),
        (401, Means.BROKEN),
        (403, Means.BROKEN),
        (404, Means.REFUSED),
        (408, Means.LATER),
        (413, Means.REFUSED),
        (422, Means.REFUSED),
        (429, Means.THROTTLED),
        (500, Means.UNCLEAR),
        (502, Means.UNCLEAR),
        (503, Means.LATER),
        (504, Means.UNCLEAR),
        (599, Means.UNCLEAR),
    ],
)
def test_a_status_alone_refuses_only_what_the_provider_surely_did_not_take(status: int, means: Means) -> None:
    assert by_status(answer(status)) is means


@pytest.mark.parametrize(
    ("asked", "date", "seconds"),
    [
        ("7", "", 7.0),
        (" 1.5 ", "", 1.5),
        ("999999999", "", LONGEST_WAIT_S),
        ("-1", "", None),
        ("soon", "", None),
        ("", "", None),
        ("inf", "", None),
        ("Sun, 23 Nov 2025 12:13:35 GMT", "Sun, 23 Nov 2025 12:13:25 GMT", 10.0),
        ("Sun, 23 Nov 2025 12:13:35 GMT", "Sun, 23 Nov 2025 12:13:45 GMT", 0.0),
        ("Sun, 23 Nov 2025 12:13:35 GMT", "", 10.0),  # by the check, which began at 12:13:25
    ],
)
def test_retry_after_is_seconds_or_a_date_by_the_providers_own_clock(
    asked: str, date: str, seconds: float | None
) -> None:
    assert retry_after_s({"retry-after": asked, "date": date}, CHECKED_AT) == seconds


def test_a_date_without_any_clock_asks_for_nothing() -> None:
    assert retry_after_s({"retry-after": "Sun, 23 Nov 2025 12:13:35 GMT"}, None) is None


@given(st.text(max_size=30), st.text(max_size=30), st.none() | st.integers(0, 2**60))
def test_a_wait_is_never_negative_nor_longer_than_a_day(asked: str, date: str, checked_at: int | None) -> None:
    found = retry_after_s({"retry-after": asked, "date": date}, checked_at)
    assert found is None or 0 <= found <= LONGEST_WAIT_S


def test_the_wait_belongs_to_throttling_and_to_a_closed_door_alike() -> None:
    busy = answer(429, retry_after="3")
    assert not_sent(Means.THROTTLED, busy, "4", "slow down") == TryLater("4", "answered 429: slow down", 3.0, True)
    assert not_sent(Means.LATER, busy, "", "") == TryLater("http_429", "answered 429", 3.0)


def test_what_a_provider_says_is_kept_short_and_without_addresses() -> None:
    found = not_sent(Means.REFUSED, answer(400), "", "anna@example.com is no address " + "x" * 999)
    assert isinstance(found, Refused)
    assert "anna" not in found.message
    assert len(found.message) < SHOWN_LIMIT + 20
