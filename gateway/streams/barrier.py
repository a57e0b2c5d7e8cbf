"""The freshness barrier: proof that everything acknowledged before the call has been applied here.

Theory of operation. One round, shared by every caller that arrived before it began:

1. Ask each partition's leader for its high watermark (an event acknowledged to its writer lies below it), and at the
   same time ask the brokers of the other replicas who leads.
2. A leader's answer counts once k = RF - min.insync.replicas of the other replicas name the same leader and epoch.
   A leader that was frozen and thaws answers with an old high watermark and no error; but an event acknowledged under
   another leader is held by min ISR of the other replicas, and each of those knew of that leader before it took the
   event. So at most RF - 1 - min ISR of the RF - 1 others are unaware, and k agreeing answers include one that knows.
3. Wait until the follower has applied everything below those watermarks.

Anything else is `NotFreshError`, and the caller waits: an error, no leader, a dissenting broker, an answer after the
deadline (this process may have been frozen itself), a changed partition count, another replica set than the
configuration was read for, another topic id, or an end below what was applied. The last two mean a re-created or
truncated topic, and the follower is told.

It rests on KRaft, `acks=all`, unclean election off, and min ISR not lowered while running; `k` is read from the live
topic configuration every minute.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping
from typing import Protocol

from aiokafka.client import AIOKafkaClient
from aiokafka.errors import KafkaError

from gateway.streams.clients import Clients, close
from gateway.streams.closing import start
from gateway.streams.quorum import Known, NotFreshError, Round, RoundEnd
from gateway.streams.wire import (
    HighWatermarksRequest,
    TopicMetadata,
    TopicMetadataRequest,
    high_watermarks,
    topic_metadata,
)

log = logging.getLogger(__name__)

CONFIG_EVERY_S = 60.0
"""How often min.insync.replicas is read again: somebody may change it while we run."""

IDLE_ROUND_EVERY_S = 1.0
"""A round without a caller: keeps readiness and lag true, and notices a re-created topic while nothing is decided."""

HOLDING_ROUND_EVERY_S = 0.1
"""While it holds: so that a start, or the end of an outage, is noticed soon."""

CONFIG_DEADLINE_S = 5.0
"""For reading the topic's configuration; off the decision path."""


ObserveRound = Callable[[RoundEnd, float], None]
"""Gets the end of every round and the seconds it took."""


class AppliedLog(Protocol):
    """The follower, as far as the barrier needs it."""

    def applied(self) -> Mapping[int, int]:
        """Next offset to apply, by partition."""

    async def wait_applied(self, ends: Mapping[int, int]) -> None:
        """Return once every partition has been applied up to its end; raises NotFreshError when that cannot be."""

    def bind(self, topic_id: str) -> bool:
        """Remember the id of the topic at the first call; False when another one is known already."""

    def suspect(self, reason: str) -> None:
        """The log may have been re-created or truncated: compare it with what was applied."""


class Barrier:
    """`await passed()` returns once everything acknowledged before the call is applied, else raises NotFreshError."""

    def __init__(
        self,
        clients: Clients,
        topic: str,
        partitions: int,
        applied: AppliedLog,
        deadline_s: float,
        observe: ObserveRound | None = None,
    ) -> None:
        self._clients = clients
        self._topic = topic
        self._partitions = partitions
        self._applied = applied
        self._deadline_s = deadline_s
        self._observe = observe
        self._client: AIOKafkaClient | None = None
        self._min_isr: int | None = None
        self._config_problem = "the topic's settings have not been read yet"
        self._known: Known | None = None
        self._running: asyncio.Task[None] | None = None
        self._queued: asyncio.Task[None] | None = None
        self._unanswered: dict[tuple[str, int], asyncio.Task[None]] = {}
        self.holding: str | None = "no round has passed yet"
        """Why the last round did not pass; None when it did."""
        self.ends: Mapping[int, int] = {}
        """High watermarks of the last round whose answers counted, by partition."""

    async def passed(self) -> None:
        """Share a round that starts after this call."""
        if self._queued is None or self._queued.done():  # done: cancelled while it waited, when the barrier ended
            self._queued = asyncio.create_task(self._round_after(self._running), name="barrier round")
            self._queued.add_done_callback(_retrieved)
        shared = self._queued
        await asyncio.wait([shared])
        if shared.cancelled():
            raise NotFreshError("the barrier has ended")
        shared.result()

    async def run(self) -> None:
        """Keep the client and the configuration, and run idle rounds, until cancelled."""
        async with self._connected():
            loop = asyncio.get_running_loop()
            config_due = loop.time()
            while True:
                if loop.time() >= config_due and await self._read_config():
                    config_due = loop.time() + CONFIG_EVERY_S
                with contextlib.suppress(NotFreshError):
                    await self.passed()
                await asyncio.sleep(IDLE_ROUND_EVERY_S if self.holding is None else HOLDING_ROUND_EVERY_S)

    @contextlib.asynccontextmanager
    async def _connected(self) -> AsyncIterator[None]:
        pause = 0.1
        while self._client is None:
            client = self._clients.barrier_client()
            try:
                await start(client)
                self._client = client
            except (KafkaError, OSError) as error:
                self._say(f"no broker answers: {error!r}")
                await asyncio.sleep(pause)
                pause = min(pause * 2, 2.0)
            finally:
                if self._client is not client:
                    await close(client)
        try:
            yield
        finally:
            for task in (self._queued, self._running, *self._unanswered.values()):
                if task is not None:
                    task.cancel()
            client, self._client = self._client, None
            await close(client)

    async def _read_config(self) -> bool:
        try:
            async with asyncio.timeout(CONFIG_DEADLINE_S):
                min_isr = await self._clients.min_insync_replicas(self._topic)
        except (KafkaError, OSError, TimeoutError) as error:
            self._config_problem = f"min.insync.replicas of {self._topic} cannot be read: {error!r}"
            return False
        if min_isr != self._min_isr:
            self._min_isr, self._known = min_isr, None
        return True

    async def _round_after(self, before: asyncio.Task[None] | None) -> None:
        if before is not None:
            await asyncio.wait([before])
        self._running, self._queued = self._queued, None  # from here on a caller waits for another round
        loop = asyncio.get_running_loop()
        began = loop.time()
        until = began + self._deadline_s
        position = dict(self._applied.applied())
        end = RoundEnd.NO_ANSWER
        try:
            async with asyncio.timeout_at(until):
                ends = await self._confirmed_ends()
                self._compare(position, ends)
                self.ends, end = ends, RoundEnd.BEHIND
                await self._applied.wait_applied(ends)
            if loop.time() > until:
                raise NotFreshError("the answers came after the deadline")
        except TimeoutError as error:
            reason = f"no answer within {self._deadline_s:g} s"
            if end is RoundEnd.BEHIND:
                reason = f"the view is {self._behind()} events behind"
            else:
                self._distrust()
            self._ended(end, began, reason)
            raise NotFreshError(reason) from error
        except (KafkaError, OSError, ValueError) as error:
            self._distrust()
            self._ended(RoundEnd.ERROR, began, repr(error))
            raise NotFreshError(repr(error)) from error
        except NotFreshError as error:
            self._known = None
            self._ended(RoundEnd.NOT_CONFIRMED, began, str(error))
            raise
        self._ended(RoundEnd.PASSED, began, None)

    def _distrust(self) -> None:
        """Learn the leaders anew."""
        self._known = None
        if self._client is not None:
            self._client.force_metadata_update()

    def _behind(self) -> int:
        applied = self._applied.applied()
        return sum(max(0, end - applied.get(partition, 0)) for partition, end in self.ends.items())

    def _ended(self, end: RoundEnd, began: float, holding: str | None) -> None:
        self._say(holding)
        if self._observe is not None:
            self._observe(end, asyncio.get_running_loop().time() - began)

    def _say(self, holding: str | None) -> None:
        if (holding is None) != (self.holding is None):
            log.warning("barrier %s", "passes again" if holding is None else f"holds: {holding}")
        self.holding = holding

    def _compare(self, position: Mapping[int, int], ends: Mapping[int, int]) -> None:
        for partition, end in ends.items():
            if end < position.get(partition, 0):
                reason = f"{self._topic}-{partition} ends at {end}, but was applied up to {position[partition]}"
                self._applied.suspect(reason)
                raise NotFreshError(reason)

    async def _confirmed_ends(self) -> Mapping[int, int]:
        """Steps 1 and 2."""
        if self._client is None or self._min_isr is None:
            raise NotFreshError(self._config_problem)
        known = self._known or await self._learn(self._client, self._min_isr)
        by_leader: dict[int, dict[int, int]] = {}
        for partition, leadership in known.leaders.items():
            by_leader.setdefault(leadership.leader, {})[partition] = leadership.epoch
        witnesses: set[int] = set()
        if known.confirmations:
            witnesses = {node for leadership in known.leaders.values() for node in leadership.replicas}
        if silent := by_leader.keys() & {node for what, node in self._unanswered if what == "ends"}:
            raise NotFreshError(f"no answer yet from the leaders {sorted(silent)}")
        asked = Round(known)
        asks = [self._ask("ends", node, self._ask_ends(asked, node, epochs)) for node, epochs in by_leader.items()]
        witnesses = {node for node in witnesses or by_leader if ("leaders", node) not in self._unanswered}
        asks += [self._ask("leaders", node, self._ask_leaders(asked, node)) for node in witnesses]
        for answer in asyncio.as_completed(asks):
            with contextlib.suppress(KafkaError, OSError):  # no answer is no confirmation
                await answer
            if asked.complete():
                return asked.ends
        raise NotFreshError(asked.missing())

    def _ask(self, what: str, node: int, question: Coroutine[None, None, None]) -> asyncio.Task[None]:
        """A broker that does not answer is not asked again before its request timed out and closed the connection."""
        task = asyncio.create_task(question, name=f"barrier asks broker {node} for {what}")
        self._unanswered[what, node] = task
        task.add_done_callback(_retrieved)
        task.add_done_callback(lambda _: self._unanswered.pop((what, node)))
        return task

    async def _learn(self, client: AIOKafkaClient, min_isr: int) -> Known:
        metadata = await self._metadata(client, client.get_random_node())
        factors = {len(leadership.replicas) for leadership in metadata.partitions.values()}
        if len(factors) != 1:
            raise NotFreshError(f"partitions of {self._topic} differ in their replicas: reassignment under way")
        if any(leadership.leader < 0 for leadership in metadata.partitions.values()):
            raise NotFreshError(f"a partition of {self._topic} has no leader")
        self._known = Known(metadata.partitions, max(0, factors.pop() - min_isr))
        return self._known

    async def _metadata(self, client: AIOKafkaClient, node: int) -> TopicMetadata:
        metadata = topic_metadata(await client.send(node, TopicMetadataRequest(self._topic)))
        if metadata.error:
            raise NotFreshError(f"{self._topic}: broker {node} answers with Kafka error {metadata.error}")
        if len(metadata.partitions) != self._partitions:
            raise NotFreshError(f"{self._topic} has {len(metadata.partitions)} partitions, not {self._partitions}")
        if not self._applied.bind(metadata.topic_id):
            reason = f"{self._topic} was re-created: its topic id is {metadata.topic_id} now"
            self._applied.suspect(reason)
            raise NotFreshError(reason)
        return metadata

    async def _ask_ends(self, asked: Round, node: int, epochs: dict[int, int]) -> None:
        assert self._client is not None  # noqa: S101  # for the type checker: checked where the round begins
        answer = await self._client.send(node, HighWatermarksRequest(self._topic, epochs))
        ends, errors = high_watermarks(answer)
        if errors:
            partition, error = next(iter(errors.items()))
            raise NotFreshError(f"{self._topic}-{partition}: broker {node} answers with Kafka error {error}")
        asked.ends.update(ends)

    async def _ask_leaders(self, asked: Round, node: int) -> None:
        assert self._client is not None  # noqa: S101  # as above
        asked.heard(node, await self._metadata(self._client, node))


def _retrieved(task: asyncio.Task[None]) -> None:
    """A round nobody waits for any more may fail without a word: its outcome is in `holding`."""
    if not task.cancelled():
        task.exception()
