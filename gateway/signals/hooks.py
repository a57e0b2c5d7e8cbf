"""What the door asks of parts of the gateway that have it: the directory of contacts, the providers' own logs, and the
store of sent messages.

Without them an address is held and freed all the same, START counts as it was received, and so does a failure.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from gateway.dnd.model import Event
from gateway.dnd.record import Mark
from gateway.providers.signals import OptIn, OptOut, Signal


class Contacts(Protocol):
    """HOOK for the directory: START also ends contact holds whose evidence names its number.

    The contact's phone may have changed since, so a look at who has the number now is not enough.
    """

    async def follow(self, event: Event) -> Sequence[Event]:
        """The events on contacts that an event on an address brings about, with ids derived from its id; written with
        it, in this order behind it. It must not raise: the address's event would be lost with it."""


class StartCheck(Protocol):
    """HOOK for the providers: which of two opposite messages of one person was sent last (`start_check_window_s`)."""

    def window_ms(self, location_id: str) -> int:
        """A START received within so many ms of a STOP is checked, and without a barrier it leaves what may be as
        young; 0 = neither."""

    async def sent_after(self, start: OptIn, stop: Mark) -> bool | None:
        """Whether the provider says that `start` was sent later than what placed `stop`; None = it does not say.

        It keeps to a deadline of its own, some seconds, and does not raise."""


class SentMessages(Protocol):
    """HOOK for the store of sent messages: what a failure is about, where the provider's call does not say it (R16)."""

    async def completed(self, told: OptOut) -> OptOut:
        """The failure, dated by its message's creation where that is known. It keeps to a deadline of its own, below
        a second, and does not raise."""


def window_ms(start_check: StartCheck | None, signal: Signal) -> int:
    """Of the check for the signal's location; 0 without one."""
    return 0 if start_check is None else start_check.window_ms(signal.subject.location_id)


async def followed(contacts: Contacts | None, events: Sequence[Event]) -> list[Event]:
    """The events, and behind them those on contacts."""
    if contacts is None:
        return list(events)
    return [*events, *[further for event in events for further in await contacts.follow(event)]]
