"""The work on one opened lane: messages are read, parked, given to their lines, and their receipts committed.

Theory of operation. Three tasks share the lane, each with clients of its own in it:

* *reading*: the next records of all channels' topics. Each is pending in its topic's `Tracker` from then on. It goes
  to its line, or is parked (`parking`);
* *feeding*: reads parked messages again when their line has room;
* *committing*: final receipts and frontiers (`committing`).

When one of them fails, or the partition is to be given up, what waits is withdrawn from the lines, calls under way
are waited for, and the receipts that could not be committed are handed on to the next session of this process
(`landing`): so a message is tried again only if nobody knows what became of it.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from consumers.dispatch.committing import Committer, Left, Settled, set_within
from consumers.dispatch.item import Header, Item, LineId, Unsendable, is_forwarded, line_of, read_item
from consumers.dispatch.parking import Parking
from consumers.dispatch.pool import Pool, not_configured
from consumers.dispatch.tracker import Tracker
from gateway.clock import now_ms
from gateway.contract.receipts import Receipt, Source
from gateway.dnd.model import Channel
from gateway.guard.reading import DefaultRegion
from gateway.streams.settling import Record, SettlingLane

log = logging.getLogger(__name__)

READ_RECORDS = 500
"""Read at a time: they take some ms of the event loop."""

FEED_RECORDS = 500
"""Read again at a time."""

FULL_S = 0.1
"""Until the next look whether parked messages have become fewer, or calls have ended."""

ENDING_S = 2.5
"""For calls under way when the partition is given up; below what a worker gets to drain."""


@dataclass(frozen=True, slots=True)
class Part:
    """What a session works with. `channels`: by topic. `observe`: gets the receipts that were committed."""

    partition: int
    receipts_topic: str
    channels: Mapping[str, Channel]
    pool: Pool
    default_region: DefaultRegion
    observe: Callable[[Sequence[Receipt]], None]
    passed_over: Callable[[], None]


class Session:
    """The origin of the items it reads. `left`: receipts of messages that it will read, from the session before."""

    def __init__(
        self, part: Part, lane: SettlingLane, trackers: Mapping[str, Tracker], receipts_end: int, left: Left
    ) -> None:
        self._part = part
        self._lane = lane
        self._trackers = trackers
        self._committer = Committer(lane, part.receipts_topic, trackers, receipts_end, part.observe)
        self._left = left
        self._clock = asyncio.get_running_loop().time
        self._items: dict[LineId, set[Item]] = {}
        self._hungry = asyncio.Event()
        self._ending = asyncio.Event()
        self._no_flights = asyncio.Event()
        self._no_flights.set()
        self._topics = {channel: topic for topic, channel in part.channels.items()}
        self.parking = Parking()
        self.flying = 0

    @property
    def pending(self) -> int:
        """Messages that were read and are not finished."""
        return sum(tracker.pending for tracker in self._trackers.values())

    # The origin of items.

    @property
    def congested(self) -> bool:
        return self._ending.is_set() or self._committer.behind

    def took_off(self) -> None:
        self.flying += 1
        self._no_flights.clear()

    def landed(self) -> None:
        self.flying -= 1
        if self.flying == 0:
            self._no_flights.set()

    def settle(self, item: Item, receipt: Receipt) -> None:
        items = self._items[item.line]
        items.remove(item)
        if not items:
            del self._items[item.line]
        self.parking.leave(item.line)
        self._hungry.set()
        self._committer.add(Settled(item.source, item.key, receipt))

    # Its work.

    async def run(self, stopping: asyncio.Event) -> None:
        """Until `stopping` is set; then end in an orderly way. What the lane raises."""
        committing = asyncio.create_task(self._committer.run(), name="dispatch commits")
        reading = asyncio.create_task(self._reading(), name="dispatch reads")
        feeding = asyncio.create_task(self._feeding(), name="dispatch feeds")
        stopped: asyncio.Task[object] = asyncio.create_task(stopping.wait(), name="stop signal")
        working = (committing, reading, feeding)
        try:
            await asyncio.wait({*working, stopped}, return_when=asyncio.FIRST_COMPLETED)
            self.give_up()
            deadline = self._clock() + ENDING_S
            await asyncio.wait([reading, feeding], timeout=ENDING_S)
            if not any(task.done() and task.exception() for task in working):
                await set_within(self._no_flights, deadline - self._clock())
                if self.flying:
                    log.warning("partition %d: %d calls take too long: made again", self._part.partition, self.flying)
                self._committer.end()
                await asyncio.wait([committing])
            for task in working:
                if task.done():
                    task.result()
        finally:
            self.give_up()
            for each in (*working, stopped):
                each.cancel()
            await asyncio.gather(*working, return_exceptions=True)

    def give_up(self) -> None:
        """Nothing of ours is tried any more; calls under way go on."""
        if self._ending.is_set():
            return
        self._ending.set()
        self._hungry.set()
        for line, items in self._items.items():
            self._part.pool.withdraw(line, items)

    async def landing(self, stopping: asyncio.Event) -> Left:
        """After a failure: the receipts that nobody has committed, once all calls have ended, or soon after a stop."""
        while self.flying and not stopping.is_set():
            await set_within(self._no_flights, FULL_S)
        await set_within(self._no_flights, ENDING_S)
        return {**self._left, **{settled.source: settled for settled in self._committer.unsettled}}

    async def _reading(self) -> None:
        while not self._ending.is_set():
            if self.parking.full:
                await asyncio.sleep(FULL_S)
                continue
            receipts_end = self._committer.receipts_end
            for topic, (records, position) in (await self._lane.read_inputs(READ_RECORDS)).items():
                if self._ending.is_set():
                    return
                offsets = [record.offset for record in records]
                pending = set(self._trackers[topic].read(offsets, position, receipts_end))
                for record in records:
                    if record.offset in pending:
                        self._take_in(topic, record)

    def _take_in(self, topic: str, record: Record) -> None:
        source = Source(topic, self._part.partition, record.offset)
        if (settled := self._left.pop(source, None)) is not None:
            self._committer.add(settled)
        elif not is_forwarded(_headers(record)):
            self._trackers[topic].finish(record.offset)
            self._part.passed_over()
        else:
            line = line_of(record.value, self._part.channels[topic])
            if self.parking.admit(line, record.offset):
                self._to_line(source, record, line)

    async def _feeding(self) -> None:
        while not self._ending.is_set():
            self._hungry.clear()
            while (found := self.parking.hungry()) is not None and not self._ending.is_set():
                await self._feed(*found)
            if not self._ending.is_set():
                await self._hungry.wait()

    async def _feed(self, line: LineId, offset: int) -> None:
        channel = line[1]
        topic = self._topics[channel]
        records = await self._lane.read_again(topic, offset, FEED_RECORDS)
        if self._ending.is_set():
            return
        if records[0].offset != offset:
            log.error("%s-%d: the message at %d is gone from the log", topic, self._part.partition, offset)
            self.parking.forget(line)
            self._trackers[topic].finish(offset)
        for record in records:
            if (of := self.parking.readmit(channel, record.offset)) is not None:
                self._to_line(Source(topic, self._part.partition, record.offset), record, of)

    def _to_line(self, source: Source, record: Record, line_id: LineId) -> None:
        """The message is in memory as `parking` has it."""
        found = read_item(record, source, line_id, self._part.default_region, now_ms(), self)
        if isinstance(found, Unsendable):
            self.parking.leave(line_id)
            self._committer.add(Settled(source, record.key, found.receipt))
            return
        self._items.setdefault(line_id, set()).add(found)
        if not self._part.pool.add(found):
            self.settle(found, not_configured(found))


def _headers(record: Record) -> Sequence[Header]:
    return record.headers
