"""The first half of a decision: what a batch of request records says. Looks only at the bytes, so it can run while the
barrier's answers are on their way.

The loop in `_read` is the guard's hot path: its straight line is a request with one recipient, everything else is
a call away.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from gateway.contract.requests import InvalidRequestError, Request, channel_of, hidden_faults, read_request
from gateway.dnd.addresses import BadAddress, recipient_key
from gateway.dnd.model import Channel, SubjectKind
from gateway.guard.recipients import Recipient, email_recipients, has_several, subject_key

DefaultRegion = Callable[[str], str | None]
"""The region of a location's phone numbers without a country code, None when it has none."""


_EMAIL, _CONTACT = Channel.EMAIL, SubjectKind.CONTACT
"""Bound once: the lookup of an enum's member costs as much as a subject's whole key."""


class RequestRecord(Protocol):
    """A record of `outbound.requests`."""

    offset: int
    key: bytes | None
    value: bytes | None
    headers: Sequence[tuple[str, bytes]]


@dataclass(slots=True)
class Readable:
    """A batch after `read_batch`. `refused`, `several` and `requests` are by index into `records`.

    `requests` and `channels` have one entry per record, None where it is refused. `keys` are the subjects to look up,
    in the order of the requests: the contact, then its one address or the addresses of `several`. `dated` is how many
    requests have a `not_after`.
    """

    records: Sequence[RequestRecord]
    unwritable: bool = False
    requests: list[Request | None] = field(default_factory=list)
    channels: list[Channel | None] = field(default_factory=list)
    keys: list[bytes] = field(default_factory=list)
    dated: int = 0
    several: dict[int, list[Recipient]] = field(default_factory=dict)
    refused: dict[int, InvalidRequestError] = field(default_factory=dict)


def read_batch(
    records: Sequence[RequestRecord],
    default_region: DefaultRegion,
    known: Mapping[int, InvalidRequestError] | None = None,
    *,
    unwritable: bool = False,
) -> Readable:
    """Decode and validate. `known`: what is wrong apart from the values. `unwritable`: no topic takes what would be
    forwarded, so all of it is refused."""
    known = {} if known is None else known
    if unwritable:
        error = InvalidRequestError("value", "a record that the topics take")
        return _read(records, default_region, dict.fromkeys(range(len(records)), error), unwritable=True)
    batch = _read(records, default_region, known)
    values = [record.value for record in records]
    for index in batch.refused:
        values[index] = None
    faults = hidden_faults(values, batch.dated)
    return _read(records, default_region, {**faults, **known}) if faults else batch


def _read(
    records: Sequence[RequestRecord],
    default_region: DefaultRegion,
    faults: Mapping[int, InvalidRequestError],
    *,
    unwritable: bool = False,
) -> Readable:
    batch = Readable(records, unwritable)
    requests, channels, keys = batch.requests, batch.channels, batch.keys
    for index, record in enumerate(records):
        try:
            if faults and index in faults:
                raise faults[index]
            request = read_request(record.value)
            channel = channel_of(request)
            to = request.to
            if type(to) is str and (channel is not _EMAIL or not has_several(request)):
                location_id = request.location_id
                kind, address = recipient_key(channel, to, default_region(location_id))
                keys.append(subject_key((location_id, _CONTACT, request.contact_id)))
                keys.append(subject_key((location_id, kind, address)))
            else:
                _read_several(batch, index, request, channel)
            if request.not_after is not None:
                batch.dated += 1
            requests.append(request)
            channels.append(channel)
        except (InvalidRequestError, BadAddress) as error:
            if isinstance(error, BadAddress):
                error = InvalidRequestError("to", str(error))
            batch.refused[index] = error
            requests.append(None)
            channels.append(None)
    return batch


def _read_several(batch: Readable, index: int, request: Request, channel: Channel) -> None:
    if channel is not _EMAIL:
        raise InvalidRequestError("to", "a string; only Email takes a list")
    recipients = email_recipients(request)
    batch.several[index] = recipients
    batch.keys.append(subject_key((request.location_id, _CONTACT, request.contact_id)))
    batch.keys.extend(recipient.key for recipient in recipients)
