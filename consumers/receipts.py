"""The role `receipts`: keeps what providers took, by their own ids, from `outbound.receipts` (R16).

Theory of operation. One task reads the receipts that are committed and stores, for each message that a provider took,
whose it is and when it was created, together with its position in one transaction of the database. Killed anywhere, it
goes on behind what is stored. Between two reads it deletes what is older than the retention.

One process at a time does it for a database; the others wait to take over. It is far from every decision: what is told
of a message before its receipt is stored counts from the moment it is told.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Sequence

import msgspec

from consumers.sole_work import SoleWork
from gateway.clock import now_ms
from gateway.contract.receipts import decode_receipt
from gateway.database import Positions
from gateway.metrics import RECEIPTS_UNREADABLE, SENT_KEPT
from gateway.roles import Services
from gateway.sent import SentMessage, SentMessages, SentWriter, message_of
from gateway.streams.log_reader import Entry, LogReader, log_reader

log = logging.getLogger(__name__)

BATCH_RECORDS = 2_000
"""Stored by one transaction: some 50 ms, and so long nobody else writes to a SQLite file."""

FORGET_EVERY_S = 600.0
FORGET_AT_ONCE = 2_000
"""Deleted by one transaction; when there is more, the next is due at once."""


def build(services: Services) -> ReceiptsRole:
    return ReceiptsRole(services)


class ReceiptsRole:
    """Keeps the sent messages, or waits for its turn."""

    def __init__(self, services: Services) -> None:
        """SettingsError: the database's URL is none."""
        self._services = services
        self._sent = SentMessages.of(services.settings)
        self._retention_ms = services.settings.sent.retention_ms
        self._sole = SoleWork("receipts are not kept")

    async def run(self, stop: asyncio.Event) -> None:
        """Until `stop`. It can be ended anywhere: what was not stored is read again."""
        try:
            async with asyncio.TaskGroup() as group:
                keeping = group.create_task(self._sole.keep(self._work), name="receipts")
                await stop.wait()
                keeping.cancel()
        finally:
            await self._sent.close()

    def problems(self) -> list[str]:
        return self._sole.problems

    async def _work(self) -> None:
        topic = self._services.topics.receipts
        async with self._sent.writer() as writer:
            self._sole.begun("loading: receipts are taken in")
            known = await writer.positions(topic)
            reading = log_reader(self._services.clients, topic, known.topic_id, known.offsets, committed=True)
            async with reading as reader:
                await self._serve(reader, writer, topic)

    async def _serve(self, reader: LogReader, writer: SentWriter, topic: str) -> None:
        loop = asyncio.get_running_loop()
        loaded_at = await reader.ends()
        forget_at = loop.time()
        while True:
            if self._sole.problem is not None and all(reader.positions[each] >= end for each, end in loaded_at.items()):
                self._sole.problem = None
            stretch = await reader.read(BATCH_RECORDS)
            if stretch.entries:
                sent = self._messages(stretch.entries)
                await writer.keep(sent, Positions(topic, reader.topic_id, stretch.positions))
                for provider, count in Counter(each.provider for each in sent).items():
                    self._services.metrics.count(SENT_KEPT, count, (provider,))
            if loop.time() >= forget_at:
                forgotten = await writer.forget(now_ms() - self._retention_ms, FORGET_AT_ONCE)
                forget_at = loop.time() + (0 if forgotten >= FORGET_AT_ONCE else FORGET_EVERY_S)

    def _messages(self, entries: Sequence[Entry]) -> list[SentMessage]:
        """Those that providers took and that are not too old to be kept."""
        oldest = now_ms() - self._retention_ms
        found: list[SentMessage] = []
        for entry in entries:
            try:
                receipt = decode_receipt(entry.value or b"")
            except (msgspec.DecodeError, UnicodeDecodeError) as error:
                topic = self._services.topics.receipts
                log.warning("%s-%d offset %d is no receipt: %s", topic, entry.partition, entry.offset, error)
                self._services.metrics.count(RECEIPTS_UNREADABLE)
                continue
            message = message_of(receipt, entry.timestamp)
            if message is not None and message.finished_at >= oldest:
                found.append(message)
        return found
