"""What Meta's error codes say about a person's wishes: one table for failed statuses and for answers to a send.

https://developers.facebook.com/documentation/business-messaging/whatsapp/support/error-codes and
https://developers.facebook.com/docs/messenger-platform/error-codes.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from gateway.dnd.model import Cause
from gateway.providers.signals import Note

CODES: Mapping[int, Cause | Note] = MappingProxyType(
    {
        131050: Cause.PROVIDER_OPT_OUT,  # the person stopped marketing messages
        131026: Note.NO_EFFECT,  # undeliverable: no WhatsApp, an old version, blocked; Meta does not say which
        131047: Note.NO_EFFECT,  # more than 24 h since the person wrote
        131049: Note.NO_EFFECT,  # Meta chose not to deliver
        130472: Note.NO_EFFECT,  # the person is part of an experiment of Meta's
        131053: Note.NO_EFFECT,  # the media could not be uploaded
        4: Note.NO_EFFECT,  # too many calls, as the six below
        613: Note.NO_EFFECT,
        80007: Note.NO_EFFECT,
        130429: Note.NO_EFFECT,
        131048: Note.NO_EFFECT,
        131056: Note.NO_EFFECT,
        133016: Note.NO_EFFECT,
        10: Note.NO_EFFECT,  # Messenger: outside the window (subcode 2018278)
        551: Note.NO_EFFECT,  # Messenger: the person is not available, for whatever reason
        100: Note.NO_EFFECT,  # a parameter; Messenger: no such person (subcode 2018001)
        190: Note.NO_EFFECT,  # our token has expired
    }
)
"""A code that is not here is counted as unknown."""


def meaning_of(code: int | None) -> Cause | Note:
    """The cause to hold for, or why not to."""
    return Note.UNKNOWN_CODE if code is None else CODES.get(code, Note.UNKNOWN_CODE)
