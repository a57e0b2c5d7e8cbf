"""Checks of what dispatch did with one forwarded record, by the receipts and by what the providers wrote down.

A call must not begin later than CALL_LIMIT_MS after the acknowledgement of a hold, plus TRANSIT_MS. The log has not the
acknowledgement but the moment the broker appended the event, which is a little before it; the call is dated when it
came in at the provider, which is a little after it began. TRANSIT_MS allows for both on a busy machine.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from gateway.contract.receipts import Receipt, ReceiptOutcome
from gateway.contract.requests import channel_of, read_request
from gateway.demo.audit.faults import Fault
from gateway.demo.audit.held import HoldLog
from gateway.demo.audit.history import Case, recipients
from gateway.demo.providers.request_log import Asked
from gateway.streams.tap import Tapped

CALL_LIMIT_MS = 250
"""What the contract promises."""

TRANSIT_MS = 250
"""From the append to the acknowledgement, and from the beginning of a call to the provider."""

UNKNOWN_OUTCOME = "unknown_outcome"
"""Code of a receipt that does not know whether the provider took the message."""

CHECK_MS = 1_000
"""So long before its receipt, at most, a message was dropped: a hold that was lifted since then may have counted."""


def receipted(case: Case) -> Iterator[Fault]:
    """One final receipt for each forwarded record, and none without."""
    if not case.outputs:
        yield from (Fault.WRONG_RECEIPT for _ in case.receipts)
    elif not case.receipts:
        yield Fault.NO_RECEIPT
    elif len(case.receipts) > len(case.outputs):
        yield Fault.RECEIPT_TWICE


def called(case: Case) -> Iterator[Fault]:
    """What the provider took, once each, is what receipts say was sent, by the same ids."""
    took = Counter(call.message_id for call in case.calls if call.message_id and not call.repeated)
    said = {receipt.provider_message_id for receipt in case.receipts if receipt.outcome is ReceiptOutcome.SENT}
    if any(receipt.error is not None and receipt.error.code == UNKNOWN_OUTCOME for receipt in case.receipts):
        return
    if len(took) > 1 and said:
        yield Fault.CALLED_TWICE
    elif took.keys() - said:
        yield Fault.WRONGLY_CALLED
    if said - took.keys():
        yield Fault.NOT_CALLED


def in_time(case: Case, log: HoldLog) -> Iterator[Fault]:
    """No call, taken or refused, began too long after a hold on whom it would have reached."""
    contact_id = next((receipt.contact_id for receipt in case.receipts if receipt.contact_id), "")
    for call in case.calls:
        if _held(call, contact_id, log):
            yield Fault.HELD


def rightly_stopped(case: Case, log: HoldLog) -> Iterator[Fault]:
    """Who was dropped at dispatch was on hold there."""
    for receipt in case.receipts:
        if receipt.outcome is ReceiptOutcome.DROPPED and len(case.outputs) == 1:
            (_, record) = case.outputs[0]
            if not _was_held(receipt, record, log):
                yield Fault.NOT_HELD


def _held(call: Asked, contact_id: str, log: HoldLog) -> bool:
    """Held from so long before to the call itself: if it was lifted in between, that may have counted."""
    reached = log.reached(call.location_id, contact_id, call.channel, call.to)
    moments = log.moments(reached, call.at - CALL_LIMIT_MS - TRANSIT_MS, call.at)
    return all(any(log.held(subject, call.channel, stood) for subject in reached) for stood in moments)


def _was_held(receipt: Receipt, record: Tapped, log: HoldLog) -> bool:
    """The contact, or everybody it would have gone to, at some moment when it may have been checked."""
    request = read_request(record.value)
    channel = channel_of(request)
    reached = log.reached(request.location_id, request.contact_id, channel, recipients(request))
    contact, *addresses = reached
    return any(
        log.held(contact, channel, stood) or all(log.held(each, channel, stood) for each in addresses)
        for stood in log.moments(reached, receipt.finished_at - CHECK_MS, receipt.finished_at + 1)
    )
