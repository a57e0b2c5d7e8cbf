"""What is kept of a receipt."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from gateway.contract.receipts import Receipt, ReceiptOutcome
from gateway.sent import message_of
from gateway.sent.message import ID_LIMIT

SENT = Receipt(
    decision_id="outbound.requests-0-1",
    request_id="r-1",
    location_id="loc1",
    contact_id="c1",
    channel="Email",
    to=["a@example.com", "b@example.com"],
    outcome=ReceiptOutcome.SENT,
    finished_at=2_000,
    sent_at=1_000,
    provider="mailgun",
    provider_message_id="1@mg.example.com",
    removed=["b@example.com"],
)


APPENDED_AT = 2_050


@pytest.mark.parametrize("off", [0, 3 * 3_600_000, -1_000], ids=["right", "fast", "slow"])
def test_r16_a_message_is_created_when_the_call_began_that_sent_it_whatever_the_senders_clock(off: int) -> None:
    """By the brokers' clock, and not earlier than it was."""
    found = message_of(replace(SENT, sent_at=1_000 + off, finished_at=2_000 + off), APPENDED_AT)
    assert found is not None
    assert (found.created_at, found.finished_at) == (1_050, 2_000 + off)
    for sent_at in (None, 3_000 + off):  # not said, or its clock was set back
        found = message_of(replace(SENT, sent_at=sent_at, finished_at=2_000 + off), APPENDED_AT)
        assert found is not None
        assert found.created_at == APPENDED_AT


def test_who_was_taken_out_is_no_recipient() -> None:
    found = message_of(SENT, APPENDED_AT)
    assert found is not None
    assert found.recipients == ("a@example.com",)
    found = message_of(replace(SENT, to="+14155552671", removed=()), APPENDED_AT)
    assert found is not None
    assert found.recipients == ("+14155552671",)


@pytest.mark.parametrize("outcome", [each for each in ReceiptOutcome if each is not ReceiptOutcome.SENT])
def test_what_no_provider_took_is_not_kept(outcome: ReceiptOutcome) -> None:
    assert message_of(replace(SENT, outcome=outcome), APPENDED_AT) is None


@pytest.mark.parametrize(
    "changed",
    [
        {"provider_message_id": None},
        {"provider_message_id": ""},
        {"provider_message_id": "x" * (ID_LIMIT + 1)},
        {"provider": None},
        {"location_id": None},
        {"contact_id": "c\x001"},
    ],
)
def test_what_could_not_be_found_or_stored_is_not_kept(changed: dict[str, object]) -> None:
    assert message_of(replace(SENT, **changed), APPENDED_AT) is None
