"""The look-up for what providers tell late (R16): the hook `SentMessages` of the door for signals.

A failure is asked for when its message is named and the call does not say what the store may know: when the message was
created, or whose it was. It is bounded in time: without an answer the failure counts from the moment it was told, as
for a message that nobody knows. That holds somebody rather than nobody.
"""

from __future__ import annotations

import asyncio
import logging
from dataclasses import replace

from sqlalchemy.exc import SQLAlchemyError

from gateway.metrics import SENT_LOOKUPS, Metrics
from gateway.providers.signals import OptOut
from gateway.sent.message import SentMessage
from gateway.sent.store import SentMessages

log = logging.getLogger(__name__)

LOOK_UP_DEADLINE_S = 0.5
"""One row by its key takes a millisecond. The provider waits for our answer, and so do other calls of that person."""


class SentLookup:
    """From any number of tasks; does not raise."""

    def __init__(self, store: SentMessages, metrics: Metrics, deadline_s: float = LOOK_UP_DEADLINE_S) -> None:
        self._store = store
        self._metrics = metrics
        self._deadline_s = deadline_s
        self._silent = False

    async def completed(self, told: OptOut) -> OptOut:
        """The failure with its message's creation time, contact and decision, as far as they are not told and known."""
        if told.message_id is None or (told.at is not None and "contact_id" in told.evidence):
            return told
        found = await self._found(told, told.message_id)
        return told if found is None else _joined(told, found)

    async def _found(self, told: OptOut, message_id: str) -> SentMessage | None:
        try:
            async with asyncio.timeout(self._deadline_s):
                found = await self._store.find(told.subject.location_id, told.actor.id, message_id)
        except (SQLAlchemyError, OSError, TimeoutError) as error:
            self._metrics.count(SENT_LOOKUPS, labels=("failed",))
            if not self._silent:
                log.warning("sent messages cannot be looked up, late failures count from now: %s", type(error).__name__)
            self._silent = True
            return None
        if self._silent:
            log.info("sent messages can be looked up again")
        self._silent = False
        self._metrics.count(SENT_LOOKUPS, labels=("unknown" if found is None else "found",))
        return found


def _joined(told: OptOut, found: SentMessage) -> OptOut:
    """What the call says goes first."""
    known = {"contact_id": found.contact_id, "decision_id": found.decision_id}
    evidence = {name: value for name, value in known.items() if value} | dict(told.evidence)
    return replace(told, at=found.created_at if told.at is None else told.at, evidence=evidence)
