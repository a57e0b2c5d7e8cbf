"""One partition's read-decide-write loop: each record is decided once, outputs and offset become visible together.

The worker is the only one that fences, seeks, reads and writes for its partition. The numbered steps are in `lane`;
here are 4 (read), 5 and 6 (the transform: barrier, then decide), and what happens when something fails:

* the transform is not fresh: the same records are offered again, with a growing pause, until it is;
* an output is larger than the broker takes: half as many records are read at once, and half again, until one fails
  alone; it is offered with `unwritable` set, so that a stand-in is written instead. No record is tried for ever. With
  every batch that is delivered twice as many are read again, so one such record costs its neighbours little;
* anything else: the lane is thrown away and a new one opened, with a growing pause.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from aiokafka import ConsumerRecord, TopicPartition
from aiokafka.errors import KafkaError, MessageSizeTooLargeError, ProducerFenced, RecordListTooLargeError

from gateway.streams.clients import HEARTBEATS_PER_SESSION, Clients
from gateway.streams.lane import Lane, LaneError, RequestsLostError
from gateway.streams.outputs import Outputs
from gateway.streams.quorum import NotFreshError
from gateway.streams.resuming import CommittedOffset

log = logging.getLogger(__name__)

FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.1, 5.0
"""Between two lanes, doubling."""

SERVED_WELL_S = 30.0
"""A lane that lasted so long failed for a new reason: the pauses begin small again."""

FIRST_RETRY_S, LONGEST_RETRY_S = 0.01, 0.5
"""Between two tries while the state is not fresh, doubling."""

FENCED_PAUSE_HEARTBEATS = 3
"""After a fence the partition is most likely no longer ours: give the membership so many heartbeats to say so."""

TOO_LARGE = (MessageSizeTooLargeError, RecordListTooLargeError)


@dataclass(frozen=True, slots=True)
class Batch:
    """Input records of one partition. `unwritable`: the outputs of its one record were refused as too large."""

    partition: TopicPartition
    records: Sequence[ConsumerRecord[bytes, bytes]]
    unwritable: bool = False


class Transform(Protocol):
    """Steps 5 and 6: appends to `outputs` what becomes of the records. Raises NotFreshError to be asked again."""

    async def __call__(self, batch: Batch, outputs: Outputs) -> None: ...

    async def outputs_end(self, partition: int) -> int | None:
        """Where the outputs of a partition number end; None = there are none, or repeating them does no harm."""

    def delivered(self, batch: Batch) -> None:
        """The batch's outputs and offset are committed."""


NewLane = Callable[[Clients, str, TopicPartition], Lane]
"""Makes a lane; another one than `Lane` only where a test or the benchmark shows what its steps are for."""


class _NarrowedError(Exception):
    """The lane is used up, but the next one will get further: fewer records at once, or a stand-in."""


class WorkerState(StrEnum):
    OPENING = "opening"
    SERVING = "serving"
    HELD_UP = "held up"
    LOST_REQUESTS = "requests lost"


@dataclass(frozen=True, slots=True)
class WorkerSettings:
    group_id: str
    batch_records: int
    session_timeout_ms: int

    @property
    def heartbeat_s(self) -> float:
        """How often the member is heard of, as it is built."""
        return self.session_timeout_ms / HEARTBEATS_PER_SESSION / 1000


class PartitionWorker:
    """Serves one partition from construction until `stop()`; `task` ends by itself only after that."""

    def __init__(
        self,
        clients: Clients,
        settings: WorkerSettings,
        partition: TopicPartition,
        committed: CommittedOffset,
        transform: Transform,
        new_lane: NewLane = Lane,
    ) -> None:
        self._new_lane = new_lane
        self._clients = clients
        self._settings = settings
        self._committed = committed
        self._transform = transform
        self._stopping = asyncio.Event()
        self._at_once = settings.batch_records
        self._unwritable_at: int | None = None
        self.partition = partition
        self.state = WorkerState.OPENING
        self.problem: str | None = None
        """Why nothing is decided at present, for the operator."""
        self.oldest_undecided: int | None = None
        """Timestamp (ms) of the first record that was read and not delivered; after a failure it is read again."""
        self._clock = asyncio.get_running_loop().time
        self.task = asyncio.create_task(self._run(), name=f"worker {partition.topic}-{partition.partition}")

    def stop(self) -> None:
        """Finish the batch at hand, then end."""
        self._stopping.set()

    async def _run(self) -> None:
        pause = FIRST_PAUSE_S
        while not self._stopping.is_set():
            lane = self._new_lane(self._clients, self._settings.group_id, self.partition)
            opened_at = self._clock()
            failure: Exception | None = None
            try:
                self.state = WorkerState.OPENING
                await lane.open(self._committed, self._transform.outputs_end)
                await self._serve(lane)
            except (KafkaError, OSError, TimeoutError, LaneError, RequestsLostError, _NarrowedError) as error:
                failure = error
            finally:
                await lane.close()
            if failure is not None:
                if not isinstance(failure, _NarrowedError):
                    well = self._clock() - opened_at > SERVED_WELL_S
                    pause = FIRST_PAUSE_S if well else min(pause * 2, LONGEST_PAUSE_S)
                await self._after(failure, pause)

    async def _after(self, error: Exception, pause: float) -> None:
        self.problem = f"{type(error).__name__}: {error}"
        log.warning("%s: a new lane is opened after %s", self.task.get_name(), self.problem)
        match error:
            case RequestsLostError():
                self.state, pause = WorkerState.LOST_REQUESTS, LONGEST_PAUSE_S
            case ProducerFenced():
                pause = FENCED_PAUSE_HEARTBEATS * self._settings.heartbeat_s
            case _NarrowedError():
                return  # nothing is wrong with the brokers
            case _:
                pass
        await self._pause(pause)

    async def _pause(self, seconds: float) -> None:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._stopping.wait(), seconds)

    async def _serve(self, lane: Lane) -> None:
        self.state, self.problem = WorkerState.SERVING, None
        position = await lane.position()
        while not self._stopping.is_set():
            records = await lane.read(self._at_once)
            if not records:
                continue
            self.oldest_undecided = records[0].timestamp
            batch = Batch(self.partition, records, unwritable=records[0].offset == self._unwritable_at)
            outputs = await self._decided(batch, lane)
            if outputs is None:
                return
            position = await lane.position()
            try:
                await lane.deliver(outputs, position)
            except TOO_LARGE as error:
                self._narrow(batch, error)
                raise
            self._at_once = min(self._at_once * 2, self._settings.batch_records)
            self.oldest_undecided = None
            self._transform.delivered(batch)

    async def _decided(self, batch: Batch, lane: Lane) -> Outputs | None:
        """The batch's outputs; None when we are told to stop while the state is not fresh."""
        retry = FIRST_RETRY_S
        while True:
            outputs = lane.outputs()
            try:
                await self._transform(batch, outputs)
            except NotFreshError as error:
                self.state, self.problem = WorkerState.HELD_UP, str(error)
            else:
                self.state, self.problem = WorkerState.SERVING, None
                return outputs
            await self._pause(retry)
            if self._stopping.is_set():
                return None
            retry = min(retry * 2, LONGEST_RETRY_S)

    def _narrow(self, batch: Batch, error: KafkaError) -> None:
        """Find the record whose outputs are too large, then give it up for a stand-in; _NarrowedError to go on so."""
        first = batch.records[0].offset
        if batch.unwritable:
            log.error("%s: even the stand-in for offset %d is refused", self.task.get_name(), first)
            return
        if len(batch.records) == 1:
            self._unwritable_at = first
        self._at_once = max(1, len(batch.records) // 2)
        raise _NarrowedError(f"the outputs of {len(batch.records)} records from offset {first} on: {error}") from error
