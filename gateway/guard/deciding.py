"""The second half of a decision: looks the subjects of a batch up in the view, and appends to the outputs one decision
for every record and what is forwarded or refused. Synchronous and without I/O, so a batch is decided on one state.

Per record the first of these applies: invalid, expired, dropped, unavailable, forwarded.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Protocol

import msgspec

from gateway.contract.decisions import (
    DECIDED_AT,
    DECISION_ID,
    REASON_EXPECTED,
    REASON_FIELD,
    STAND_IN,
    STAND_IN_KEY_BYTES,
    ChannelReason,
    Decision,
    Outcome,
    Unavailability,
    channel_reason,
    decision_id_prefix,
    encode_decision,
    encode_state,
    hold_reasons,
    invalid_reason,
    stand_in,
)
from gateway.contract.integrations import IntegrationId
from gateway.contract.requests import InvalidRequestError, Request, readable_fields
from gateway.contract.topics import Topics
from gateway.dnd.decide import Reason, reasons
from gateway.dnd.model import Channel
from gateway.dnd.record import Record
from gateway.guard.reading import Readable, RequestRecord
from gateway.guard.recipients import Recipient, without

Header = tuple[str, bytes]


class OutputSink(Protocol):
    """Where the outputs of a batch go; all to the input's partition number."""

    def append(
        self, topic: str, key: bytes | None, value: bytes | None, timestamp_ms: int, headers: list[Header] | None = None
    ) -> None: ...


class Lookup(Protocol):
    """The view, as far as a decision needs it."""

    def positions(self) -> Sequence[int]: ...

    def lookup(self, keys: Sequence[bytes]) -> Sequence[Record | None]: ...


Tally = Counter[tuple[str, str, str]]
"""How many requests, by channel, outcome and first cause ("" when there is none)."""


Unavailable = Mapping[IntegrationId, Unavailability]
"""The channels that cannot be sent on (R8), by location and channel; most often there are none."""

NOTHING_UNAVAILABLE: Unavailable = {}

_EMAIL = Channel.EMAIL
_FORWARDED, _DROPPED, _EXPIRED, _INVALID = Outcome.FORWARDED, Outcome.DROPPED, Outcome.EXPIRED, Outcome.INVALID
_UNAVAILABLE = Outcome.UNAVAILABLE
"""Bound once: the lookup of an enum's member costs as much as a decision's id."""


class BatchDecision:
    """Decides one batch: holds what is the same for all its records. `now` is the time of the decisions (ms)."""

    def __init__(
        self,
        topics: Topics,
        partition: int,
        batch: Readable,
        view: Lookup,
        now: int,
        outputs: OutputSink,
        unavailable: Unavailable = NOTHING_UNAVAILABLE,
    ) -> None:
        self._topics = topics
        self._partition = partition
        self._id_prefix = decision_id_prefix(topics.requests, partition)
        self._batch = batch
        self._now = now
        self._unavailable = unavailable
        self._append = outputs.append
        self._decisions = topics.decisions
        self._held = view.lookup(batch.keys)
        self._state = encode_state(view.positions())
        self._decided_at = (DECIDED_AT, str(now).encode())
        self._counted: list[tuple[str, str, str]] = []

    def decide(self) -> Tally:
        """Append one decision per record, and what goes out with it.

        The straight line is a request to one recipient with nothing held.
        """
        batch, now, held = self._batch, self._now, iter(self._held)
        several = batch.several
        for index, (record, request, channel) in enumerate(
            zip(batch.records, batch.requests, batch.channels, strict=True)
        ):
            if request is None or channel is None:
                self._refuse(record, batch.refused[index])
            elif several and index in several:
                self._decide_several(record, request, several[index], held)
            else:
                contact, address = next(held), next(held)
                if request.not_after is not None and request.not_after < now:
                    self._decided(record, request, channel, _EXPIRED)
                elif contact is None and address is None:
                    self._forward(record, request, channel)
                elif found := reasons(channel, "contact", contact) + reasons(channel, "address", address):
                    self._decided(record, request, channel, _DROPPED, found)
                else:
                    self._forward(record, request, channel)
        return Counter(self._counted)

    def _decide_several(
        self, record: RequestRecord, request: Request, recipients: list[Recipient], held: Iterator[Record | None]
    ) -> None:
        """An email to several: a held recipient is taken out; a held contact, or nobody left in `to`, drops it."""
        found = reasons(_EMAIL, "contact", next(held))
        contact_held = bool(found)
        kept: list[Recipient] = []
        removed: list[str] = []
        for recipient in recipients:
            if on_address := reasons(_EMAIL, "address", next(held)):
                removed.append(recipient.spelt)
                found += [reason for reason in on_address if reason not in found]
            else:
                kept.append(recipient)
        if request.not_after is not None and request.not_after < self._now:
            self._decided(record, request, _EMAIL, _EXPIRED)
        elif contact_held or not any(recipient.field == "to" for recipient in kept):
            self._decided(record, request, _EMAIL, _DROPPED, found)
        else:
            self._forward(record, request, _EMAIL, kept, removed)

    def _forward(
        self,
        record: RequestRecord,
        request: Request,
        channel: Channel,
        kept: Sequence[Recipient] = (),
        removed: Sequence[str] = (),
    ) -> None:
        """Unless the channel is not connected, which matters only for what DND lets through."""
        unavailable = self._unavailable
        if unavailable and (request.location_id, channel) in unavailable:
            why = unavailable[request.location_id, channel]
            self._decided(record, request, channel, _UNAVAILABLE, (), (), [channel_reason(channel, why)])
            return
        identity = self._decided(record, request, channel, _FORWARDED, (), removed)
        value = without(record.value or b"", kept) if removed else record.value
        headers = [*record.headers, (DECISION_ID, identity.encode()), self._decided_at]
        self._append(self._topics.output(channel), record.key, value, self._now, headers)

    def _decided(
        self,
        record: RequestRecord,
        request: Request,
        channel: Channel,
        outcome: Outcome,
        found: Sequence[Reason] = (),
        removed: Sequence[str] = (),
        not_connected: Sequence[ChannelReason] = (),
    ) -> str:
        """Append the decision; returns its id."""
        identity = f"{self._id_prefix}{record.offset}"
        decision = Decision(
            identity,
            request.request_id,
            request.location_id,
            request.contact_id,
            channel,
            outcome,
            hold_reasons(found) if found else not_connected,
            self._state,
            self._now,
            removed or msgspec.UNSET,
        )
        self._append(self._decisions, record.key, encode_decision(decision), self._now)
        self._counted.append((channel, outcome, found[0].cause if found else ""))
        return identity

    def _refuse(self, record: RequestRecord, error: InvalidRequestError) -> None:
        """A dead letter, and a decision `invalid` that names the field."""
        identity = f"{self._id_prefix}{record.offset}"
        request_id, location_id, contact_id, channel = readable_fields(record.value)
        decision = Decision(
            identity,
            request_id,
            location_id,
            contact_id,
            channel,
            _INVALID,
            [invalid_reason(error)],
            self._state,
            self._now,
        )
        key, value, headers = record.key, record.value, [*record.headers]
        if self._batch.unwritable:
            value = stand_in(record.value, self._topics.requests, self._partition, record.offset)
            headers = [(STAND_IN, b"1")]
            if key is not None and len(key) > STAND_IN_KEY_BYTES:
                key = None
        self._append(self._decisions, key, encode_decision(decision), self._now)
        headers += [
            (DECISION_ID, identity.encode()),
            self._decided_at,
            (REASON_FIELD, error.field.encode()),
            (REASON_EXPECTED, error.expected.encode()),
        ]
        self._append(self._topics.dead, key, value, self._now, headers)
        self._counted.append(("", _INVALID, ""))
