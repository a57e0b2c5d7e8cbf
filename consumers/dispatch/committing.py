"""Committing what is finished: receipts, and with them how far everything is finished, one transaction after another.

How many receipts wait here, and for how long, bounds what is sent twice after a crash: with too many, or while Kafka
does not answer, the accounts try nothing more (`behind`).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass

from consumers.dispatch.tracker import Tracker
from gateway.contract.receipts import SOURCE, Receipt, Source, encode_receipt, receipt_key
from gateway.streams.lane import LaneError
from gateway.streams.settling import Frontier, SettlingLane

RECEIPTS_AT_ONCE = 1_000
"""Receipts of one transaction."""

LINGER_S = 0.02
"""How long the first receipt of a transaction waits for others."""

UNSETTLED_LIMIT = 200
"""Receipts of a partition that wait to be committed: with so many nothing more is tried."""

STUCK_S = 1.0
"""A transaction takes milliseconds; with one that takes so long nothing more is tried."""

IDLE_COMMIT_S = 5.0
"""How often the frontiers are committed when they move without receipts (markers, records that are not ours)."""


@dataclass(frozen=True, slots=True)
class Settled:
    """A final receipt, and whose."""

    source: Source
    key: bytes | None
    receipt: Receipt


Left = dict[Source, Settled]
"""Receipts nobody has committed yet."""


class Committer:
    """Of one lane. `observe`: gets the receipts that were committed."""

    def __init__(
        self,
        lane: SettlingLane,
        topic: str,
        trackers: Mapping[str, Tracker],
        receipts_end: int,
        observe: Callable[[Sequence[Receipt]], None],
    ) -> None:
        self._lane = lane
        self._topic = topic
        self._trackers = trackers
        self._committed = {topic: _frontier(tracker) for topic, tracker in trackers.items()}
        self._observe = observe
        self._clock = asyncio.get_running_loop().time
        self._something = asyncio.Event()
        self._last = asyncio.Event()
        self._since: float | None = None
        self.receipts_end = receipts_end
        """An offset at or below the receipts' end."""
        self.unsettled: list[Settled] = []
        """Those not known to be committed."""

    @property
    def behind(self) -> bool:
        if len(self.unsettled) >= UNSETTLED_LIMIT:
            return True
        return self._since is not None and self._clock() - self._since > STUCK_S

    def add(self, settled: Settled) -> None:
        """Its message is pending in its topic's tracker."""
        self.unsettled.append(settled)
        self._something.set()

    def end(self) -> None:
        """No more will be added."""
        self._last.set()
        self._something.set()

    async def run(self) -> None:
        """Until `end`, and everything is committed. What the lane raises."""
        while not (self._last.is_set() and not self.unsettled):
            self._something.clear()
            if not self.unsettled:
                await set_within(self._something, IDLE_COMMIT_S)
            if not self._last.is_set():
                await set_within(self._last, LINGER_S)
            await self._commit()
        await self._commit()

    async def _commit(self) -> None:
        if self._lane.renewal_due():
            raise LaneError("the producers are renewed")
        settled = self.unsettled[:RECEIPTS_AT_ONCE]
        outputs = self._lane.outputs()
        for each in settled:
            headers = [(SOURCE, str(each.source).encode())]
            value = encode_receipt(each.receipt)
            outputs.append(self._topic, receipt_key(each.key), value, each.receipt.finished_at, headers)
            self._trackers[each.source.topic].finish(each.source.offset)
        frontiers = {topic: _frontier(tracker) for topic, tracker in self._trackers.items()}
        moved = {topic: at for topic, at in frontiers.items() if at.offset != self._committed[topic].offset}
        if not (settled or moved):
            return
        self._since = self._clock()
        end = await self._lane.settle(outputs, moved)
        self._since = None
        self.receipts_end = max(self.receipts_end, end)
        self._committed.update(moved)
        del self.unsettled[: len(settled)]
        self._observe([each.receipt for each in settled])


async def set_within(event: asyncio.Event, seconds: float) -> None:
    """Wait for it, at most so long."""
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await event.wait()


def _frontier(tracker: Tracker) -> Frontier:
    return Frontier(tracker.frontier, tracker.receipts_from)
