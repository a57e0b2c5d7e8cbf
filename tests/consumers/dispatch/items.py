"""Messages as they wait for their turn, made from records as the guard writes them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field

from consumers.dispatch.item import Header, Item, line_of, read_item
from gateway.contract.decisions import DECISION_ID
from gateway.contract.receipts import Receipt, Source
from gateway.dnd.model import Channel
from tests.guard.batches import EMAIL, NOW

FAR = NOW + 3_600_000


@dataclass(slots=True)
class ForwardedRecord:
    """A record of `outbound.<channel>`."""

    offset: int
    value: bytes | None
    key: bytes | None = b"k"
    timestamp: int = NOW
    headers: Sequence[Header] = ((DECISION_ID, b"outbound.requests-0-1"),)


@dataclass(slots=True)
class KeepsReceipts:
    """A partition that has room for everything."""

    receipts: list[Receipt] = field(default_factory=list)
    congested: bool = False
    flying: int = 0

    def took_off(self) -> None:
        self.flying += 1

    def landed(self) -> None:
        self.flying -= 1

    def settle(self, item: Item, receipt: Receipt) -> None:
        self.receipts.append(receipt)


def item_of(value: bytes, channel: Channel, offset: int = 0, partition: int = 0) -> Item:
    """The message that a forwarded request becomes."""
    source = Source(f"outbound.{channel.lower()}", partition, offset)
    line = line_of(value, channel)
    found = read_item(ForwardedRecord(offset, value), source, line, lambda _: None, NOW, KeepsReceipts())
    assert isinstance(found, Item), found
    return found


def email_to(names: Sequence[str], offset: int = 0, partition: int = 0) -> Item:
    """An email to one or more mailboxes."""
    fields = EMAIL | {"to": [f"{name}@example.com" for name in names], "not_after": FAR}
    return item_of(json.dumps(fields).encode(), Channel.EMAIL, offset, partition)
