"""One forwarded request on its last hop: what its record says, before anybody has looked at holds.

A record is read in two steps. `line_of` looks only for where it belongs, which is all that is needed of a message that
has to wait; `read_item` reads the rest when its turn is near.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Protocol

import msgspec
import phonenumbers

from gateway.contract.decisions import DECIDED_AT, DECISION_ID
from gateway.contract.receipts import Receipt, ReceiptOutcome, Source, error_of
from gateway.contract.requests import ID_LIMIT, InvalidRequestError, Request, readable_fields
from gateway.dnd.model import BadAddress, Channel, Subject
from gateway.dnd.phones import phone_key
from gateway.guard.reading import DefaultRegion, Readable, read_batch

LIFETIME_MS = 24 * 3_600_000
"""Of a request without `not_after`, from its decision on."""

UNKNOWN_OUTCOME = "unknown_outcome"
"""Code of a receipt: it may have been sent."""

INVALID = "invalid_request"
"""Code of a receipt: the request could be read when it was forwarded and cannot be any more (a setting changed)."""

LineId = tuple[str, Channel]
"""Location and channel: who sends, and what."""

Header = tuple[str, bytes]


class Record(Protocol):
    """A record of `outbound.<channel>`."""

    offset: int
    key: bytes | None
    value: bytes | None
    timestamp: int
    headers: Sequence[Header]


class Origin(Protocol):
    """The partition a message was read from, for as long as it is ours without a break."""

    @property
    def congested(self) -> bool:
        """Receipts wait to be committed: nothing more is tried, for what is sent without one is sent again."""

    def took_off(self) -> None:
        """A try of one of its messages begins."""

    def settle(self, item: Item, receipt: Receipt) -> None:
        """Takes the final receipt."""

    def landed(self) -> None:
        """A try that took off has ended; what it led to was settled before."""


@dataclass(slots=True, eq=False)
class Item:
    """A message that waits for its turn or is tried. `readable`: its request as a batch of one.

    `recipient`: to whom it goes, where it is not an email. `addresses`: keys of its recipients' subjects; messages to
    one of them go one after another. `due` (seconds of the loop's clock): not tried before.
    `blockers`: how many of its addresses have an earlier message.
    `tries` count for the pauses between them; `attempts` are those of them that were written to the provider.
    """

    source: Source
    key: bytes | None
    value: bytes
    decision_id: str
    decided_at: int
    not_after: int
    line: LineId
    request: Request
    readable: Readable
    recipient: str
    origin: Origin
    blockers: int = 0
    due: float = 0.0
    tries: int = 0
    attempts: int = 0
    called_at: int | None = None
    unclear: str | None = None
    """Why it may have reached somebody already: what a try that is repeated ended with."""
    withdrawn: bool = False
    """Its partition is not ours any more, or is opened anew: it must not be tried."""

    @property
    def addresses(self) -> Sequence[bytes]:
        return self.readable.keys[1:]

    def expired(self, finished_at: int) -> Receipt:
        """Its time is over. Of a call that is repeated because its outcome is unclear nobody can say that it failed."""
        if self.unclear is None:
            return self.receipt(ReceiptOutcome.EXPIRED, finished_at)
        receipt = self.receipt(ReceiptOutcome.FAILED, finished_at)
        receipt.error = error_of(UNKNOWN_OUTCOME, self.unclear)
        return receipt

    def receipt(self, outcome: ReceiptOutcome, finished_at: int) -> Receipt:
        """What all its receipts have."""
        request = self.request
        return Receipt(
            self.decision_id,
            request.request_id,
            request.location_id,
            request.contact_id,
            self.line[1],
            request.to,
            outcome,
            finished_at,
            attempts=self.attempts,
            sent_at=self.called_at,
        )


@dataclass(frozen=True, slots=True)
class Unsendable:
    """A forwarded request that cannot be read any more: its receipt."""

    source: Source
    key: bytes | None
    receipt: Receipt


class _Located(msgspec.Struct):
    location_id: str


_located = msgspec.json.Decoder(_Located).decode


def line_of(value: bytes | None, channel: Channel) -> LineId:
    """Where the request belongs; the location is "" when it names none."""
    try:
        location_id = _located(value or b"").location_id
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        location_id = ""
    return location_id[:ID_LIMIT], channel


def is_forwarded(headers: Sequence[Header]) -> bool:
    """Whether the guard has written it: what somebody else wrote there was never decided, and is not sent."""
    return any(name == DECISION_ID for name, _ in headers)


def read_item(
    record: Record,
    source: Source,
    line: LineId,
    default_region: DefaultRegion,
    now: int,
    origin: Origin,
) -> Item | Unsendable:
    """All of a record that `is_forwarded`. The last headers count: the guard's stand behind the sender's own."""
    named = dict(record.headers)
    decision_id = named[DECISION_ID].decode(errors="replace")
    decided = named.get(DECIDED_AT, b"")
    decided_at = int(decided) if decided.isdigit() else record.timestamp
    readable = read_batch([record], default_region)
    (request,) = readable.requests
    if request is None or readable.channels[0] is not line[1]:
        error = readable.refused.get(0) or InvalidRequestError("channel", f"{line[1]}, as the topic it was read from")
        request_id, location_id, contact_id, _ = readable_fields(record.value)
        failed = error_of(INVALID, str(error))
        receipt = Receipt(
            decision_id, request_id, location_id, contact_id, line[1], None, ReceiptOutcome.FAILED, now, error=failed
        )
        return Unsendable(source, record.key, receipt)
    not_after = request.not_after if request.not_after is not None else decided_at + LIFETIME_MS
    return Item(
        source,
        record.key,
        record.value or b"",
        decision_id,
        decided_at,
        not_after,
        line,
        request,
        readable,
        _recipient(request, line[1], readable.keys[1], default_region),
        origin,
    )


def _recipient(request: Request, channel: Channel, key: bytes, default_region: DefaultRegion) -> str:
    """Its address. A phone number as E.164, but not as its key: of handsets with two numbers, the one written."""
    id_ = msgspec.json.decode(key, type=Subject).id
    if channel is Channel.EMAIL or id_ == request.to or not isinstance(request.to, str) or not id_.startswith("+"):
        return id_
    digits = request.to.removeprefix("whatsapp:").strip().lstrip("+")
    for spelling in (request.to, f"+{digits}"):
        with suppress(phonenumbers.NumberParseException, BadAddress):
            parsed = phonenumbers.parse(spelling, default_region(request.location_id))
            written = phonenumbers.format_number(parsed, phonenumbers.PhoneNumberFormat.E164)
            if phone_key(written) == id_:
                return written
    return id_
