"""The first half of a decision: what a batch of request records says. Looks only at the bytes, so it can run while the
barrier's answers are on their way.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from gateway.contract.requests import (
    SPELLINGS,
    InvalidRequestError,
    Request,
    channel_of,
    may_repeat_names,
    read_request,
    repeated_name,
)
from gateway.dnd.model import Channel, SubjectKind
from gateway.guard.recipients import Recipient, email_recipients, has_several, single_key, subject_key

DefaultRegion = Callable[[str], str | None]
"""The region of a location's phone numbers without a country code, None when it has none."""


class RequestRecord(Protocol):
    """A record of `outbound.requests`."""

    offset: int
    key: bytes | None
    value: bytes | None
    headers: Sequence[tuple[str, bytes]]


@dataclass(frozen=True, slots=True)
class Several:
    """An email to more than one recipient."""

    recipients: list[Recipient]


@dataclass(frozen=True, slots=True)
class Readable:
    """A batch after `read`: one entry per record in each list, and the keys to look up in their order."""

    records: Sequence[RequestRecord]
    requests: list[Request | InvalidRequestError]
    channels: list[Channel | None]
    several: dict[int, Several]
    keys: list[bytes]
    unwritable: bool


def read_batch(records: Sequence[RequestRecord], default_region: DefaultRegion, *, unwritable: bool) -> Readable:
    """Decode and validate. `unwritable`: no topic takes what would be forwarded, so nothing here is readable."""
    batch = Readable(records, [], [], {}, [], unwritable)
    for record in records:
        try:
            if unwritable:
                raise InvalidRequestError("value", "a record that the topics take")
            _read_one(record, batch, default_region)
        except InvalidRequestError as error:
            batch.requests.append(error)
            batch.channels.append(None)
    readable = [
        (record.value, request)
        for record, request in zip(batch.records, batch.requests, strict=True)
        if type(request) is Request and record.value is not None
    ]
    dated = sum(request.not_after is not None for _, request in readable)
    if may_repeat_names([value for value, _ in readable], dated):
        _refuse_repeated_names(batch)
    return batch


def _read_one(record: RequestRecord, batch: Readable, default_region: DefaultRegion) -> None:
    request = read_request(record.value)
    channel = SPELLINGS.get(request.channel) or channel_of(request)
    location_id = request.location_id
    contact = subject_key((location_id, SubjectKind.CONTACT, request.contact_id))
    if channel is Channel.EMAIL and has_several(request):
        recipients = email_recipients(request)
        batch.several[len(batch.requests)] = Several(recipients)
        addresses = [recipient.key for recipient in recipients]
    else:
        addresses = [single_key(request, channel, default_region(location_id))]
    batch.requests.append(request)
    batch.channels.append(channel)
    batch.keys.append(contact)
    batch.keys.extend(addresses)


def _refuse_repeated_names(batch: Readable) -> None:
    keys = iter(batch.keys.copy())
    batch.keys.clear()
    for index, request in enumerate(batch.requests):
        if not isinstance(request, Request):
            continue
        several = batch.several.get(index)
        own = [next(keys) for _ in range(2 if several is None else 1 + len(several.recipients))]
        name = repeated_name(batch.records[index].value or b"")
        if name is None:
            batch.keys.extend(own)
            continue
        batch.requests[index] = InvalidRequestError(name, "to be named once")
        batch.channels[index] = None
        batch.several.pop(index, None)
