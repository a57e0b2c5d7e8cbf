"""What the audit is given, put together by the request it is about.

Every record but the request itself carries the decision's id; a request's own is its place in the log. A call to a
provider carries it too, but where the provider has no field for it: then the receipt that names the message tells.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import msgspec

from gateway.contract.decisions import DECISION_ID, Outcome
from gateway.contract.receipts import Receipt, ReceiptOutcome, decode_receipt
from gateway.contract.requests import Request
from gateway.demo.audit.held import Sighting
from gateway.demo.providers.request_log import Asked
from gateway.dnd.model import Channel
from gateway.streams.tap import Tapped


@dataclass(frozen=True, slots=True)
class History:
    """What the topics and the providers' request log hold; `seen`: what a reader of `dnd.events` saw meanwhile."""

    requests: Sequence[Tapped]
    decisions: Sequence[Tapped]
    outputs: Mapping[Channel, Sequence[Tapped]]
    dead: Sequence[Tapped]
    receipts: Sequence[Tapped]
    events: Sequence[Tapped]
    calls: Sequence[Asked]
    seen: Sequence[Sighting]


class _State(msgspec.Struct):
    events: list[tuple[int, int]]


class Decision(msgspec.Struct):
    """What the audit reads of a decision."""

    decision_id: str
    location_id: str | None
    contact_id: str | None
    channel: str | None
    outcome: Outcome
    state: _State
    removed: list[str] = []


_decode_decision = msgspec.json.Decoder(Decision).decode


@dataclass(slots=True)
class Case:
    """Everything about one request."""

    requests: list[Tapped] = field(default_factory=list)
    decisions: list[Decision] = field(default_factory=list)
    outputs: list[tuple[Channel, Tapped]] = field(default_factory=list)
    dead: list[Tapped] = field(default_factory=list)
    receipts: list[Receipt] = field(default_factory=list)
    calls: list[Asked] = field(default_factory=list)


def cases_of(history: History) -> dict[str, Case]:
    """By decision id. ValueError for a decision or a receipt that cannot be read."""
    cases: dict[str, Case] = {}

    def case(name: str) -> Case:
        return cases.setdefault(name, Case())

    for record in history.requests:
        case(f"{record.topic}-{record.partition}-{record.offset}").requests.append(record)
    for record in history.decisions:
        decision = _decode_decision(record.value or b"")
        case(decision.decision_id).decisions.append(decision)
    for channel, records in history.outputs.items():
        for record in records:
            case(decision_id(record)).outputs.append((channel, record))
    for record in history.dead:
        case(decision_id(record)).dead.append(record)
    told: dict[str, str] = {}
    for record in history.receipts:
        receipt = decode_receipt(record.value or b"")
        case(receipt.decision_id).receipts.append(receipt)
        if receipt.outcome is ReceiptOutcome.SENT and receipt.provider_message_id is not None:
            told[receipt.provider_message_id] = receipt.decision_id
    for call in history.calls:
        case(call.decision_id or told.get(call.message_id) or f"unknown:{call.message_id}").calls.append(call)
    return cases


def decision_id(record: Tapped) -> str:
    """The id a forwarded record or a dead letter carries; "" when it carries none. The last such header is ours."""
    ours = [value for name, value in record.headers if name == DECISION_ID]
    return ours[-1].decode(errors="replace") if ours else ""


def recipients(request: Request) -> tuple[str, ...]:
    """Everybody a request would reach, as spelt, in the order of to, cc, bcc."""
    named = [request.to, request.cc or [], request.bcc or []]
    return tuple(each for field_ in named for each in ([field_] if isinstance(field_, str) else field_))
