"""The circuit breaker of an account: a provider that does not answer is asked seldom, until it does. Pure."""

from __future__ import annotations

from consumers.dispatch.retrying import pause_s

FAILURES_TO_OPEN = 5
"""In a row: refused connections, 503, time-outs. Being throttled is none."""

FIRST_OPEN_S, LONGEST_OPEN_S = 0.5, 5.0
"""How long it stays open, doubling: a provider that is back is noticed within seconds."""


class Breaker:
    """Closed: everything passes. Open: nothing does until `until`. Then one call at a time, until one has worked."""

    def __init__(self) -> None:
        self._failures = 0
        self.until = 0.0
        """Open until then (seconds of the loop's clock)."""

    @property
    def trips(self) -> int:
        """How often in a row it has opened; 0 = closed."""
        return max(0, self._failures - FAILURES_TO_OPEN + 1)

    def limit(self, limit: int) -> int:
        """Calls that may be under way, where `limit` may be when it is closed."""
        return 1 if self.trips else limit

    def worked(self) -> None:
        """The provider has answered."""
        self._failures, self.until = 0, 0.0

    def failed(self, now: float) -> None:
        """What was under way when it opened tells nothing new."""
        if now < self.until:
            return
        self._failures += 1
        if self.trips:
            self.until = now + pause_s(self.trips, FIRST_OPEN_S, LONGEST_OPEN_S)
