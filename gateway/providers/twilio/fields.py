"""What both of Twilio's webhooks have: a message's id, addresses with a scheme, and what of them is kept as evidence.

A bare number is SMS (MMS too), `rcs:` counts as SMS (R1), `whatsapp:` is WhatsApp. Another scheme (`messenger:`,
`client:`) is no phone number, even where digits follow it.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from typing import Protocol

from gateway.dnd.addresses import BadAddress, recipient_key
from gateway.dnd.keywords import KeywordProfile
from gateway.dnd.model import Channel, Subject
from gateway.providers.signals import Unparsable

LONGEST_EVIDENCE = 256
"""Characters of one value kept as evidence; ids and numbers are far shorter."""

_SID = re.compile(r"[A-Za-z0-9]{2,64}")

_CHANNELS: Mapping[str, Channel] = {"": Channel.SMS, "rcs": Channel.SMS, "whatsapp": Channel.WHATSAPP}
"""By the scheme of an address."""


class LocationSettings(Protocol):
    """The settings of a location that the parsers read."""

    @property
    def default_region(self) -> str | None: ...
    @property
    def keyword_profile(self) -> KeywordProfile: ...
    @property
    def extra_opt_out_words(self) -> Collection[str]: ...
    @property
    def opt_out_channels(self) -> Collection[Channel]: ...


def message_sid(form: Mapping[str, str]) -> str:
    """The id of the message the call is about, under its name or an older one. Raises `Unparsable`."""
    sid = form.get("MessageSid") or form.get("SmsMessageSid") or form.get("SmsSid") or ""
    if not _SID.fullmatch(sid):
        raise Unparsable("expected the field MessageSid: the id of a message, letters and digits")
    return sid


def channel_of(address: str) -> Channel | None:
    """The channel an address is on; None = none that we know."""
    return _CHANNELS.get(_parts(address)[0])


def subject_of(address: str, location_id: str, default_region: str | None) -> Subject | None:
    """Who has the address; None = nothing that could be held: a short code, a name, an address of another channel."""
    scheme, bare = _parts(address)
    if scheme not in _CHANNELS:
        return None
    try:
        kind, key = recipient_key(_CHANNELS[scheme], bare, default_region)
    except BadAddress:
        return None
    return Subject(location_id, kind, key)


def kept(evidence: Mapping[str, str | None]) -> dict[str, object]:
    """Of the values that are given, as much as is evidence."""
    given = {name: value[:LONGEST_EVIDENCE] for name, value in evidence.items() if value}
    return {"provider": "twilio", **given}


def _parts(address: str) -> tuple[str, str]:
    scheme, colon, bare = address.strip().partition(":")
    return (scheme.lower(), bare) if colon else ("", scheme)
