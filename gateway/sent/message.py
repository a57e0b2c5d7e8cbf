"""A message that a provider took, and how it is read from its receipt."""

from __future__ import annotations

from dataclasses import dataclass

from gateway.contract.receipts import Receipt, ReceiptOutcome

ID_LIMIT = 512
"""Characters of a provider's id. Twilio's have 34, Mailgun's and Meta's below 200; longer ones cannot be looked up."""


@dataclass(frozen=True, slots=True)
class SentMessage:
    """`created_at` (ms): when the provider was called that took it, which is when the message came to be there; by the
    brokers' clock, and not earlier than it was. A failure that is told late is a place of then."""

    location_id: str
    provider: str
    provider_message_id: str
    decision_id: str
    request_id: str | None
    contact_id: str | None
    channel: str | None
    recipients: tuple[str, ...]
    created_at: int
    finished_at: int


def message_of(receipt: Receipt, appended_at: int) -> SentMessage | None:
    """`appended_at` (ms): when the log took the receipt.

    None: no provider took it under an id, or it cannot be stored (PostgreSQL takes no NUL in a text).
    """
    id_ = receipt.provider_message_id
    if receipt.outcome is not ReceiptOutcome.SENT or not id_ or not receipt.provider or not receipt.location_id:
        return None
    texts = (receipt.location_id, receipt.provider, id_, receipt.decision_id, receipt.request_id, receipt.contact_id)
    if len(id_) > ID_LIMIT or any("\x00" in each for each in texts if each):
        return None
    return SentMessage(
        receipt.location_id,
        receipt.provider,
        id_,
        receipt.decision_id,
        receipt.request_id,
        receipt.contact_id,
        receipt.channel,
        _recipients(receipt),
        _created_at(receipt, appended_at),
        receipt.finished_at,
    )


def _created_at(receipt: Receipt, appended_at: int) -> int:
    """The sender's clock may be hours off; it tells how long the call took, and the receipt was written after that."""
    took = 0 if receipt.sent_at is None else max(0, receipt.finished_at - receipt.sent_at)
    return appended_at - took


def _recipients(receipt: Receipt) -> tuple[str, ...]:
    """Whom it went to: not those who were taken out."""
    to = receipt.to or ()
    meant = (to,) if isinstance(to, str) else tuple(to)
    removed = receipt.removed if isinstance(receipt.removed, (list, tuple)) else ()
    return tuple(each for each in meant if each not in removed)
