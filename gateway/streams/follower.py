"""Follows a log from beginning to end and applies it to a table, forever.

Theory of operation. A session reads all partitions without a group (`assign`, `read_uncommitted`: a record counts from
the moment Kafka acknowledged it). First it reads the last record that was applied of each partition again, and compares
it with the fingerprint the table kept; then it goes on from the positions. Another record there, a position outside the
log, or another topic id means that the topic was re-created or lost its tail: the follower goes to `MISMATCH`, applies
nothing, and checks again from time to time; nothing is thrown away, since the table may be the last copy of what was
lost.

Any Kafka error ends the session, and a new one begins with the same comparison: so it also runs after leader changes.
The table stores records and position together; a record handed to it twice changes nothing.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError

from gateway.contract.log import LogRecord
from gateway.streams.clients import Clients, close
from gateway.streams.closing import start
from gateway.streams.misnamed import read
from gateway.streams.quorum import NotFreshError

log = logging.getLogger(__name__)

POLL_MS = 250
"""Longest wait of one poll; a poll ends at once when records are there."""

BATCH_RECORDS = 1_000
"""Most records applied in one go: the event loop is blocked for as long as that takes, 20 to 30 ms."""

SETUP_DEADLINE_S = 15.0
"""For opening a session against a slow cluster."""

SILENCE_LIMIT_S = 10.0
"""A session that is behind and reads nothing for so long has lost its fetcher, which dies without a word."""

FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.1, 2.0
"""Between sessions, doubling."""

MISMATCH_PAUSE_S = 5.0
"""Between two comparisons while the log does not match the table."""


class HasOffset(Protocol):
    @property
    def offset(self) -> int: ...


class Table(Protocol):
    """What the log is applied to. Synchronous; `apply` stores records and position in one step."""

    def positions(self) -> Sequence[int]: ...

    def fingerprint(self, partition: int) -> HasOffset | None:
        """The last record applied, None when there is none."""

    def matches(self, partition: int, record: LogRecord) -> bool:
        """Whether this is the last record that was applied."""

    def apply(self, partition: int, records: Sequence[LogRecord], position: int) -> object: ...

    def bind(self, topic_id: str) -> bool:
        """Keep the topic's id at the first call; False when another one is kept."""


class FollowerState(StrEnum):
    """LOADING until a barrier has passed once; MISMATCH needs an operator."""

    LOADING = "loading"
    FOLLOWING = "following"
    MISMATCH = "mismatch"


class MismatchError(Exception):
    """The log is not the one the table was built from."""


@dataclass(slots=True)
class _Waiter:
    ends: Mapping[int, int]
    done: asyncio.Future[None]


class Follower:
    """Keeps `table` at the end of `topic`. `run()` until cancelled; `wait_applied` for the barrier."""

    def __init__(self, clients: Clients, topic: str, table: Table) -> None:
        self._clients = clients
        self._topic = topic
        self._table = table
        self._waiters: list[_Waiter] = []
        self._suspicion: str | None = None
        self._another: str | None = None
        self._compared = False  # whether this session has found every last applied record where it was
        self.state = FollowerState.LOADING
        self.problem: str | None = None
        """Why nothing is applied at present, for the operator."""

    def applied(self) -> dict[int, int]:
        """Next offset to apply, by partition."""
        return dict(enumerate(self._table.positions()))

    def bind(self, topic_id: str) -> bool:
        """See AppliedLog. Of a topic with another id nothing is applied, whatever its records look like."""
        bound = self._table.bind(topic_id)
        self._another = None if bound else f"{self._topic} was re-created: its topic id is {topic_id} now"
        return bound

    def suspect(self, reason: str) -> None:
        """End the session; the next one compares the log with the table before it applies anything."""
        if self._compared:
            self._suspicion, self._compared = reason, False

    async def wait_applied(self, ends: Mapping[int, int]) -> None:
        """Return once everything below `ends` is applied; NotFreshError while the log does not match."""
        if self.state is FollowerState.MISMATCH:
            raise NotFreshError(f"the log does not match the view: {self.problem}")
        if not self._reached(ends):
            waiter = _Waiter(ends, asyncio.get_running_loop().create_future())
            self._waiters.append(waiter)
            try:
                await waiter.done
            finally:
                self._waiters.remove(waiter)
        if not self._compared:
            raise NotFreshError(self._suspicion or "the log has not been compared with the view yet")
        self.state = FollowerState.FOLLOWING

    def _reached(self, ends: Mapping[int, int]) -> bool:
        positions = self._table.positions()
        return all(positions[partition] >= end for partition, end in ends.items())

    async def run(self) -> None:
        """Follow until cancelled."""
        pause = FIRST_PAUSE_S
        while True:
            try:
                await self._session()
                pause = FIRST_PAUSE_S
            except MismatchError as error:
                self._mismatch(str(error))
                pause = MISMATCH_PAUSE_S
            except (KafkaError, OSError, TimeoutError) as error:
                if self.problem is None:
                    log.warning("following %s is interrupted: %r", self._topic, error)
                self.problem = repr(error)
            await asyncio.sleep(pause)
            pause = min(pause * 2, LONGEST_PAUSE_S)

    def _mismatch(self, reason: str) -> None:
        if self.state is not FollowerState.MISMATCH:
            log.error("%s is not the log this view was built from; nothing is decided: %s", self._topic, reason)
        self.state, self.problem = FollowerState.MISMATCH, reason
        for waiter in self._waiters:
            if not waiter.done.done():
                waiter.done.set_exception(NotFreshError(reason))

    async def _session(self) -> None:
        consumer = self._clients.state_follower()
        self._suspicion, self._compared = None, False
        try:
            async with asyncio.timeout(SETUP_DEADLINE_S):
                await start(consumer)
                await self._compare(consumer, await self._last_applied(consumer))
            self._matched()
            _assign(consumer, self._positions())
            await self._follow(consumer)
        finally:
            self._compared = False
            await close(consumer)

    async def _last_applied(self, consumer: AIOKafkaConsumer) -> dict[TopicPartition, int]:
        """Where the last applied records are, as far as there are any. MismatchError: they cannot be in this log."""
        if self._another is not None:
            raise MismatchError(self._another)
        positions = self._positions()
        begins, ends = await consumer.beginning_offsets(positions), await consumer.end_offsets(positions)
        found = consumer.partitions_for_topic(self._topic) or set()  # known now, the calls before waited for it
        if len(found) != len(positions):
            raise MismatchError(f"{self._topic} has {len(found)} partitions, the view was built from {len(positions)}")
        offsets: dict[TopicPartition, int] = {}
        for tp, position in positions.items():
            last = self._table.fingerprint(tp.partition)
            start = position if last is None else last.offset
            if not begins[tp] <= start <= position <= ends[tp]:
                raise MismatchError(
                    f"{self._topic}-{tp.partition} holds offsets {begins[tp]} to {ends[tp]}, the view is at {position}"
                )
            if last is not None:
                offsets[tp] = last.offset
        return offsets

    async def _compare(self, consumer: AIOKafkaConsumer, offsets: dict[TopicPartition, int]) -> None:
        """Read the last applied record of every partition again. Of a log that differs in one, nothing is applied."""
        _assign(consumer, offsets)
        while offsets:
            for tp, (first, *_) in (await read(consumer, offsets, POLL_MS, BATCH_RECORDS)).items():
                offset = offsets.pop(tp, None)
                if offset is not None and not (first.offset == offset and self._table.matches(tp.partition, first)):
                    raise MismatchError(
                        f"{tp.topic}-{tp.partition} has another record at offset {offset} than was applied"
                    )

    async def _follow(self, consumer: AIOKafkaConsumer) -> None:
        loop = asyncio.get_running_loop()
        heard = stepped = loop.time()
        while self._suspicion is None:
            fetched = await read(consumer, self._positions(), POLL_MS, BATCH_RECORDS)
            for tp, records in fetched.items():
                self._table.apply(tp.partition, records, await consumer.position(tp))
            now = loop.time()
            if not fetched or now - stepped > POLL_MS / 1000:
                await self._step_over_markers(consumer)
                stepped = now
            self._wake()
            if fetched:
                heard = now
                await asyncio.sleep(0)  # while loading, getmany never has to wait: let the others run
            elif now - heard > SILENCE_LIMIT_S:
                await self._check_fetcher(consumer)
                heard = now

    async def _step_over_markers(self, consumer: AIOKafkaConsumer) -> None:
        """Events are written without transactions, but whoever does it otherwise leaves markers, which no read
        returns; a position that stayed before one would never reach the end."""
        for tp, position in self._positions().items():
            passed = await consumer.position(tp)
            if passed > position:
                self._table.apply(tp.partition, [], passed)

    def _positions(self) -> dict[TopicPartition, int]:
        return {TopicPartition(self._topic, number): next_ for number, next_ in enumerate(self._table.positions())}

    def _matched(self) -> None:
        self._compared = True
        if self.problem is not None:
            log.warning("%s matches the view and is followed again", self._topic)
            self.state, self.problem = FollowerState.LOADING, None

    async def _check_fetcher(self, consumer: AIOKafkaConsumer) -> None:
        """A dead fetch task is silent: nothing read although the log goes on."""
        partitions = list(consumer.assignment())
        async with asyncio.timeout(SETUP_DEADLINE_S):
            ends = await consumer.end_offsets(partitions)
            for tp in partitions:
                if await consumer.position(tp) < ends[tp]:
                    raise TimeoutError(f"nothing read from {tp.topic}-{tp.partition} for {SILENCE_LIMIT_S:g} s")

    def _wake(self) -> None:
        for waiter in self._waiters:
            if not waiter.done.done() and self._reached(waiter.ends):
                waiter.done.set_result(None)


def _assign(consumer: AIOKafkaConsumer, offsets: Mapping[TopicPartition, int]) -> None:
    """Without a pause up to the last seek: the fetcher would look for positions itself."""
    consumer.assign(list(offsets))
    for tp, offset in offsets.items():
        consumer.seek(tp, offset)
