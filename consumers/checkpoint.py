"""The role `checkpoint`: the current record of every subject that an event touched, to `dnd.state`, for other readers.

It runs on the engine: one transaction per batch and partition carries the records and the offset, so each event's
record is written once. The record is taken from the shared view once that has applied the event. It may then be newer
than the event, which is all the same to a reader of a compacted topic: records only grow, and the newest counts.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from contextlib import suppress

from gateway.clock import now_ms
from gateway.contract.events import Unreadable, decode_event, event_key
from gateway.contract.state import SubjectState, encode_state
from gateway.dnd.model import Subject
from gateway.fresh import FreshState
from gateway.metrics import STATES
from gateway.roles import Services
from gateway.streams.group import GroupMember, group_member, membership_problems
from gateway.streams.outputs import Outputs
from gateway.streams.worker import Batch, WorkerSettings

log = logging.getLogger(__name__)


def build(services: Services) -> CheckpointRole:
    return CheckpointRole(services)


class CheckpointRole:
    """Serves the partitions of `dnd.events` that its group assigns to this process."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._fresh = services.fresh_state()
        self._member: GroupMember | None = None

    async def run(self, stop: asyncio.Event) -> None:
        if not await self._fresh.loaded(stop):
            return
        services, settings, metrics = self._services, self._services.settings, self._services.metrics
        worker_settings = WorkerSettings(
            group_id=f"{settings.topics.prefix}sendguard.checkpoint",
            batch_records=settings.guard.batch_records,
            session_timeout_ms=settings.guard.session_timeout_ms,
        )
        transform = Checkpoint(self._fresh, services.topics.dnd_state, lambda written: metrics.count(STATES, written))
        self._member = group_member(
            services.clients, worker_settings, settings.instance_id, services.topics.dnd_events, transform
        )
        await self._member.run(stop)

    def problems(self) -> list[str]:
        return self._fresh.problems() + membership_problems(self._member)


class Checkpoint:
    """Events to records, as a transform of the engine. `observe` gets how many records each commit carried."""

    def __init__(self, fresh: FreshState, topic: str, observe: Callable[[int], None]) -> None:
        self._fresh = fresh
        self._topic = topic
        self._observe = observe
        self._undelivered: dict[int, int] = {}

    async def __call__(self, batch: Batch, outputs: Outputs) -> None:
        """Steps 5 and 6 of the engine. NotFreshError until the view has applied the batch."""
        partition = batch.partition.partition
        await self._fresh.wait_applied(partition, batch.records[-1].offset + 1)
        view, now = self._fresh.view, now_ms()
        offsets = dict(enumerate(view.positions()))
        subjects = _subjects(batch)
        if batch.unwritable:
            # A null value would tell readers that nothing is held, so the last record written stays.
            log.error("%s takes no record of the subject of event %d", self._topic, batch.records[0].offset)
            subjects = []
        for subject in subjects:
            value = encode_state(SubjectState(subject, view.get(subject), offsets))
            outputs.append(self._topic, event_key(subject), value, now)
        self._undelivered[partition] = len(subjects)

    async def outputs_end(self, partition: int) -> int | None:  # noqa: ARG002 - the engine asks by partition
        """Nobody needs to know: writing a record again changes nothing."""
        return None

    def delivered(self, batch: Batch) -> None:
        self._observe(self._undelivered.pop(batch.partition.partition, 0))


def _subjects(batch: Batch) -> list[Subject]:
    """Each once, in the order of their first events; what cannot be read is of no subject."""
    found: dict[Subject, None] = {}
    for record in batch.records:
        with suppress(Unreadable):
            found[decode_event(record.value, record.timestamp).subject] = None
    return list(found)
