"""Whom a request goes to: the subjects whose holds decide, and the request that is left when some are held."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, NamedTuple

import msgspec

from gateway.contract.requests import RECIPIENTS_LIMIT, InvalidRequestError, Request
from gateway.dnd.addresses import BadAddress, recipient_key
from gateway.dnd.model import Channel, SubjectKind

_FIELDS = ("to", "cc", "bcc")

subject_key = msgspec.json.Encoder().encode
"""The key of a subject's records: its array as JSON without spaces, raw UTF-8."""


class Recipient(NamedTuple):
    """One address of a request, as the sender spelt it and as the key its holds are kept under."""

    field: str
    spelt: str
    key: bytes


def has_several(request: Request) -> bool:
    """Whether an email request has to be read with `email_recipients`."""
    return isinstance(request.to, list) or request.cc is not None or request.bcc is not None


def email_recipients(request: Request) -> list[Recipient]:
    """All recipients of an email, in the order of to, cc, bcc. InvalidRequestError names the entry that is wrong."""
    recipients: list[Recipient] = []
    for field in _FIELDS:
        spelt = getattr(request, field)
        listed = isinstance(spelt, list)
        entries = spelt if listed else [] if spelt is None else [spelt]
        if len(recipients) + len(entries) > RECIPIENTS_LIMIT:
            raise InvalidRequestError(field, f"at most {RECIPIENTS_LIMIT} recipients over to, cc and bcc")
        for index, entry in enumerate(entries):
            try:
                _, address = recipient_key(Channel.EMAIL, entry, None)
            except BadAddress as error:
                raise InvalidRequestError(f"{field}[{index}]" if listed else field, str(error)) from None
            key = subject_key((request.location_id, SubjectKind.EMAIL, address))
            recipients.append(Recipient(field, entry, key))
    if not any(recipient.field == "to" for recipient in recipients):
        raise InvalidRequestError("to", "at least one recipient")
    return recipients


def without(value: bytes, kept: Collection[Recipient]) -> bytes:
    """The request with only these recipients: everything else keeps its value and its order."""
    fields: dict[str, Any] = msgspec.json.decode(value, type=dict[str, msgspec.Raw])
    for field in _FIELDS:
        if field not in fields:
            continue
        left = [recipient.spelt for recipient in kept if recipient.field == field]
        fields[field] = left if bytes(fields[field])[:1] == b"[" else (left[0] if left else None)
    return msgspec.json.encode(fields)
