"""The shared fresh state of a process: the view, the follower that fills it and the barrier that vouches for it.

One per process, whatever number of roles decide by it. `open` it, then keep `run` going; roles use `view` and
`barrier` in between, and `problems` says why they cannot.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from gateway.contract.log import LogRecord
from gateway.contract.topics import Topics
from gateway.holding import Holding
from gateway.metrics import (
    BARRIER_FAILURES,
    BARRIER_SECONDS,
    EVENTS,
    EVENTS_REPEATED,
    EVENTS_UNKNOWN,
    EVENTS_UNREADABLE,
    HOLDING,
    HOLDING_TOTAL,
    HONOUR_SECONDS,
    LIFTS_REFUSED,
    VIEW_LAG,
    VIEW_SUBJECTS,
    Metrics,
    Samples,
)
from gateway.settings import Settings
from gateway.stopping import set_before_stop
from gateway.streams.barrier import Barrier
from gateway.streams.clients import Clients
from gateway.streams.follower import Follower, FollowerState
from gateway.streams.identity import cluster_id
from gateway.streams.quorum import NotFreshError, RoundEnd
from gateway.view.errors import ViewError
from gateway.view.meta import Fingerprint
from gateway.view.table import View

FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.1, 5.0
"""Between two tries to pass a barrier, doubling."""

APPLIED_DEADLINE_S = 1.0
"""The follower needs milliseconds; a caller that waits longer is asked again, and can be stopped in between."""

VIEW_DIRECTORY = "view"
"""Under the data directory."""


def view_directory(settings: Settings) -> Path:
    """Where this process keeps its view."""
    return settings.data_dir / VIEW_DIRECTORY


class FreshState:
    """`view` and `barrier` may be used from `open` to `close`."""

    def __init__(self, settings: Settings, clients: Clients, topics: Topics, metrics: Metrics) -> None:
        self._settings = settings
        self._clients = clients
        self._topic = topics.dnd_events
        self._metrics = metrics
        self._opened: _Opened | None = None

    async def open(self) -> None:
        """Open the view of this cluster's log. ViewError and its kinds; KafkaUnreachableError."""
        cluster = await cluster_id(self._clients)
        partitions = self._settings.topics.event_partitions
        # It reads the whole table, so not on the event loop; afterwards only this thread uses it.
        opening = asyncio.create_task(
            asyncio.to_thread(
                View.open,
                view_directory(self._settings),
                topic=self._topic,
                partitions=partitions,
                cluster_id=cluster,
            ),
            name="open view",
        )
        try:
            view = await asyncio.shield(opening)
        except asyncio.CancelledError:
            (await opening).close()
            raise
        except OSError as error:
            raise ViewError(f"the view in {view_directory(self._settings)} cannot be opened: {error}") from error
        self._opened = _Opened(self._settings, self._clients, self._topic, view, self._metrics)

    async def run(self) -> None:
        """Follow the log and keep the barrier going, until cancelled. ViewError: the table failed, end the process."""
        opened = self._required()
        async with asyncio.TaskGroup() as group:
            group.create_task(opened.follower.run(), name="follower")
            group.create_task(opened.barrier.run(), name="barrier")

    def close(self) -> None:
        """Let go of the directory. Nothing happens when it was not opened."""
        if self._opened is not None:
            self._opened.view.close()
            self._opened = None

    @property
    def view(self) -> View:
        return self._required().view

    @property
    def barrier(self) -> Barrier:
        return self._required().barrier

    async def loaded(self, stop: asyncio.Event) -> bool:
        """Wait until a barrier has passed for the first time; False when `stop` is set before.

        A role joins its group after that: while a large view is built, others can serve the partitions.
        """
        return await set_before_stop(self._required().loaded, stop)

    async def vouched(self) -> None:
        """Return once everything acknowledged before the call is in the view, however long that takes."""
        pause = FIRST_PAUSE_S
        while True:
            try:
                await self.barrier.passed()
            except NotFreshError:
                await asyncio.sleep(pause)  # `problems` says why
                pause = min(pause * 2, LONGEST_PAUSE_S)
            else:
                return

    async def wait_applied(self, partition: int, end: int) -> None:
        """Return once the view has applied everything below `end`; NotFreshError when that takes too long."""
        try:
            async with asyncio.timeout(APPLIED_DEADLINE_S):
                await self._required().follower.wait_applied({partition: end})
        except TimeoutError:
            raise NotFreshError(f"the view has not reached offset {end} of partition {partition} yet") from None

    def problems(self) -> list[str]:
        """Why nothing can be decided at present; empty = it can."""
        return ["loading: the view is not open yet"] if self._opened is None else self._opened.problems()

    def _required(self) -> _Opened:
        if self._opened is None:
            raise RuntimeError("the fresh state is not open")
        return self._opened


class _Opened:
    """The parts and what is measured of them."""

    def __init__(self, settings: Settings, clients: Clients, topic: str, view: View, metrics: Metrics) -> None:
        self.view = view
        self.follower = Follower(clients, topic, _Counted(view, metrics, self._is_following))
        self.barrier = Barrier(
            clients,
            topic,
            settings.topics.event_partitions,
            self.follower,
            settings.guard.barrier_deadline_ms / 1000,
            self._round_ended,
        )
        self.loaded = asyncio.Event()
        self._metrics = metrics
        self._holding = Holding(time.monotonic())
        metrics.watch(HOLDING, lambda: {(): self._holding.seconds(time.monotonic())})
        metrics.watch(VIEW_LAG, self._lag)
        metrics.watch(VIEW_SUBJECTS, lambda: {(): view.count()})

    def problems(self) -> list[str]:
        follower, holding = self.follower, self.barrier.holding
        match follower.state:
            case FollowerState.MISMATCH:
                return [
                    f"holding: the log is not the one the view was built from: {follower.problem}; stop the service, "
                    f"then `sendguard view republish` writes back what the view knows, or `... discard` drops it"
                ]
            case FollowerState.LOADING:
                return [f"loading: {follower.problem or holding or 'the first round is under way'}"]
            case FollowerState.FOLLOWING:
                return [] if holding is None else [f"holding: state is stale: {holding}"]

    def _is_following(self) -> bool:
        return self.follower.state is FollowerState.FOLLOWING

    def _round_ended(self, end: RoundEnd, seconds: float) -> None:
        passed = end is RoundEnd.PASSED
        self._metrics.count(HOLDING_TOTAL, self._holding.round_ended(time.monotonic(), passed=passed))
        if passed:
            self.loaded.set()
            self._metrics.observe(BARRIER_SECONDS, seconds)
            return
        mismatch = self.follower.state is FollowerState.MISMATCH
        self._metrics.count(BARRIER_FAILURES, labels=("mismatch" if mismatch else end.value,))

    def _lag(self) -> Samples:
        applied = self.follower.applied()
        return {
            (str(partition),): max(0, end - applied.get(partition, 0)) for partition, end in self.barrier.ends.items()
        }


class _Counted:
    """The view as the follower fills it: counts what every batch did."""

    def __init__(self, view: View, metrics: Metrics, is_following: Callable[[], bool]) -> None:
        self._view = view
        self._metrics = metrics
        self._is_following = is_following
        self.positions = view.positions
        self.matches = view.matches
        self.bind = view.bind

    def fingerprint(self, partition: int) -> Fingerprint | None:
        return self._view.fingerprint(partition)

    def apply(self, partition: int, records: Sequence[LogRecord], position: int) -> None:
        applied = self._view.apply(partition, records, position)
        metrics = self._metrics
        if applied.events:
            metrics.count(EVENTS, applied.events)
        if applied.repeated:
            metrics.count(EVENTS_REPEATED, applied.repeated)
        if applied.unreadable:
            metrics.count(EVENTS_UNREADABLE, applied.unreadable)
        if applied.unknown_words:
            metrics.count(EVENTS_UNKNOWN, applied.unknown_words)
        if applied.refused_lifts:
            metrics.count(LIFTS_REFUSED, applied.refused_lifts)
        if applied.newest_timestamp is not None and self._is_following():
            # Two clocks: a broker's that is ahead of ours would make it negative.
            metrics.observe(HONOUR_SECONDS, max(0.0, time.time() - applied.newest_timestamp / 1000))
