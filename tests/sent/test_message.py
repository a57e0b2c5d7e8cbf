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


def test_a_message_is_created_when_the_call_began_that_sent_it() -> None:
    found = message_of(SENT)
    assert found is not None
    assert (found.created_at, found.finished_at) == (1_000, 2_000)
    found = message_of(replace(SENT, sent_at=None))
    assert found is not None
    assert found.created_at == 2_000


def test_who_was_taken_out_is_no_recipient() -> None:
    found = message_of(SENT)
    assert found is not None
    assert found.recipients == ("a@example.com",)
    found = message_of(replace(SENT, to="+14155552671", removed=()))
    assert found is not None
    assert found.recipients == ("+14155552671",)


@pytest.mark.parametrize("outcome", [each for each in ReceiptOutcome if each is not ReceiptOutcome.SENT])
def test_what_no_provider_took_is_not_kept(outcome: ReceiptOutcome) -> None:
    assert message_of(replace(SENT, outcome=outcome)) is None


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
    assert message_of(replace(SENT, **changed)) is None
