"""A log of events in memory: what is published is acknowledged and applied at once, unless it is switched off."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import cast

from gateway.clock import now_ms
from gateway.contract.events import event_key
from gateway.dnd.addresses import canonical
from gateway.dnd.model import Event, Subject
from gateway.dnd.record import EMPTY, Record, fold
from gateway.fresh import FreshState
from gateway.signals.publish import NotAcknowledgedError, Publisher
from gateway.streams.quorum import NotFreshError
from tests.contacts.scene import Gateway


class InMemoryLog:
    """State and publisher in one. `fresh`, `writable`: what Kafka would be good for at the moment."""

    def __init__(self) -> None:
        self._records: dict[bytes, Record] = {}
        self.events: list[Event] = []
        self.fresh = True
        self.writable = True

    @property
    def view(self) -> InMemoryLog:
        return self

    @property
    def barrier(self) -> InMemoryLog:
        return self

    async def passed(self) -> None:
        if not self.fresh:
            raise NotFreshError("the brokers do not answer")

    async def wait_applied(self, partition: int, end: int) -> None:
        return None

    def positions(self) -> Sequence[int]:
        return [len(self.events)]

    def get(self, subject: Subject) -> Record:
        return self._records.get(event_key(subject), EMPTY)

    def lookup(self, keys: Sequence[bytes]) -> Sequence[Record | None]:
        return [self._records.get(key) for key in keys]

    async def now(self, subjects: Iterable[Subject]) -> int:
        return now_ms()

    async def publish(self, events: Sequence[Event]) -> Mapping[int, int]:
        if not self.writable:
            raise NotAcknowledgedError("the brokers do not answer")
        for event in events:
            key = event_key(canonical(event.subject))
            self._records[key] = fold(self._records.get(key, EMPTY), event, now_ms()).record
            self.events.append(event)
        return {0: len(self.events)}


def gateway_in_memory(log: InMemoryLog) -> Gateway:
    return Gateway(cast(FreshState, log), cast(Publisher, log))
