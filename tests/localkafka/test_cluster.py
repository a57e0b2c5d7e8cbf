"""What one does to brokers, and what must be the same afterwards."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from confluent_kafka import Consumer, KafkaException, TopicPartition

from gateway.localkafka import LocalKafka, LocalKafkaConfig, LocalKafkaError
from tests.localkafka.clients import QUIET, commit, create_topic, describe, produce, read, wait_in_sync

THREE = {1, 2, 3}


@pytest.fixture(scope="module")
def own() -> Iterator[LocalKafka]:
    """One broker that these tests may kill."""
    with LocalKafka(LocalKafkaConfig(quick_failover=True)) as kafka:
        yield kafka


def end_offset(kafka: LocalKafka, topic: str, timeout_s: float) -> int:
    consumer = Consumer({**QUIET, "bootstrap.servers": kafka.bootstrap_servers, "group.id": "unused"})
    try:
        return consumer.get_watermark_offsets(TopicPartition(topic, 0), timeout_s, cached=False)[1]
    finally:
        consumer.close()


def test_a_killed_broker_comes_back_with_its_data_and_port(own: LocalKafka, fresh_name: str) -> None:
    (broker,) = own.brokers
    create_topic(own.bootstrap_servers, fresh_name)
    produce(own.bootstrap_servers, fresh_name, [b"before"])
    address, former = broker.address, broker.pid
    broker.kill()
    assert broker.pid is None
    assert former is None or not psutil.pid_exists(former)  # a container has none
    broker.start()
    assert broker.address == address
    assert read(own.bootstrap_servers, fresh_name, 1) == [b"before"]


def test_a_frozen_broker_answers_nothing_and_a_thawed_one_goes_on(own: LocalKafka, fresh_name: str) -> None:
    (broker,) = own.brokers
    create_topic(own.bootstrap_servers, fresh_name)
    produce(own.bootstrap_servers, fresh_name, [b"before"])
    broker.freeze()
    try:
        assert broker.is_running()
        with pytest.raises(KafkaException):
            end_offset(own, fresh_name, timeout_s=1.0)
    finally:
        broker.thaw()
    assert end_offset(own, fresh_name, timeout_s=30.0) == 1


def test_the_whole_cluster_stops_and_starts_with_its_data(own: LocalKafka, fresh_name: str) -> None:
    create_topic(own.bootstrap_servers, fresh_name)
    produce(own.bootstrap_servers, fresh_name, [b"before"])
    own.stop_all()
    assert not any(broker.is_running() for broker in own.brokers)
    own.start_all()
    assert read(own.bootstrap_servers, fresh_name, 1) == [b"before"]


def test_a_frozen_broker_can_be_stopped_in_order(own: LocalKafka) -> None:
    (broker,) = own.brokers
    broker.freeze()
    broker.stop()
    assert not broker.is_running()
    broker.start()


def test_misuse_of_a_handle_is_named(own: LocalKafka) -> None:
    (broker,) = own.brokers
    with pytest.raises(LocalKafkaError, match="runs already"):
        broker.start()
    with pytest.raises(LocalKafkaError, match="started already"):
        own.start()
    broker.kill()
    broker.kill()  # twice is no error
    with pytest.raises(LocalKafkaError, match="does not run"):
        broker.freeze()
    broker.start()


@pytest.mark.cluster
def test_three_brokers_replicate_and_survive_the_loss_of_each(cluster: LocalKafka, fresh_name: str) -> None:
    create_topic(cluster.bootstrap_servers, fresh_name)
    wait_in_sync(cluster.bootstrap_servers, fresh_name, THREE)
    written = []
    for broker in cluster.brokers:
        broker.kill()
        written.append(str(broker).encode())
        produce(cluster.bootstrap_servers, fresh_name, written[-1:])
        broker.start()
        wait_in_sync(cluster.bootstrap_servers, fresh_name, THREE)
    assert read(cluster.bootstrap_servers, fresh_name, 3) == written


@pytest.mark.cluster
def test_topics_of_kafka_itself_are_small_and_survive_one_broker(cluster: LocalKafka, fresh_name: str) -> None:
    create_topic(cluster.bootstrap_servers, fresh_name)
    produce(cluster.bootstrap_servers, fresh_name, [b"one"], **{"transactional.id": fresh_name})
    commit(cluster.bootstrap_servers, fresh_name, group=fresh_name)
    for topic in ("__consumer_offsets", "__transaction_state"):
        partitions, replicas, min_isr = describe(cluster.bootstrap_servers, topic)
        assert (partitions, replicas, min_isr) == (4, 3, "2"), topic
    assert describe(cluster.bootstrap_servers, fresh_name) == (1, 3, "2")


@pytest.mark.cluster
def test_the_whole_three_broker_cluster_stops_and_starts_with_its_data(cluster: LocalKafka, fresh_name: str) -> None:
    create_topic(cluster.bootstrap_servers, fresh_name)
    produce(cluster.bootstrap_servers, fresh_name, [b"before"])
    cluster.stop_all()
    cluster.start_all()
    wait_in_sync(cluster.bootstrap_servers, fresh_name, THREE)
    assert read(cluster.bootstrap_servers, fresh_name, 1) == [b"before"]


async def test_it_can_be_used_from_async_code(tmp_path: Path) -> None:
    kafka = LocalKafka(LocalKafkaConfig(data_dir=tmp_path))
    await asyncio.to_thread(kafka.start)
    assert kafka.brokers[0].is_running()
    await asyncio.to_thread(kafka.stop)


def test_a_given_data_directory_is_kept_and_belongs_to_its_cluster(tmp_path: Path, fresh_name: str) -> None:
    config = LocalKafkaConfig(data_dir=tmp_path / "data")
    with LocalKafka(config) as kafka:
        create_topic(kafka.bootstrap_servers, fresh_name)
        produce(kafka.bootstrap_servers, fresh_name, [b"kept"])
        first = kafka.cluster_id
    with LocalKafka(config) as kafka:
        assert kafka.cluster_id == first
        assert read(kafka.bootstrap_servers, fresh_name, 1) == [b"kept"]
    with pytest.raises(LocalKafkaError, match="belongs to a cluster of 1 brokers, not of 3"):
        LocalKafka(LocalKafkaConfig(data_dir=tmp_path / "data", brokers=3)).start()


def test_two_clusters_have_different_ids(kafka: LocalKafka, own: LocalKafka) -> None:
    assert kafka.cluster_id != own.cluster_id


def test_a_failed_start_shows_the_brokers_log_and_leaves_nothing() -> None:
    broken = LocalKafka(LocalKafkaConfig(server_properties={"log.segment.bytes": "many"}))
    with pytest.raises(LocalKafkaError, match=r"(?s)broker 1 ended while it started.*log\.segment\.bytes"):
        broken.start()
    with pytest.raises(LocalKafkaError, match="not started"):
        _ = broken.brokers


def test_a_start_that_takes_too_long_says_what_is_missing() -> None:
    hasty = LocalKafka(LocalKafkaConfig(start_deadline_s=0.0))
    with pytest.raises(LocalKafkaError, match=r"broker 1 was not ready in time: .* does not answer"):
        hasty.start()
