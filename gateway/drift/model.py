"""What is known of one list of a provider: how far it has been read, and what was found."""

from __future__ import annotations

from enum import StrEnum

import msgspec

EXAMPLES_LIMIT = 10
"""Addresses shown of each kind of difference."""


class Side(StrEnum):
    """Which way a list and our holds differ."""

    MISSING_HERE = "missing_here"  # the provider had it and we had not: it is placed
    LIFTED_HERE = "lifted_here"  # lifted here since; the provider still refuses to send
    MISSING_THERE = "missing_there"  # held here on the provider's word, and the provider does not say so any more


class Counts(msgspec.Struct):
    """Of one round of a list, for one location. `unusable`: entries that could not be read or placed."""

    entries: int = 0
    unusable: int = 0
    missing_here: int = 0
    lifted_here: int = 0
    missing_there: int = 0
    examples: dict[str, list[str]] = {}

    def differs(self, side: Side, address: str) -> None:
        """One more address that differs."""
        setattr(self, side.value, getattr(self, side.value) + 1)
        shown = self.examples.setdefault(side.value, [])
        if len(shown) < EXAMPLES_LIMIT and address not in shown:
            shown.append(address)

    def of(self, side: Side) -> int:
        return int(getattr(self, side.value))


class ListState(msgspec.Struct):
    """A list of a provider's account. Times in ms.

    `next_path`: the page to read next while a round is under way. `newest_at`: the newest date read in this round,
    `through_at`: in those before. `running` is being counted, `counts` is that of the last round that came to its end;
    both by location. `again_at`: after an error it is not read before.
    """

    provider: str
    account: str
    listed: str
    round: int = 0
    under_way: bool = False
    started_at: int | None = None
    next_path: str | None = None
    newest_at: int | None = None
    through_at: int | None = None
    running: dict[str, Counts] = {}
    finished_at: int | None = None
    counts: dict[str, Counts] = {}
    error: str | None = None
    error_at: int | None = None
    again_at: int | None = None

    @property
    def key(self) -> str:
        return list_key(self.provider, self.account, self.listed)

    def counted(self, location_id: str) -> Counts:
        """Where this round counts for the location."""
        return self.running.setdefault(location_id, Counts())


class MissingThere(msgspec.Struct):
    """Holds of a location on a provider's word that none of its lists has, when all of them had been read."""

    location_id: str
    provider: str
    listed: str
    count: int
    examples: list[str]
    compared_at: int


def list_key(provider: str, account: str, listed: str) -> str:
    """One text for a list, in the store."""
    return f"{provider} {account} {listed}"
