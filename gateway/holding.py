"""How long nothing could be decided: at present, and altogether. Told the time, asks no clock."""

from __future__ import annotations


class Holding:
    """Time without a freshness round that passed. Begins holding: before the first round nothing is known."""

    def __init__(self, now: float) -> None:
        """`now` here and below: seconds on one monotonic clock."""
        self._since: float | None = now
        self._counted_to = now

    def round_ended(self, now: float, *, passed: bool) -> float:
        """The seconds of holding since they were last counted, to be added to the total."""
        if self._since is None:
            if not passed:
                self._since = self._counted_to = now
            return 0.0
        held = now - self._counted_to
        self._counted_to = now
        if passed:
            self._since = None
        return held

    def seconds(self, now: float) -> float:
        """Since when it holds; 0 when it does not."""
        return 0.0 if self._since is None else now - self._since
