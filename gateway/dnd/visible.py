"""What people see of a contact's DND, and what is different when it has changed (R20)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from gateway.dnd.causes import CAUSES
from gateway.dnd.model import Cause, Channel, Kind, Scope
from gateway.dnd.status import ChannelStatus, ContactRecords


@dataclass(frozen=True, slots=True)
class Visible:
    """The causes in force, by what they hold. ALL is the contact's own; a channel's are those of its addresses too."""

    causes: Mapping[Scope, frozenset[Cause]] = field(default_factory=dict)

    def status(self, scope: Scope) -> ChannelStatus:
        """ALL is only ever active or inactive."""
        causes = self.causes.get(scope, frozenset())
        if scope is not Scope.ALL and any(CAUSES[cause].kind is Kind.PERMANENT for cause in causes):
            return ChannelStatus.PERMANENT
        return ChannelStatus.ACTIVE if causes else ChannelStatus.INACTIVE


@dataclass(frozen=True, slots=True)
class Change:
    """One switch that stands otherwise now. `cause`: of the hold that came, or went."""

    scope: Scope
    before: ChannelStatus
    after: ChannelStatus
    cause: Cause


def visible(records: ContactRecords) -> Visible:
    causes: dict[Scope, frozenset[Cause]] = {}
    if records.contact is not None:
        causes[Scope.ALL] = frozenset(cause for (scope, cause), _ in records.contact.holds() if scope is Scope.ALL)
    for channel in Channel:
        own = Scope(channel.value)
        causes[own] = frozenset(
            cause for record in records.of_channel(channel) for (scope, cause), _ in record.holds() if scope is own
        )
    return Visible({scope: held for scope, held in causes.items() if held})


def changes(before: Visible, after: Visible) -> list[Change]:
    """In the order of `Scope`; empty when everybody sees what they saw."""
    found: list[Change] = []
    for scope in Scope:
        old, new = before.status(scope), after.status(scope)
        if old is not new:
            held_before, held_after = before.causes.get(scope, frozenset()), after.causes.get(scope, frozenset())
            came, went = held_after - held_before, held_before - held_after
            # From permanent to active is the end of a hold, although something may have come as well.
            ended = new is ChannelStatus.INACTIVE or old is ChannelStatus.PERMANENT
            found.append(Change(scope, old, new, _hardest((went or came) if ended else (came or went))))
    return found


def _hardest(causes: Iterable[Cause]) -> Cause:
    return min(causes, key=lambda cause: (CAUSES[cause].kind is not Kind.PERMANENT, cause))
