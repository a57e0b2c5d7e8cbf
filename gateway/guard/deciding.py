"""The second half of a decision: looks the subjects of a batch up in the view, and appends to the outputs one decision
for every record and what is forwarded or refused. Synchronous and without I/O, so a batch is decided on one state.

Per record the first of these applies: invalid, expired, dropped, unavailable, forwarded.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Protocol

import msgspec

from gateway.contract.decisions import (
    DECIDED_AT,
    DECISION_ID,
    REASON_EXPECTED,
    REASON_FIELD,
    STAND_IN,
    Decision,
    Outcome,
    decision_id,
    encode_decision,
    encode_state,
    hold_reasons,
    invalid_reason,
    stand_in,
)
from gateway.contract.requests import InvalidRequestError, Request, readable_fields
from gateway.contract.topics import Topics
from gateway.dnd.decide import Reason, reasons
from gateway.dnd.model import Channel
from gateway.dnd.record import Record
from gateway.guard.reading import Readable, RequestRecord, Several
from gateway.guard.recipients import Recipient, without

Header = tuple[str, bytes]


class OutputSink(Protocol):
    """Where the outputs of a batch go; all to the input's partition number."""

    def append(
        self, topic: str, key: bytes | None, value: bytes | None, timestamp_ms: int, headers: Sequence[Header] = ()
    ) -> None: ...


class Lookup(Protocol):
    """The view, as far as a decision needs it."""

    def positions(self) -> Sequence[int]: ...

    def lookup(self, keys: Sequence[bytes]) -> Sequence[Record | None]: ...


Tally = Counter[tuple[str, str, str]]
"""How many requests, by channel, outcome and first cause ("" when there is none)."""


class BatchDecision:
    """Decides one batch: holds what is the same for all its records."""

    def __init__(
        self,
        topics: Topics,
        partition: int,
        batch: Readable,
        view: Lookup,
        now: int,
        outputs: OutputSink,
    ) -> None:
        self._topics = topics
        self._partition = partition
        self._batch = batch
        self._now = now
        self._outputs = outputs
        self._held = iter(view.lookup(batch.keys))
        self._state = encode_state(dict(enumerate(view.positions())))
        self._decided_at = (DECIDED_AT, str(now).encode())
        self._tally: Tally = Counter()

    def decide(self) -> Tally:
        """Append one decision per record, and what goes out with it."""
        batch, now, held = self._batch, self._now, self._held
        for index, (record, request, channel) in enumerate(
            zip(batch.records, batch.requests, batch.channels, strict=True)
        ):
            if type(request) is not Request or channel is None:
                assert isinstance(request, InvalidRequestError)  # noqa: S101  # the only other kind there is
                self._invalid(record, request)
                continue
            several = batch.several.get(index) if batch.several else None
            contact = next(held)
            addresses = [next(held)] if several is None else [next(held) for _ in several.recipients]
            if request.not_after is not None and request.not_after < now:
                self._decided(record, request, channel, Outcome.EXPIRED)
            elif several is not None:
                self._decide_several(record, request, several, contact, addresses)
            elif contact is None and addresses[0] is None:
                self._forward(record, request, channel, record.value)
            else:
                found = reasons(channel, "contact", contact) + reasons(channel, "address", addresses[0])
                if found:
                    self._decided(record, request, channel, Outcome.DROPPED, found)
                else:
                    self._forward(record, request, channel, record.value)
        return self._tally

    def _decide_several(
        self,
        record: RequestRecord,
        request: Request,
        several: Several,
        contact: Record | None,
        addresses: list[Record | None],
    ) -> None:
        """A held recipient is taken out; a held contact, or nobody left in `to`, drops the whole."""
        found = reasons(Channel.EMAIL, "contact", contact)
        blocked = bool(found)
        kept: list[Recipient] = []
        for recipient, address in zip(several.recipients, addresses, strict=True):
            held = reasons(Channel.EMAIL, "address", address)
            found += [reason for reason in held if reason not in found]
            if not held:
                kept.append(recipient)
        removed = [recipient.spelt for recipient in several.recipients if recipient not in kept]
        if blocked or not any(recipient.field == "to" for recipient in kept):
            self._decided(record, request, Channel.EMAIL, Outcome.DROPPED, found)
        elif removed:
            value = without(record.value or b"", kept)
            self._forward(record, request, Channel.EMAIL, value, removed)
        else:
            self._forward(record, request, Channel.EMAIL, record.value)

    def _forward(
        self,
        record: RequestRecord,
        request: Request,
        channel: Channel,
        value: bytes | None,
        removed: list[str] | msgspec.UnsetType = msgspec.UNSET,
    ) -> None:
        decided = self._decided(record, request, channel, Outcome.FORWARDED, removed=removed)
        headers = [*record.headers, (DECISION_ID, decided.encode()), self._decided_at]
        self._outputs.append(self._topics.output(channel), record.key, value, self._now, headers)

    def _decided(
        self,
        record: RequestRecord,
        request: Request,
        channel: Channel,
        outcome: Outcome,
        found: Sequence[Reason] = (),
        removed: list[str] | msgspec.UnsetType = msgspec.UNSET,
    ) -> str:
        identity = decision_id(self._topics.requests, self._partition, record.offset)
        decision = Decision(
            identity,
            request.request_id,
            request.location_id,
            request.contact_id,
            channel,
            outcome,
            hold_reasons(found),
            self._state,
            self._now,
            removed,
        )
        self._outputs.append(self._topics.decisions, record.key, encode_decision(decision), self._now)
        self._tally[channel, outcome, found[0].cause if found else ""] += 1
        return identity

    def _invalid(self, record: RequestRecord, error: InvalidRequestError) -> None:
        identity = decision_id(self._topics.requests, self._partition, record.offset)
        request_id, location_id, contact_id, channel = readable_fields(record.value)
        decision = Decision(
            identity,
            request_id,
            location_id,
            contact_id,
            channel,
            Outcome.INVALID,
            [invalid_reason(error)],
            self._state,
            self._now,
        )
        self._outputs.append(self._topics.decisions, record.key, encode_decision(decision), self._now)
        value, headers = record.value, [*record.headers]
        if self._batch.unwritable:
            value = stand_in(record.value, self._topics.requests, self._partition, record.offset)
            headers = [(STAND_IN, b"1")]
        headers += [
            (DECISION_ID, identity.encode()),
            self._decided_at,
            (REASON_FIELD, error.field.encode()),
            (REASON_EXPECTED, error.expected.encode()),
        ]
        self._outputs.append(self._topics.dead, record.key, value, self._now, headers)
        self._tally["", Outcome.INVALID, ""] += 1
