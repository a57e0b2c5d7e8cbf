"""The guard as a transform of the engine: barrier, then decide. Every request is decided once, never on stale state."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from gateway.clock import now_ms
from gateway.contract.decisions import decision_id_prefix, offset_of
from gateway.contract.requests import InvalidRequestError
from gateway.contract.topics import Topics
from gateway.guard.deciding import NOTHING_UNAVAILABLE, BatchDecision, Lookup, Tally, Unavailable
from gateway.guard.reading import DefaultRegion, read_batch
from gateway.streams.clients import Clients
from gateway.streams.misnamed import MisnamedRecord, WithMisnamed
from gateway.streams.outputs import Outputs
from gateway.streams.settled import wait_settled
from gateway.streams.tail import last_record
from gateway.streams.worker import Batch


class FreshnessBarrier(Protocol):
    """What vouches for the view."""

    async def passed(self) -> None:
        """Return once the view has everything acknowledged before the call, else raise NotFreshError."""


class Guard:
    """Decides batches of `outbound.requests`. `observe` gets the tally of every batch that was committed."""

    def __init__(
        self,
        clients: Clients,
        topics: Topics,
        view: Lookup,
        barrier: FreshnessBarrier,
        default_region: DefaultRegion,
        observe: Callable[[Tally], None],
        unavailable: Callable[[], Unavailable] = lambda: NOTHING_UNAVAILABLE,
    ) -> None:
        self._clients = clients
        self._topics = topics
        self._view = view
        self._barrier = barrier
        self._default_region = default_region
        self._observe = observe
        self._unavailable = unavailable
        self._undelivered: dict[int, Tally] = {}

    async def __call__(self, batch: Batch, outputs: Outputs) -> None:
        """Steps 5 and 6 of the engine. NotFreshError while the view may be behind what was acknowledged."""
        readable = read_batch(
            batch.records, self._default_region, _misnamed(batch.records), unwritable=batch.unwritable
        )
        await self._barrier.passed()
        partition = batch.partition.partition
        decision = BatchDecision(self._topics, partition, readable, self._view, now_ms(), outputs, self._unavailable())
        self._undelivered[partition] = decision.decide()

    async def outputs_end(self, partition: int) -> int | None:
        topics = self._topics
        await wait_settled(self._clients, [*topics.outputs, topics.decisions, topics.dead], partition)
        return await behind_last_decision(self._clients, self._topics, partition)

    def delivered(self, batch: Batch) -> None:
        """The batch's decisions are committed: now they count."""
        tally = self._undelivered.pop(batch.partition.partition, None)
        if tally is not None:
            self._observe(tally)


def _misnamed(records: Sequence[object]) -> dict[int, InvalidRequestError]:
    """The requests whose headers cannot be forwarded as they are, by index."""
    if not isinstance(records, WithMisnamed):
        return {}
    error = InvalidRequestError("headers", "names in UTF-8")
    return {index: error for index, record in enumerate(records) if isinstance(record, MisnamedRecord)}


async def behind_last_decision(clients: Clients, topics: Topics, partition: int) -> int | None:
    """Where a partition's decisions end: the id of the last one holds the offset of its request.

    None when there is no decision; what else somebody wrote to the topic is looked behind. Call it when the partition's
    producers are fenced. KafkaError, TimeoutError.
    """
    prefix = decision_id_prefix(topics.requests, partition)
    last = await last_record(clients.reader(), topics.decisions, partition, lambda value: _decided(value, prefix) >= 0)
    return None if last is None else _decided(last.value, prefix) + 1


def _decided(value: bytes | None, prefix: str) -> int:
    """The offset of the request, -1 when it is no decision of ours."""
    try:
        return -1 if value is None else offset_of(value, prefix)
    except ValueError:
        return -1
