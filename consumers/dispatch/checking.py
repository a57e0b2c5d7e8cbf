"""The check right before a provider is called: the guard's own decision, on a view that a barrier has just vouched for.

A round of the barrier proves that everything acknowledged before it began is in the view. It is shared by all who ask
while it runs, and counts for `REUSED_S` longer, so that a thousand calls a second do not need a thousand rounds. A
check is as old as the beginning of its round.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import msgspec

from gateway.clock import now_ms
from gateway.contract.decisions import HoldReason, Outcome
from gateway.contract.topics import Topics
from gateway.guard.deciding import NOTHING_UNAVAILABLE, BatchDecision, Header, Lookup, Unavailable
from gateway.guard.guard import FreshnessBarrier
from gateway.guard.reading import Readable

CHECK_VALID_S = 0.25
"""A call that begins later is checked again: what the contract promises after an acknowledgement."""

REUSED_S = 0.05
"""How old a round may be for another check: what is left of the promise is for connecting."""

_TOPICS = Topics()
"""Only to tell the decision from what is forwarded."""


@dataclass(frozen=True, slots=True)
class Checked:
    """What the guard says now. `value`: the request as it would be forwarded now, None unless `outcome` is that.

    `began` (seconds of the loop's clock): everything acknowledged before is in it.
    """

    outcome: Outcome
    began: float
    value: bytes | None = None
    reasons: Sequence[HoldReason] = ()
    removed: Sequence[str] = ()


class Checker:
    """`check` from any number of tasks."""

    def __init__(self, view: Lookup, barrier: FreshnessBarrier, unavailable: Callable[[], Unavailable]) -> None:
        self._view = view
        self._barrier = barrier
        self._unavailable = unavailable
        self._clock = asyncio.get_running_loop().time
        self._began = self._forgotten = float("-inf")

    async def check(self, readable: Readable, *, connected: bool = False) -> Checked:
        """A batch of one, as it was read. NotFreshError: nobody can say at present.

        `connected`: take the channel as connected, whatever is said of it."""
        began = self._began
        if self._clock() - began > REUSED_S or began <= self._forgotten:
            began = self._clock()
            await self._barrier.passed()
            self._began = max(self._began, began)
        return self._decided(readable, began, NOTHING_UNAVAILABLE if connected else self._unavailable())

    def forget(self) -> None:
        """A hold was acknowledged just now: the next check begins a round of its own.

        One that is under way does not count for others when it ends: it may have begun before."""
        self._forgotten = self._clock()

    def _decided(self, readable: Readable, began: float, unavailable: Unavailable) -> Checked:
        outputs = _Outputs()
        BatchDecision(_TOPICS, 0, readable, self._view, now_ms(), outputs, unavailable).decide()
        if outputs.forwarded is not None and outputs.forwarded is readable.records[0].value:
            return Checked(Outcome.FORWARDED, began, outputs.forwarded)
        written = _decode(outputs.decision)
        reasons: Sequence[HoldReason] = ()
        if written.outcome is Outcome.DROPPED:
            reasons = _hold_reasons(written.reasons)
        return Checked(written.outcome, began, outputs.forwarded, reasons, written.removed)


class _Outputs:
    """Keeps what a decision appends; nothing is sent."""

    def __init__(self) -> None:
        self.decision = b""
        self.forwarded: bytes | None = None

    def append(
        self,
        topic: str,
        key: bytes | None,  # noqa: ARG002 - the sink's
        value: bytes | None,
        timestamp_ms: int,  # noqa: ARG002
        headers: list[Header] | None = None,  # noqa: ARG002
    ) -> None:
        if topic == _TOPICS.decisions:
            self.decision = value or b""
        elif topic != _TOPICS.dead:
            self.forwarded = value


class _Written(msgspec.Struct):
    outcome: Outcome
    reasons: msgspec.Raw
    removed: tuple[str, ...] = ()


_decode = msgspec.json.Decoder(_Written).decode
_hold_reasons = msgspec.json.Decoder(list[HoldReason]).decode
