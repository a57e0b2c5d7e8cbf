"""The parts behind the door, wired: what the role that receives webhooks starts and asks for readiness."""

from __future__ import annotations

import asyncio
from pathlib import Path

from gateway.clock import now_ms
from gateway.metrics import (
    SIGNAL_NOTES,
    SIGNALS,
    SIGNALS_PUBLISHED,
    SPOOL_AGE,
    SPOOL_COUNT,
    SPOOL_UNREADABLE,
    Metrics,
)
from gateway.providers.signals import OptOut, Parsed
from gateway.roles import Services
from gateway.settings import Settings
from gateway.signals.broker_clock import BrokerClock
from gateway.signals.door import SignalDoor
from gateway.signals.drain import Drainer
from gateway.signals.hooks import Contacts, SentMessages, StartCheck
from gateway.signals.known import FreshRecords
from gateway.signals.publish import DRAIN_DEADLINE_S, PUBLISH_DEADLINE_S, Publisher
from gateway.signals.spool import Spool

SPOOL_DIRECTORY = "spool"
"""Under the data directory, which therefore must be on a volume that outlives the process."""


def spool_directory(settings: Settings) -> Path:
    """Where this process keeps what Kafka has not taken yet."""
    return settings.data_dir / SPOOL_DIRECTORY


def count_parsed(metrics: Metrics, provider: str, parsed: Parsed) -> None:
    """What a call of the provider told us, by kind: a hold's cause, or `opt_in`."""
    for signal in parsed.signals:
        kind = signal.cause.value if isinstance(signal, OptOut) else "opt_in"
        metrics.count(SIGNALS, labels=(provider, kind))
    for note in parsed.notes:
        metrics.count(SIGNAL_NOTES, labels=(provider, note.value))


class Signals:
    """`door` for webhooks, `publisher` for whoever answers only when Kafka has acknowledged (API, commands)."""

    def __init__(
        self,
        services: Services,
        *,
        contacts: Contacts | None = None,
        start_check: StartCheck | None = None,
        sent: SentMessages | None = None,
    ) -> None:
        """Asks for the fresh state, so before the service has begun to run."""
        topic, metrics = services.topics.dnd_events, services.metrics
        brokers = BrokerClock()
        self.publisher = Publisher(services.clients, topic, PUBLISH_DEADLINE_S, brokers)
        self.spool = Spool(spool_directory(services.settings))
        self.door = SignalDoor(
            FreshRecords(services.fresh_state()),
            self.publisher,
            self.spool,
            metrics,
            contacts=contacts,
            start_check=start_check,
            sent=sent,
        )
        # Of its own: nobody waits for what it writes, and a deadline passed at the door must not end its turn.
        self._draining = Publisher(services.clients, topic, DRAIN_DEADLINE_S, brokers)
        self._drainer = Drainer(
            self.spool,
            self._draining,
            contacts,
            lambda count: metrics.count(SIGNALS_PUBLISHED, count),
            start_check,
        )
        metrics.watch(SPOOL_COUNT, lambda: {(): self.spool.count})
        metrics.watch(SPOOL_UNREADABLE, lambda: {(): self.spool.unreadable})
        metrics.watch(SPOOL_AGE, lambda: {(): self._spool_age_s()})

    async def run(self) -> None:
        """Keep the producers and drain the spool, until cancelled; end whatever uses `door` before."""
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self.publisher.run(), name="signal publisher")
                group.create_task(self._draining.run(), name="spool publisher")
                group.create_task(self._drainer.run(), name="spool drainer")
        finally:
            await self.spool.close()

    def problems(self) -> list[str]:
        """Why signals would be lost if Kafka went away now; empty = they would not."""
        return [] if self.spool.problem is None else [f"spool: {self.spool.problem}"]

    def _spool_age_s(self) -> float:
        oldest_at = self.spool.oldest_at
        return 0.0 if oldest_at is None else max(0.0, (now_ms() - oldest_at) / 1000)
