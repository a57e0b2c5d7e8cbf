"""Receipts: what `outbound.receipts` says became of every forwarded request at the provider, one final one for each.

A record's header `sg-source` names the forwarded record it is about, so that whoever goes on after a crash can tell
from the receipts alone which messages are finished.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from typing import NamedTuple

import msgspec

from gateway.contract.decisions import HoldReason

SOURCE = "sg-source"
"""Header of a receipt: topic, partition and offset of the forwarded record."""

ERROR_TEXT_LIMIT = 512
"""Characters kept of a provider's own words."""

KEY_LIMIT_BYTES = 1024
"""Longest key repeated: the sender's may be megabytes, which the topic does not take. Longer ones become null."""

REASONS_LIMIT = 100
"""Holds named in one receipt; an email to 1,000 may have more."""


class ReceiptOutcome(StrEnum):
    """What became of a forwarded request. All are final."""

    SENT = "sent"
    FAILED = "failed"
    DROPPED = "dropped_at_dispatch"
    EXPIRED = "expired"


class ReceiptError(msgspec.Struct, frozen=True, gc=False):
    """Why it failed: the provider's code, or one of ours; `message` in the provider's words."""

    code: str
    message: str


class Receipt(msgspec.Struct, gc=False, omit_defaults=False):
    """One receipt. `to`: whom it was meant for; `removed`: recipients taken out because they are held by now.

    `attempts`: HTTP calls made by the process that wrote it. `sent_at`: when the last of them began; null without one.
    """

    decision_id: str
    request_id: str | None
    location_id: str | None
    contact_id: str | None
    channel: str | None
    to: str | Sequence[str] | None
    outcome: ReceiptOutcome
    finished_at: int
    sent_at: int | None = None
    provider: str | None = None
    provider_message_id: str | None = None
    reasons: Sequence[HoldReason] = ()
    error: ReceiptError | None = None
    attempts: int = 0
    removed: Sequence[str] | msgspec.UnsetType = msgspec.UNSET


class Source(NamedTuple):
    """A forwarded record."""

    topic: str
    partition: int
    offset: int

    def __str__(self) -> str:
        return f"{self.topic}-{self.partition}-{self.offset}"


encode_receipt = msgspec.json.Encoder().encode
decode_receipt = msgspec.json.Decoder(Receipt).decode


def read_source(header: bytes) -> Source | None:
    """The forwarded record a header names, None when it names none."""
    topic, _, rest = header.decode(errors="replace").rpartition("-")
    topic, _, partition = topic.rpartition("-")
    if not (topic and partition.isdigit() and rest.isdigit() and partition.isascii() and rest.isascii()):
        return None
    return Source(topic, int(partition), int(rest))


def receipt_key(key: bytes | None) -> bytes | None:
    """The key of a request as a receipt repeats it."""
    return None if key is not None and len(key) > KEY_LIMIT_BYTES else key


def error_of(code: str, message: str) -> ReceiptError:
    """Bounded: what providers answer is of any length."""
    return ReceiptError(code[:ERROR_TEXT_LIMIT], message[:ERROR_TEXT_LIMIT])
