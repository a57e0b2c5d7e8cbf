"""A dispatcher's receipts, written from outside: transactional, as dispatch writes them."""

from __future__ import annotations

import asyncio
import uuid
from dataclasses import dataclass

from confluent_kafka import Producer
from msgspec.structs import replace

from gateway.contract.receipts import Receipt, ReceiptOutcome, encode_receipt
from gateway.contract.topics import Topics
from gateway.sent import SentMessage, SentMessages
from gateway.settings import Settings
from tests.kafka.outside import DEADLINE_S, until_awaited


def receipt(number: int, **changes: object) -> Receipt:
    given = Receipt(
        decision_id=f"outbound.requests-0-{number}",
        request_id=f"r-{number}",
        location_id="loc1",
        contact_id=f"c{number}",
        channel="SMS",
        to=f"+1415555{number:04d}",
        outcome=ReceiptOutcome.SENT,
        finished_at=0,
        provider="twilio",
        provider_message_id=f"SM{number}",
        attempts=1,
    )
    return replace(given, **changes)


@dataclass(frozen=True, slots=True)
class Receipts:
    settings: Settings

    @property
    def topic(self) -> str:
        return Topics(self.settings.topics.prefix).receipts

    async def write(self, *receipts: Receipt | bytes, partition: int = 0, commit: bool = True) -> None:
        """In one transaction, which is committed or aborted."""
        await asyncio.to_thread(self._write, receipts, partition, commit)

    def _write(self, receipts: tuple[Receipt | bytes, ...], partition: int, commit: bool) -> None:
        bootstrap = self.settings.kafka.bootstrap_servers
        producer = Producer({"bootstrap.servers": bootstrap, "transactional.id": f"t-{uuid.uuid4().hex}"})
        producer.init_transactions(DEADLINE_S)
        producer.begin_transaction()
        for each in receipts:
            value = each if isinstance(each, bytes) else encode_receipt(each)
            producer.produce(self.topic, value, partition=partition)
        assert producer.flush(DEADLINE_S) == 0
        if commit:
            producer.commit_transaction(DEADLINE_S)
        else:
            producer.abort_transaction(DEADLINE_S)

    async def until_kept(self, message_id: str, location_id: str = "loc1", provider: str = "twilio") -> SentMessage:
        found = await self.find(message_id, location_id, provider, wait=True)
        assert found is not None
        return found

    async def find(
        self, message_id: str, location_id: str = "loc1", provider: str = "twilio", *, wait: bool = False
    ) -> SentMessage | None:
        sent = SentMessages.of(self.settings)
        try:
            if wait:
                await until_awaited(lambda: sent.find(location_id, provider, message_id))
            return await sent.find(location_id, provider, message_id)
        finally:
            await sent.close()
