"""The role `changes`: exactly one event in `dnd.changes` for each real change of what a contact's DND shows (R20).

How that is done is told in `consumers.comparing`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from consumers.comparing import Comparing, Parts
from consumers.published import Published
from gateway.directory.directory import Directory
from gateway.dnd.model import Event
from gateway.metrics import CHANGES, CHANGES_MOVED
from gateway.roles import Services
from gateway.signals.publish import DRAIN_DEADLINE_S, Publisher
from gateway.streams.group import GroupMember, group_member, membership_problems
from gateway.streams.worker import WorkerSettings

DIRECTORY = "changes"
"""Of the copy of what was published, under the data directory."""


def build(services: Services) -> ChangesRole:
    return ChangesRole(services)


class ChangesRole:
    """Serves the partitions of `dnd.events` that its group assigns to this process."""

    def __init__(self, services: Services) -> None:
        """SettingsError: the database's URL is none."""
        self._services = services
        self._fresh = services.fresh_state()
        self._integrations = services.integrations_state()
        self._directory = Directory.of(services.settings)
        self._publisher = Publisher(services.clients, services.topics.dnd_events, DRAIN_DEADLINE_S)
        self._member: GroupMember | None = None

    async def run(self, stop: asyncio.Event) -> None:
        if not (await self._fresh.loaded(stop) and await self._integrations.loaded(stop)):
            return
        services, settings, metrics = self._services, self._services.settings, self._services.metrics
        worker_settings = WorkerSettings(
            group_id=f"{settings.topics.prefix}sendguard.changes",
            batch_records=settings.guard.batch_records,
            session_timeout_ms=settings.guard.session_timeout_ms,
        )
        published = Published(settings.data_dir / DIRECTORY)
        transform = Comparing(
            Parts(
                clients=services.clients,
                topics=services.topics,
                event_partitions=settings.topics.event_partitions,
                fresh=self._fresh,
                directory=self._directory,
                enlisted=self._integrations.enlisted,
                move=self._move,
                published=published,
                observe=lambda count: metrics.count(CHANGES, count),
            )
        )
        self._member = group_member(
            services.clients, worker_settings, settings.instance_id, services.topics.dnd_events, transform
        )
        try:
            async with asyncio.TaskGroup() as group:
                publishing = group.create_task(self._publisher.run(), name="publisher of moved events")
                await self._member.run(stop)
                publishing.cancel()
        finally:
            published.close()
            await self._directory.close()

    def problems(self) -> list[str]:
        return self._fresh.problems() + self._integrations.problems() + membership_problems(self._member)

    async def _move(self, events: Sequence[Event]) -> None:
        await self._publisher.publish(events)
        self._services.metrics.count(CHANGES_MOVED, len(events))
