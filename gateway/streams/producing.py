"""One idempotent producer for many callers that must be told in time whether Kafka has their records.

Theory of operation. `run` keeps a producer; `write` hands records to it and waits for the acknowledgement of every one,
at most `deadline_s`. An error, or a deadline that passes, ends the producer's turn: a batch that expired leaves a gap
in its sequence numbers, and a sender task that died is silent, so it is never used again (K13, K15). The next one
is started at once, while the old one is closed beside it: that flushes what other callers still wait for. If a
producer had nothing acknowledged in its turn, a pause that grows comes before the next one, and in it callers are told
at once instead of waiting for their deadline.

A record given up may be written nevertheless, even later: callers write what may be written twice.

An acknowledgement also tells the brokers' time: `acknowledged` hears of it.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Mapping, Sequence

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError, MessageSizeTooLargeError, RecordListTooLargeError
from aiokafka.structs import RecordMetadata

from gateway.streams.clients import Clients, close
from gateway.streams.writing import TooLargeError, Unwritten

log = logging.getLogger(__name__)

START_DEADLINE_S = 5.0
"""For the first answer of a broker; beyond it the next try may find another one."""

START_GRACE_S = 3.0
"""What a start that nobody waits for any more gets to end by itself: cancelled, it may leave a connection behind."""

FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.1, 2.0
"""Between two producers that had nothing acknowledged, doubling."""

RECORDS_BEFORE_RENEWAL = 2**30
"""A producer's sequence numbers run out after 2^31 records on a partition (K12)."""


Acknowledged = Callable[[int, float], None]
"""Told when the log took a record, by its own date (ms), and how many ms ago the record was handed over."""


class NotAcknowledgedError(Exception):
    """Kafka has not said that it has the records. It may have them, or get them yet."""


class _Turn:
    """The time in which one producer is used."""

    def __init__(self, producer: AIOKafkaProducer) -> None:
        self.producer = producer
        self.over = asyncio.Event()
        self.reason = ""
        self.acknowledged = 0

    def end(self, reason: str) -> None:
        if not self.over.is_set():
            self.reason = reason
            self.over.set()


class SharedProducer:
    """`write` from any number of tasks while `run` runs."""

    def __init__(
        self, clients: Clients, topic: str, deadline_s: float, acknowledged: Acknowledged = lambda *_: None
    ) -> None:
        self._clients = clients
        self._topic = topic
        self._deadline_s = deadline_s
        self._acknowledged = acknowledged
        self._turn: _Turn | None = None
        self._has_turn = asyncio.Event()
        self._closing: set[asyncio.Task[None]] = set()
        self.problem: str | None = None
        """Why records are not taken at present; None when they are, as far as is known."""

    async def run(self) -> None:
        """Keep a producer, until cancelled."""
        pause = FIRST_PAUSE_S
        try:
            while True:
                acknowledged = await self._take_turn()
                if acknowledged:
                    pause = FIRST_PAUSE_S
                    continue
                await asyncio.sleep(pause)
                pause = min(pause * 2, LONGEST_PAUSE_S)
        finally:
            await asyncio.gather(*self._closing)

    async def write(self, records: Sequence[Unwritten]) -> Mapping[int, int]:
        """Write all, in order; returns, when Kafka has acknowledged every one, the next offset of each partition.

        NotAcknowledgedError within the deadline; TooLargeError: the topic does not take a record of this size. Then
        some may be written.
        """
        if not records:
            return {}
        turn: _Turn | None = None
        futures: list[asyncio.Future[RecordMetadata]] = []
        written: list[RecordMetadata] = []
        try:
            async with asyncio.timeout(self._deadline_s):
                turn = await self._current()
                handed_over = time.monotonic()
                for record in records:
                    futures.append(await turn.producer.send(self._topic, record.value, record.key))  # noqa: PERF401
                for future in futures:
                    written.append(await future)  # noqa: PERF401 - how far both came counts
        except TimeoutError:
            raise self._given_up(turn, f"{self._topic} has not acknowledged within {self._deadline_s:g} s") from None
        except (MessageSizeTooLargeError, RecordListTooLargeError):
            if turn is not None:
                turn.end("a record was too large")  # its sequence number is a gap now
            index = len(written) if len(futures) == len(records) else len(futures)
            raise TooLargeError(index, len(records[index].value)) from None
        except (KafkaError, OSError) as error:
            raise self._given_up(turn, f"{self._topic} has not acknowledged: {error!r}") from error
        finally:
            for future in futures[len(written) :]:
                future.add_done_callback(_outcome_seen)  # nobody asks any more
        if (taken_at := written[-1].timestamp) is not None:  # a broker older than 0.10 does not say
            self._acknowledged(taken_at, (time.monotonic() - handed_over) * 1000)
        turn.acknowledged += len(records)
        if turn.acknowledged >= RECORDS_BEFORE_RENEWAL:
            turn.end("its sequence numbers would run out")
        return _ends(written)

    async def _current(self) -> _Turn:
        while self._turn is None:
            if self.problem is not None:
                raise NotAcknowledgedError(self.problem)
            await self._has_turn.wait()
        return self._turn

    def _given_up(self, turn: _Turn | None, reason: str) -> NotAcknowledgedError:
        if turn is not None:
            turn.end(reason)
        return NotAcknowledgedError(reason)

    async def _take_turn(self) -> int:
        """Start a producer and offer it until it fails; the number of records it had acknowledged."""
        producer = self._clients.signal_producer()
        turn = _Turn(producer)
        starting = asyncio.create_task(self._start(producer), name=f"start producer of {self._topic}")
        try:
            await asyncio.wait([starting], timeout=START_DEADLINE_S)
            if not starting.done():
                raise TimeoutError(f"not started within {START_DEADLINE_S:g} s")
            starting.result()
            if self.problem is not None:
                log.info("records of %s can be tried again", self._topic)
            self._turn, self.problem = turn, None
            self._has_turn.set()
            await turn.over.wait()
        except (KafkaError, OSError, TimeoutError) as error:
            turn.end(f"no broker answers: {error!r}")
        finally:
            self._turn = None
            self._has_turn.clear()
            closing = asyncio.create_task(_retire(producer, starting), name=f"close producer of {self._topic}")
            self._closing.add(closing)
            closing.add_done_callback(self._closing.discard)
        if turn.acknowledged == 0:
            if self.problem != turn.reason:
                log.warning("records of %s cannot be written: %s", self._topic, turn.reason)
            self.problem = turn.reason
        return turn.acknowledged

    async def _start(self, producer: AIOKafkaProducer) -> None:
        await producer.start()
        await producer.partitions_for(self._topic)  # so that no caller waits for it


def _ends(written: Sequence[RecordMetadata]) -> Mapping[int, int]:
    ends: dict[int, int] = {}
    for each in written:
        ends[each.partition] = max(ends.get(each.partition, 0), each.offset + 1)
    return ends


async def _retire(producer: AIOKafkaProducer, starting: asyncio.Task[None]) -> None:
    await asyncio.wait([starting], timeout=START_GRACE_S)
    starting.cancel()
    await asyncio.gather(starting, return_exceptions=True)
    await close(producer)


def _outcome_seen(future: asyncio.Future[RecordMetadata]) -> None:
    if not future.cancelled():
        future.exception()
