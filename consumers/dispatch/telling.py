"""What dispatch tells the rest of the service: opt-outs that providers answer with, and channels that come and go.

Both wait for as long as Kafka is away: the message that was refused keeps its place before the next one to its address,
so none is tried before the opt-out is acknowledged, and an account that works again sends once that is said. An opt-out
is dated by the brokers' clock, as at the door for webhooks: by ours it could be void against an older START.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import replace

from consumers.dispatch.checking import Checker
from consumers.dispatch.item import LineId
from gateway.clock import now_ms
from gateway.contract.integrations import (
    FOUND_BY_DISPATCH,
    Integration,
    IntegrationStatus,
    encode_integration,
    integration_key,
)
from gateway.dnd.addresses import canonical
from gateway.fresh import FreshState
from gateway.metrics import SIGNALS, SIGNALS_PUBLISHED
from gateway.providers.signals import OptOut
from gateway.roles import Services
from gateway.signals.broker_clock import BrokerClock
from gateway.signals.known import FreshRecords
from gateway.signals.publish import DRAIN_DEADLINE_S, NotAcknowledgedError, Publisher, RefusedError
from gateway.signals.resolve import dated, resolve
from gateway.streams.producing import SharedProducer
from gateway.streams.writing import Unwritten

log = logging.getLogger(__name__)

FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.1, 5.0
"""Between two tries while Kafka is away, doubling."""


class Telling:
    """`publish` and `announce` from any task while `run` runs."""

    def __init__(
        self, services: Services, fresh: FreshState, checker: Checker, brokers: BrokerClock | None = None
    ) -> None:
        """`brokers`: of this process; None = as it is."""
        self._metrics = services.metrics
        self._records = FreshRecords(fresh)
        self._checker = checker
        self._publisher = Publisher(services.clients, services.topics.dnd_events, DRAIN_DEADLINE_S, brokers)
        self._announcer = SharedProducer(services.clients, services.topics.integrations, DRAIN_DEADLINE_S)

    async def run(self) -> None:
        """Keep the producers, until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._publisher.run(), name="dispatch's publisher")
            group.create_task(self._announcer.run(), name="dispatch's announcer")

    def problems(self) -> list[str]:
        """Why opt-outs cannot be made to last at present; empty = they can."""
        problem = self._publisher.problem
        return [] if problem is None else [f"opt-outs of refused messages wait: {problem}"]

    async def publish(self, provider: str, opt_outs: Sequence[OptOut]) -> None:
        """Returns when Kafka has acknowledged their events; every check that begins then knows them."""
        received_at = self._publisher.brokers.ours()
        for opt_out in opt_outs:
            await self._publish(opt_out, received_at)
            self._metrics.count(SIGNALS, labels=(provider, opt_out.cause.value))
        self._checker.forget()

    async def _publish(self, opt_out: OptOut, received_at: int) -> None:
        pause = FIRST_PAUSE_S
        while True:
            known = await self._records.known(canonical(opt_out.subject))
            try:
                offset = await self._publisher.offset(opt_out.subject)
                now = dated(opt_out, self._publisher.brokers.ours(), offset)
                events = resolve(opt_out, known, now, dated(opt_out, received_at, offset))
                await self._publisher.publish(events)
            except NotAcknowledgedError:
                pause = await _paused(pause)  # the publisher says why
            except RefusedError as error:
                if not opt_out.evidence:
                    log.error("an opt-out of a refused message can never be written: %s", error)  # noqa: TRY400
                    return
                opt_out = replace(opt_out, evidence={})
            else:
                self._metrics.count(SIGNALS_PUBLISHED, len(events))
                return

    async def announce(self, line: LineId, provider: str, status: IntegrationStatus) -> None:
        """Returns when Kafka has acknowledged it."""
        location_id, channel = line
        log.warning("%s of location %s is %s, as %s answers", channel, location_id, status, provider)
        pause = FIRST_PAUSE_S
        while True:
            value = encode_integration(Integration(location_id, channel, status, provider, now_ms(), FOUND_BY_DISPATCH))
            try:
                await self._announcer.write([Unwritten(integration_key(location_id, channel), value or b"")])
            except NotAcknowledgedError:
                pause = await _paused(pause)
            else:
                return


async def _paused(seconds: float) -> float:
    await asyncio.sleep(seconds)
    return min(seconds * 2, LONGEST_PAUSE_S)
