"""An independent client for these tests: librdkafka."""

import time
from collections.abc import Mapping, Sequence

from confluent_kafka import Consumer, KafkaError, KafkaException, Producer, TopicPartition
from confluent_kafka.admin import AdminClient
from confluent_kafka.admin._config import ConfigResource
from confluent_kafka.cimpl import NewTopic

PATIENCE_S = 30.0
"""For what takes milliseconds on an idle machine."""

RETRY_S = 0.05

# Only what the tests assert about may reach the output, not each connection that a killed broker drops.
QUIET: Mapping[str, str | int] = {"log_level": 0}


def create_topic(bootstrap: str, topic: str, **client: str) -> None:
    """One partition, with the cluster's default replication."""
    admin = AdminClient({**QUIET, "bootstrap.servers": bootstrap, **client})
    admin.create_topics([NewTopic(topic, 1)], operation_timeout=PATIENCE_S)[topic].result(PATIENCE_S)


def produce(bootstrap: str, topic: str, values: Sequence[bytes], **client: str) -> None:
    """Write to partition 0; returns when all replicas in sync have them."""
    failures: list[KafkaError] = []
    producer = Producer({**QUIET, "bootstrap.servers": bootstrap, "acks": "all", "enable.idempotence": True, **client})

    def delivered(error: KafkaError | None, _: object) -> None:
        if error is not None:
            failures.append(error)

    transactional = "transactional.id" in client
    if transactional:
        producer.init_transactions(PATIENCE_S)
        producer.begin_transaction()
    for value in values:
        producer.produce(topic, value, partition=0, on_delivery=delivered)
    unsent = producer.flush(PATIENCE_S)
    if transactional:
        producer.commit_transaction(PATIENCE_S)
    if unsent or failures:
        raise AssertionError(f"{unsent} records unsent, failures: {failures}")


def read(bootstrap: str, topic: str, count: int, **client: str) -> list[bytes | None]:
    """The first `count` records of partition 0."""
    consumer = Consumer(
        {**QUIET, "bootstrap.servers": bootstrap, "group.id": "unused", "enable.auto.commit": False, **client}
    )
    try:
        consumer.assign([TopicPartition(topic, 0, 0)])
        values: list[bytes | None] = []
        deadline = time.monotonic() + PATIENCE_S
        while len(values) < count:
            message = consumer.poll(1.0)
            if message is not None and message.error() is None:
                values.append(message.value())
            if time.monotonic() > deadline:
                raise AssertionError(f"only {len(values)} of {count} records of {topic}")
        return values
    finally:
        consumer.close()


def commit(bootstrap: str, topic: str, group: str) -> None:
    """Commit offset 0 of partition 0."""
    consumer = Consumer({**QUIET, "bootstrap.servers": bootstrap, "group.id": group})
    try:
        consumer.commit(offsets=[TopicPartition(topic, 0, 0)], asynchronous=False)
    finally:
        consumer.close()


def describe(bootstrap: str, topic: str) -> tuple[int, int, str]:
    """Partitions, replicas of each, `min.insync.replicas`."""
    admin = AdminClient({**QUIET, "bootstrap.servers": bootstrap})
    partitions = admin.list_topics(topic, PATIENCE_S).topics[topic].partitions
    resource = ConfigResource(ConfigResource.Type.TOPIC, topic)
    settings = admin.describe_configs([resource])[resource].result(PATIENCE_S)
    (replicas,) = {len(partition.replicas) for partition in partitions.values()}
    return len(partitions), replicas, settings["min.insync.replicas"].value


def in_sync_replicas(bootstrap: str, topic: str) -> set[int]:
    """Of partition 0."""
    found = AdminClient({**QUIET, "bootstrap.servers": bootstrap}).list_topics(topic, PATIENCE_S)
    return set(found.topics[topic].partitions[0].isrs)


def wait_in_sync(bootstrap: str, topic: str, replicas: set[int]) -> None:
    """Until partition 0 has exactly these in sync."""
    deadline = time.monotonic() + PATIENCE_S
    while True:
        try:
            found = in_sync_replicas(bootstrap, topic)
        except (KafkaException, KeyError):  # the topic is not known everywhere yet
            found = set()
        if found == replicas:
            return
        if time.monotonic() > deadline:
            raise AssertionError(f"in sync are {found}, not {replicas}")
        time.sleep(RETRY_S)
