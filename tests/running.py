"""A service in this process against a real Kafka, and an outside view of its topics with an independent client."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
from confluent_kafka import Consumer, KafkaError, KafkaException, Producer, TopicPartition
from confluent_kafka.admin import (  # type: ignore[attr-defined]  # exported without being marked so
    AdminClient,
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
    NewTopic,
)

from gateway.app import Service
from gateway.contract.topics import Topics
from gateway.localkafka import LocalKafka
from gateway.settings import Settings
from gateway.streams.topics import apply

DEADLINE_S = 30.0
"""For whatever a test waits for: far above what it takes, so that only a defect reaches it."""

LOOK_EVERY_S = 0.02


def values_for(kafka: LocalKafka, data_dir: Path, prefix: str) -> dict[str, object]:
    """Settings by key of a small service of its own."""
    return {
        "kafka_bootstrap_servers": kafka.bootstrap_servers,
        "topic_prefix": f"{prefix}.",
        "replication_factor": len(kafka.brokers),
        "request_partitions": 2,
        "event_partitions": 2,
        "other_partitions": 1,
        "data_dir": str(data_dir),
        "instance_id": "tester",
        "http_port": 0,
        "barrier_deadline_ms": 5_000,  # a busy machine is no fault
    }


def settings_for(kafka: LocalKafka, data_dir: Path, prefix: str, **values: object) -> Settings:
    return Settings.of(**(values_for(kafka, data_dir, prefix) | values))


def environment_for(kafka: LocalKafka, data_dir: Path, prefix: str, **values: object) -> dict[str, str]:
    """The same as environment variables, for the command line."""
    given = values_for(kafka, data_dir, prefix) | values
    return {f"SENDGUARD_{key.upper()}": str(value) for key, value in given.items()}


@asynccontextmanager
async def running(settings: Settings, *roles: str, stop: asyncio.Event | None = None) -> AsyncIterator[Service]:
    """A service that is ready, on topics that are there; stopped in an orderly way afterwards."""
    await apply(settings)
    async with started(settings, *roles, stop=stop) as service:
        await until(lambda: not service.problems(), lambda: str(service.problems()))
        yield service


@asynccontextmanager
async def started(settings: Settings, *roles: str, stop: asyncio.Event | None = None) -> AsyncIterator[Service]:
    """A service whatever becomes of it; what it dies of comes out here."""
    stop = stop or asyncio.Event()
    service = Service(settings, roles)
    task = asyncio.create_task(service.run(stop), name="service under test")
    try:
        yield service
    finally:
        stop.set()
        async with asyncio.timeout(DEADLINE_S):
            await task


async def until(happened: Callable[[], object], otherwise: Callable[[], str] = lambda: "it did not happen") -> None:
    """Wait for it; `otherwise` says what is the case instead."""
    deadline = time.monotonic() + DEADLINE_S
    while not happened():
        assert time.monotonic() < deadline, otherwise()
        await asyncio.sleep(LOOK_EVERY_S)


def serving(service: Service) -> float | None:
    """How many partitions it serves."""
    return sample(service.metrics.exposition().decode(), "sendguard_workers", state="serving")


async def get(service: Service, path: str) -> tuple[int, str]:
    """Status and body from the service's own HTTP server."""
    url = f"http://127.0.0.1:{service.port}{path}"
    async with aiohttp.ClientSession() as session, session.get(url) as answer:
        return answer.status, await answer.text()


def sample(exposition: str, name: str, **labels: str) -> float | None:
    """One value of Prometheus' text."""
    shown = ",".join(f'{label}="{value}"' for label, value in sorted(labels.items()))
    wanted = f"{name}{{{shown}}} " if labels else f"{name} "
    found = [line for line in exposition.splitlines() if line.startswith(wanted)]
    return float(found[0].removeprefix(wanted)) if found else None


def request(number: int, **changes: object) -> dict[str, object]:
    """A request that is forwarded unless somebody is held."""
    given: dict[str, object] = {
        "request_id": f"r-{number}",
        "location_id": "loc1",
        "contact_id": f"c{number}",
        "channel": "SMS",
        "to": f"+1415555{number:04d}",
        "body": "Hi",
    }
    return given | changes


@dataclass(frozen=True, slots=True)
class Outside:
    """What others see of the topics, through librdkafka."""

    bootstrap: str
    topics: Topics

    @classmethod
    def of(cls, settings: Settings) -> Outside:
        return cls(settings.kafka.bootstrap_servers, Topics(settings.topics.prefix))

    def send(self, requests: Iterable[Mapping[str, object] | bytes], partition: int = 0) -> None:
        """Requests to one partition, acknowledged."""
        producer = Producer({"bootstrap.servers": self.bootstrap, "acks": "all"})
        for each in requests:
            value, key = each if isinstance(each, bytes) else json.dumps(each).encode(), None
            if not isinstance(each, bytes):
                key = str(each["contact_id"])
            producer.produce(self.topics.requests, value, key, partition=partition, headers={"sender": "test"})
        assert producer.flush(DEADLINE_S) == 0

    def change(self, topic: str, **configs: str) -> None:
        """Set configurations of a topic; `_` in a name stands for `.`."""
        entries = [
            ConfigEntry(name.replace("_", "."), value, incremental_operation=AlterConfigOpType.SET)
            for name, value in configs.items()
        ]
        resource = ConfigResource(ConfigResource.Type.TOPIC, topic, incremental_configs=entries)
        admin = AdminClient({"bootstrap.servers": self.bootstrap})
        for done in admin.incremental_alter_configs([resource]).values():
            done.result(DEADLINE_S)
        deadline = time.monotonic() + DEADLINE_S
        for name, value in configs.items():
            while self._config(admin, topic, name.replace("_", ".")) != value:  # a broker hears of it later
                assert time.monotonic() < deadline, f"{topic} has not got {name}={value}"

    def _config(self, admin: AdminClient, topic: str, name: str) -> str | None:
        (described,) = admin.describe_configs([ConfigResource(ConfigResource.Type.TOPIC, topic)]).values()
        value: str | None = described.result(DEADLINE_S)[name].value
        return value

    def recreate(self, topic: str) -> None:
        """Delete the topic, with all it holds, and create it again with the same configuration."""
        admin = AdminClient({"bootstrap.servers": self.bootstrap})
        partitions = admin.list_topics(topic, DEADLINE_S).topics[topic].partitions
        (described,) = admin.describe_configs([ConfigResource(ConfigResource.Type.TOPIC, topic)]).values()
        configs = {name: entry.value for name, entry in described.result(DEADLINE_S).items() if not entry.is_default}
        for done in admin.delete_topics([topic]).values():
            done.result(DEADLINE_S)
        replicas = len(next(iter(partitions.values())).replicas)
        deadline = time.monotonic() + DEADLINE_S
        while True:
            (done,) = admin.create_topics([NewTopic(topic, len(partitions), replicas, config=configs)]).values()
            error = done.exception(DEADLINE_S)
            if error is None:
                return
            exists = isinstance(error, KafkaException) and error.args[0].code() == KafkaError.TOPIC_ALREADY_EXISTS
            assert exists, error
            assert time.monotonic() < deadline, error  # the deletion is not through yet

    def delete_before(self, topic: str, partition: int, offset: int) -> None:
        """What retention does."""
        admin = AdminClient({"bootstrap.servers": self.bootstrap})
        for done in admin.delete_records([TopicPartition(topic, partition, offset)]).values():
            done.result(DEADLINE_S)

    def committed(self, topic: str, at_least: int) -> list[Any]:
        """All records a `read_committed` reader gets, once there are so many."""
        deadline = time.monotonic() + DEADLINE_S
        while True:
            found = self._read(topic)
            if len(found) >= at_least:
                return found
            assert time.monotonic() < deadline, f"{topic} has {len(found)} records, not {at_least}"

    def decisions(self, at_least: int) -> list[dict[str, Any]]:
        """Values of `outbound.decisions`."""
        return [json.loads(record.value()) for record in self.committed(self.topics.decisions, at_least)]

    def _read(self, topic: str) -> list[Any]:
        consumer = Consumer(
            {
                "bootstrap.servers": self.bootstrap,
                "group.id": "outside",
                "enable.auto.commit": False,
                "isolation.level": "read_committed",
                "enable.partition.eof": True,
                "auto.offset.reset": "earliest",
            }
        )
        try:
            partitions = consumer.list_topics(topic, DEADLINE_S).topics[topic].partitions
            consumer.assign([TopicPartition(topic, number, 0) for number in partitions])
            records, left = [], len(partitions)
            while left:
                message = consumer.poll(DEADLINE_S)
                assert message is not None, f"{topic}: no answer"
                if (error := message.error()) is None:
                    records.append(message)
                else:
                    assert error.code() == KafkaError._PARTITION_EOF, error
                    left -= 1
            return records
        finally:
            consumer.close()
