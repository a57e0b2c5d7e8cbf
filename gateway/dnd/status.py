"""On, Off or Partial (R4), and the state of each channel as people see it. Always computed, never stored.

A contact is judged by its own record and those of its addresses. An address counts for the channels that use its kind:
an ALL hold on an e-mail address blocks Email and nothing else, for no other channel sends to it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from gateway.dnd.addresses import KINDS_OF_CHANNEL
from gateway.dnd.causes import CAUSES
from gateway.dnd.decide import covers
from gateway.dnd.model import Channel, Kind, Scope, SubjectKind
from gateway.dnd.record import Record


class Status(StrEnum):
    """What a contact's DND is over its enlisted channels: nothing goes out, everything does, or some of it."""

    ON = "On"
    OFF = "Off"
    PARTIAL = "Partial"


class ChannelStatus(StrEnum):
    """The vendor's word for a channel; active means that DND is on."""

    ACTIVE = "active"
    INACTIVE = "inactive"
    PERMANENT = "permanent"


@dataclass(frozen=True, slots=True)
class ContactRecords:
    """All that is held against a contact: its own record (None = none) and those of its addresses, by their kind."""

    contact: Record | None = None
    addresses: Mapping[SubjectKind, Collection[Record]] = field(default_factory=dict)

    def of_channel(self, channel: Channel) -> Iterator[Record]:
        """The records that can hold the channel."""
        if self.contact is not None:
            yield self.contact
        for kind in KINDS_OF_CHANNEL[channel]:
            yield from self.addresses.get(kind, ())


def status(records: ContactRecords, enlisted: Collection[Channel]) -> Status:
    """R4, over the enlisted channels. The contact's ALL hold is On whatever is enlisted; without it, none is Off."""
    if records.contact is not None and any(scope is Scope.ALL for (scope, _), _ in records.contact.holds()):
        return Status.ON
    blocked = {channel for channel in enlisted if _is_blocked(records, channel)}
    if not blocked:
        return Status.OFF
    return Status.ON if blocked == set(enlisted) else Status.PARTIAL


def channel_status(records: ContactRecords, channel: Channel) -> ChannelStatus:
    """The channel's own holds, on the contact and its addresses; ALL is shown apart and does not count here."""
    own = [
        CAUSES[cause].kind
        for record in records.of_channel(channel)
        for (scope, cause), _ in record.holds()
        if scope is not Scope.ALL and covers(scope, channel)
    ]
    if not own:
        return ChannelStatus.INACTIVE
    return ChannelStatus.PERMANENT if Kind.PERMANENT in own else ChannelStatus.ACTIVE


def _is_blocked(records: ContactRecords, channel: Channel) -> bool:
    return any(covers(scope, channel) for record in records.of_channel(channel) for (scope, _), _ in record.holds())
