"""Gateways on a real Kafka, as far as a contact's DND needs them: each with a view, a barrier and a publisher."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from gateway.clock import now_ms
from gateway.contacts import ContactService
from gateway.contacts.addresses import Addresses
from gateway.contacts.log import DndLog
from gateway.dnd.model import Event, Subject
from gateway.dnd.record import Record
from gateway.fresh import FreshState
from gateway.settings import Settings
from gateway.signals.broker_clock import BrokerClock
from gateway.signals.publish import Publisher
from tests.contacts.people import Book
from tests.faults.inside import parts_inside
from tests.signals.scene import at_work

PATIENT_S = 60.0
"""A deadline that is not to pass, on however busy a machine."""


@dataclass(frozen=True, slots=True)
class Gateway:
    """One process's parts."""

    fresh: FreshState
    publisher: Publisher

    @property
    def log(self) -> DndLog:
        return DndLog(self.fresh, self.publisher, PATIENT_S)

    def service(self, directory: Addresses | None = None, **more: Any) -> ContactService:
        """One that waits."""
        waits = {"deadline_s": PATIENT_S, "fresh_deadline_s": PATIENT_S}
        return ContactService(self.fresh, self.publisher, directory or Book(), **(waits | more))

    async def told(self, *events: Event) -> None:
        """Acknowledged, and applied here."""
        await self.log.write(events)

    async def record(self, subject: Subject) -> Record:
        """Behind a barrier."""
        return (await self.log.read([subject]))[subject]


@asynccontextmanager
async def gateway_on(settings: Settings, clock: Callable[[], int] = now_ms) -> AsyncIterator[Gateway]:
    """Loaded. Its topics are there already. `clock`: the machine's."""
    async with parts_inside(settings) as parts:
        publisher = Publisher(parts.clients, parts.topics.dnd_events, PATIENT_S, BrokerClock(clock))
        async with at_work(publisher.run()):
            yield Gateway(parts.fresh, publisher)


def in_directory(settings: Settings, directory: Path) -> Settings:
    """The same topics, seen from another process."""
    return msgspec.structs.replace(settings, data_dir=directory)


def clock_that_is(ahead_ms: int) -> Callable[[], int]:
    return lambda: now_ms() + ahead_ms
