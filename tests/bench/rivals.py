"""Variant f: the strongest rivals we could write.

f1: a hand-written exactly-once loop on confluent-kafka (librdkafka, C) with a dict in memory.
f2: aiokafka batches with one PostgreSQL look-up per batch, at least once.
Both write a decision for every request, as the guard does. Neither validates, and neither has a barrier.
"""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Iterable

import asyncpg
import orjson
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from confluent_kafka import Consumer, KafkaException, Message, Producer, TopicPartition

from gateway.contract.topics import Topics
from gateway.dnd.model import Channel
from tests.bench.load import now_ms
from tests.bench.plain import BATCH_RECORDS, Decided, group_consumer, idempotent_producer


def decision(request: dict[str, object], identity: str, outcome: str) -> bytes:
    """As small a decision as a rival may write."""
    return orjson.dumps(
        {
            "decision_id": identity,
            "request_id": request["request_id"],
            "location_id": request["location_id"],
            "contact_id": request["contact_id"],
            "channel": request["channel"],
            "outcome": outcome,
            "decided_at": now_ms(),
        }
    )


class ConfluentGuard:
    """f1: one thread consumes batches and commits transactions, another follows `dnd.events` into a dict."""

    def __init__(self, bootstrap: str, topics: Topics, group_id: str) -> None:
        self._bootstrap, self._topics, self._group_id = bootstrap, topics, group_id
        self._held: dict[str, bool] = {}
        self._stop = threading.Event()
        self._follower = threading.Thread(target=self._follow, name="follower", daemon=True)
        self._loaded = threading.Event()

    async def load(self) -> None:
        self._follower.start()
        await asyncio.to_thread(self._loaded.wait)

    async def run(self, decided: Decided, stop: asyncio.Event) -> None:
        loop = asyncio.get_running_loop()

        def tell(count: int) -> None:
            loop.call_soon_threadsafe(decided, count)

        working = asyncio.create_task(asyncio.to_thread(self._decide, tell), name="f1")
        stopping = asyncio.create_task(stop.wait(), name="stop")
        await asyncio.wait([working, stopping], return_when=asyncio.FIRST_COMPLETED)
        self._stop.set()
        await working

    async def close(self) -> None:
        self._stop.set()
        self._follower.join()

    def _follow(self) -> None:
        consumer = Consumer({"bootstrap.servers": self._bootstrap, "group.id": "none", "enable.auto.commit": False})
        partitions = consumer.list_topics(self._topics.dnd_events).topics[self._topics.dnd_events].partitions
        consumer.assign([TopicPartition(self._topics.dnd_events, number, 0) for number in partitions])
        missing = sum(
            consumer.get_watermark_offsets(TopicPartition(self._topics.dnd_events, number))[1] for number in partitions
        )
        while not self._stop.is_set():
            if missing <= 0:
                self._loaded.set()
            for message in consumer.consume(10_000, timeout=0.05):
                missing -= 1
                event = orjson.loads(message.value() or b"{}")
                self._held[event["subject"][2]] = event["type"] == "place"
        consumer.close()

    def _decide(self, decided: Decided) -> None:
        consumer = Consumer(
            {
                "bootstrap.servers": self._bootstrap,
                "group.id": self._group_id,
                "enable.auto.commit": False,
                "auto.offset.reset": "earliest",
                "isolation.level": "read_committed",
            }
        )
        producer = Producer(
            {
                "bootstrap.servers": self._bootstrap,
                "transactional.id": f"{self._group_id}-f1",
                "compression.type": "zstd",
                "linger.ms": 5,
                "batch.size": 512 * 1024,
                "queue.buffering.max.messages": 1_000_000,
            }
        )
        producer.init_transactions(30)
        consumer.subscribe([self._topics.requests])
        try:
            while not self._stop.is_set():
                messages = [
                    message for message in consumer.consume(BATCH_RECORDS * 4, timeout=0.05) if _usable(message)
                ]
                if messages:
                    self._transaction(consumer, producer, messages)
                    decided(len(messages))
        finally:
            consumer.close()

    def _transaction(self, consumer: Consumer, producer: Producer, messages: list[Message]) -> None:
        output, decisions, held = self._topics.output(Channel.SMS), self._topics.decisions, self._held
        producer.begin_transaction()
        for message in messages:
            value, key, partition = message.value() or b"", message.key(), message.partition() or 0
            request = orjson.loads(value or b"")
            blocked = held.get(request["to"])
            if not blocked:
                producer.produce(output, value, key, partition=partition)
            identity = f"{message.topic()}-{partition}-{message.offset()}"
            producer.produce(
                decisions,
                decision(request, identity, "dropped" if blocked else "forwarded"),
                key,
                partition=partition,
            )
        positions = consumer.position(consumer.assignment())
        producer.send_offsets_to_transaction(positions, consumer.consumer_group_metadata())
        producer.commit_transaction(30)


def _usable(message: Message) -> bool:
    if message.error():
        raise KafkaException(message.error())
    return True


class PostgresGuard:
    """f2: one `= ANY` per batch; a task keeps the table in step with `dnd.events`."""

    def __init__(self, bootstrap: str, topics: Topics, group_id: str, database_url: str) -> None:
        self._bootstrap, self._topics, self._group_id, self._url = bootstrap, topics, group_id, database_url
        self._following: asyncio.Task[None] | None = None
        self._consumer = AIOKafkaConsumer(
            topics.dnd_events, bootstrap_servers=bootstrap, group_id=None, auto_offset_reset="earliest"
        )

    async def load(self) -> None:
        self._database = await asyncpg.connect(self._url)
        self._writer = await asyncpg.connect(self._url)
        await self._database.execute("DROP TABLE IF EXISTS held; CREATE TABLE held (address text PRIMARY KEY)")
        await self._consumer.start()
        ends = await self._consumer.end_offsets(self._consumer.assignment())
        held: dict[str, bool] = {}
        while any([await self._consumer.position(tp) < end for tp, end in ends.items()]):
            for records in (await self._consumer.getmany(timeout_ms=100)).values():
                held.update(_changes(record.value for record in records))
        rows = [(address,) for address, is_held in held.items() if is_held]
        await self._database.copy_records_to_table("held", records=rows)
        await self._database.execute("ANALYZE held")
        self._following = asyncio.create_task(self._follow(), name="held table")

    async def _follow(self) -> None:
        while True:
            for records in (await self._consumer.getmany(timeout_ms=100)).values():
                for address, is_held in _changes(record.value for record in records).items():
                    if is_held:
                        await self._writer.execute("INSERT INTO held VALUES ($1) ON CONFLICT DO NOTHING", address)
                    else:
                        await self._writer.execute("DELETE FROM held WHERE address = $1", address)

    async def run(self, decided: Decided, stop: asyncio.Event) -> None:
        consumer = group_consumer(self._bootstrap, self._topics.requests, self._group_id)
        producer = idempotent_producer(self._bootstrap)
        find = await self._database.prepare("SELECT address FROM held WHERE address = ANY($1::text[])")
        await producer.start()
        await consumer.start()
        try:
            while not stop.is_set():
                fetched = await consumer.getmany(timeout_ms=100, max_records=BATCH_RECORDS * 4)
                sent: list[asyncio.Future[object]] = []
                for tp, records in fetched.items():
                    requests = [orjson.loads(record.value or b"") for record in records]
                    rows = await find.fetch([request["to"] for request in requests])
                    held = {row[0] for row in rows}
                    sent += await self._send(producer, tp.partition, list(zip(records, requests, strict=True)), held)
                for delivered in sent:
                    await delivered
                if fetched:
                    await consumer.commit()
                    decided(sum(map(len, fetched.values())))
        finally:
            await consumer.stop()
            await producer.stop()

    async def _send(self, producer: AIOKafkaProducer, partition: int, pairs: list, held: set[str]) -> list:  # type: ignore[type-arg]  # aiokafka's records
        sent = []
        batches = {
            topic: producer.create_batch() for topic in (self._topics.output(Channel.SMS), self._topics.decisions)
        }
        output, decisions = batches
        for record, request in pairs:
            blocked = request["to"] in held
            identity = f"{record.topic}-{partition}-{record.offset}"
            rows = [(decisions, decision(request, identity, "dropped" if blocked else "forwarded"))]
            if not blocked:
                rows.append((output, record.value))
            for topic, value in rows:
                if batches[topic].append(timestamp=record.timestamp, key=record.key, value=value) is None:
                    sent.append(await producer.send_batch(batches[topic], topic, partition=partition))
                    batches[topic] = producer.create_batch()
                    batches[topic].append(timestamp=record.timestamp, key=record.key, value=value)
        for topic, batch in batches.items():
            sent.append(await producer.send_batch(batch, topic, partition=partition))
        return sent

    async def close(self) -> None:
        if self._following is not None:
            self._following.cancel()
            await asyncio.gather(self._following, return_exceptions=True)
        await self._consumer.stop()
        await self._database.close()
        await self._writer.close()


def _changes(values: Iterable[bytes | None]) -> dict[str, bool]:
    changes = {}
    for value in values:
        event = json.loads(value or b"")
        changes[event["subject"][2]] = event["type"] == "place"
    return changes
