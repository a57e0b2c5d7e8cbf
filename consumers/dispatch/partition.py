"""One partition number, for as long as it is ours: sessions on one lane after another.

Serving a lane: 1 resume it, and learn from the receipts what is finished -> 2 a session, until it fails or the
partition is given up -> 3 its calls under way land; what it could not commit is kept for the next session.
"""

from __future__ import annotations

from collections.abc import Mapping

from consumers.dispatch.committing import Left
from consumers.dispatch.offsets import Offsets
from consumers.dispatch.session import Part, Session
from consumers.dispatch.tracker import Tracker
from gateway.contract.receipts import SOURCE, read_source
from gateway.streams.settling import Frontier, Opened, Record, SettlingLane
from gateway.streams.settling_worker import SettlingWorker


class Partition:
    """`serve` is the worker's."""

    def __init__(self, part: Part) -> None:
        self._part = part
        self._left: Left = {}
        self.session: Session | None = None
        """The one under way."""

    async def serve(self, lane: SettlingLane, worker: SettlingWorker) -> None:
        finished = Finished(self._part)
        opened = await lane.resume(finished.take)  # 1
        session = Session(
            self._part, lane, finished.trackers(opened), opened.receipts_end, self._still_left(finished, opened)
        )
        self.session = session
        worker.serving()
        try:
            await session.run(worker.stopping)  # 2
        except Exception as error:
            worker.ending(f"{type(error).__name__}: {error}")
            self._left = await session.landing(worker.stopping)  # 3
            raise
        finally:
            session.give_up()
            self.session = None

    def _still_left(self, finished: Finished, opened: Opened) -> Left:
        """A commit whose answer was lost may have been one."""
        return {
            source: settled
            for source, settled in self._left.items()
            if source.offset >= opened.frontiers[source.topic].offset and not finished.has(source.topic, source.offset)
        }


class Finished:
    """Which messages at or above the frontiers have a receipt, as they are read from the receipts."""

    def __init__(self, part: Part) -> None:
        self._part = part
        self._offsets: dict[str, set[int]] = {topic: set() for topic in part.channels}

    def take(self, record: Record, frontiers: Mapping[str, Frontier]) -> None:
        """One receipt; what somebody else wrote there says nothing."""
        for name, value in record.headers:
            source = read_source(value) if name == SOURCE else None
            if source is None or source.partition != self._part.partition or source.topic not in self._offsets:
                continue
            if source.offset >= frontiers[source.topic].offset:
                self._offsets[source.topic].add(source.offset)

    def has(self, topic: str, offset: int) -> bool:
        return offset in self._offsets[topic]

    def trackers(self, opened: Opened) -> dict[str, Tracker]:
        found: dict[str, Tracker] = {}
        for topic, frontier in opened.frontiers.items():
            finished = Offsets(frontier.offset)
            for offset in self._offsets[topic]:
                finished.add(offset)
            found[topic] = Tracker(frontier.offset, frontier.receipts_from, finished)
        return found
