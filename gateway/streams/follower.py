"""Follows a log from beginning to end and applies it to a table, forever.

Theory of operation. A session reads all partitions without a group (`assign`, `read_uncommitted`: a record counts from
the moment Kafka acknowledged it). It starts one record before each position, at the last record that was applied, and
compares it with the fingerprint the table kept. Another record there, a position outside the log, or another topic id
means that the topic was re-created or lost its tail: the follower goes to `MISMATCH`, applies nothing, and checks again
from time to time; nothing is thrown away, since the table may be the last copy of what was lost.

Any Kafka error ends the session, and a new one begins with the same comparison: so it also runs after leader changes.
The table stores records and position together; a record handed to it twice changes nothing.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Protocol

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError

from gateway.contract.log import LogRecord
from gateway.streams.clients import Clients, close
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
        self._partitions = len(table.positions())
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
                await consumer.start()
                unverified = await self._seek(consumer)
            await self._follow(consumer, unverified)
        finally:
            self._compared = False
            await close(consumer)

    async def _seek(self, consumer: AIOKafkaConsumer) -> dict[TopicPartition, int]:
        """Assign all partitions, each from its last applied record on; returns those offsets, still to be compared."""
        if self._another is not None:
            raise MismatchError(self._another)
        partitions = [TopicPartition(self._topic, number) for number in range(self._partitions)]
        begins, ends = await consumer.beginning_offsets(partitions), await consumer.end_offsets(partitions)
        found = consumer.partitions_for_topic(self._topic) or set()  # known now, the calls before waited for it
        if len(found) != self._partitions:
            raise MismatchError(
                f"{self._topic} has {len(found)} partitions, the view was built from {self._partitions}"
            )
        consumer.assign(partitions)  # from here to the seeks without a pause: the fetcher would look for a position
        unverified: dict[TopicPartition, int] = {}
        for tp, position in zip(partitions, self._table.positions(), strict=True):
            last = self._table.fingerprint(tp.partition)
            start = position if last is None else last.offset
            if not begins[tp] <= start <= position <= ends[tp]:
                raise MismatchError(
                    f"{self._topic}-{tp.partition} holds offsets {begins[tp]} to {ends[tp]}, the view is at {position}"
                )
            if last is not None:
                unverified[tp] = last.offset
            consumer.seek(tp, start)
        return unverified

    async def _follow(self, consumer: AIOKafkaConsumer, unverified: dict[TopicPartition, int]) -> None:
        loop = asyncio.get_running_loop()
        heard = loop.time()
        while self._suspicion is None:
            fetched = await consumer.getmany(timeout_ms=POLL_MS, max_records=BATCH_RECORDS)
            for tp, records in fetched.items():
                if tp in unverified:
                    self._verify(tp, unverified.pop(tp), records[0])
                self._table.apply(tp.partition, records, await consumer.position(tp))
            if not unverified and not self._compared:
                self._matched()
            if fetched:
                heard = loop.time()
                self._wake()
                await asyncio.sleep(0)  # while loading, getmany never has to wait: let the others run
            elif loop.time() - heard > SILENCE_LIMIT_S:
                await self._check_fetcher(consumer)
                heard = loop.time()

    def _matched(self) -> None:
        self._compared = True
        if self.problem is not None:
            log.warning("%s matches the view and is followed again", self._topic)
            self.state, self.problem = FollowerState.LOADING, None

    def _verify(self, tp: TopicPartition, offset: int, record: Any) -> None:
        if record.offset != offset or not self._table.matches(tp.partition, record):
            raise MismatchError(f"{tp.topic}-{tp.partition} has another record at offset {offset} than was applied")

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
