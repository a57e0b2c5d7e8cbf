"""Every client of ours: safe options written out, TLS and SASL in each, and what the broker makes of them."""

import asyncio
import inspect
import ssl
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.client import AIOKafkaClient
from aiokafka.errors import KafkaConnectionError, OffsetOutOfRangeError

from gateway.localkafka import LocalKafka, LocalKafkaConfig
from gateway.localkafka import SecurityProtocol as ListenerProtocol
from gateway.settings import KafkaSettings, Settings, SettingsError
from gateway.streams.clients import METADATA_MAX_AGE_MS, SIGNAL_DELIVERY_MS, Clients, close
from gateway.streams.closing import Client
from gateway.streams.topics import apply, check

EVERY_KIND: dict[str, Callable[[Clients], Client]] = {
    "member": lambda clients: clients.member("group", "instance", 10_000),
    "reader": lambda clients: clients.reader(),
    "state_follower": lambda clients: clients.state_follower(),
    "transactional_producer": lambda clients: clients.transactional_producer("id"),
    "signal_producer": lambda clients: clients.signal_producer(),
    "barrier_client": lambda clients: clients.barrier_client(),
    "bare": lambda clients: clients.bare("topics"),
    "admin": lambda clients: clients.admin(),
}

KNOWN_CONSUMER_OPTIONS = 39
KNOWN_PRODUCER_OPTIONS = 27

PASSWORD = "over the wire"  # noqa: S105 - of a broker that lives for this test


def kafka_settings(**values: object) -> KafkaSettings:
    return Settings.of(**values).kafka


def connection_of(client: Any) -> AIOKafkaClient:
    if isinstance(client, AIOKafkaClient):
        return client
    inner = client.client if isinstance(client, AIOKafkaProducer) else client._client
    assert isinstance(inner, AIOKafkaClient)
    return inner


def constructors_of_clients() -> set[str]:
    """The public methods of Clients that build something, so that a new one cannot be forgotten here."""
    return {
        name
        for name, method in inspect.getmembers(Clients, inspect.isfunction)
        if not name.startswith("_") and not inspect.iscoroutinefunction(method)
    }


def test_every_constructor_is_looked_at() -> None:
    assert constructors_of_clients() == set(EVERY_KIND)


@pytest.mark.parametrize("kind", EVERY_KIND)
async def test_tls_and_sasl_reach_every_client(kind: str) -> None:
    settings = kafka_settings(
        kafka_bootstrap_servers="a:1, b:2",
        kafka_security_protocol="SASL_SSL",
        kafka_sasl_mechanism="SCRAM-SHA-512",
        kafka_sasl_username="me",
        kafka_sasl_password=PASSWORD,
    )
    client = EVERY_KIND[kind](Clients(settings))
    connection: Any = connection_of(client)
    assert connection._bootstrap_servers == ["a:1", "b:2"]
    assert connection._security_protocol == "SASL_SSL"
    assert connection._ssl_context.verify_mode is ssl.CERT_REQUIRED
    assert connection._ssl_context.check_hostname
    assert connection._sasl_mechanism == "SCRAM-SHA-512"
    assert (connection._sasl_plain_username, connection._sasl_plain_password) == ("me", PASSWORD)
    assert connection._metadata_max_age_ms == METADATA_MAX_AGE_MS  # K26
    assert connection._client_id.startswith("sendguard-")
    await close(client)


@pytest.mark.parametrize("kind", ["reader", "state_follower", "member"])
async def test_k27_no_consumer_skips_or_commits_by_itself(kind: str) -> None:
    consumer: Any = EVERY_KIND[kind](Clients(kafka_settings()))
    assert consumer._enable_auto_commit is False
    # A member's own positions mean nothing: it never fetches.
    assert consumer._auto_offset_reset == ("latest" if kind == "member" else "none")
    assert consumer._group_id == ("group" if kind == "member" else None)
    assert consumer._isolation_level == ("read_uncommitted" if kind == "state_follower" else "read_committed")
    await close(consumer)


async def test_k16_a_member_has_exactly_one_assignor_and_waits_longer_than_a_rebalance() -> None:
    member: Any = Clients(kafka_settings()).member("group", "instance", 10_000)
    assert len(member._partition_assignment_strategy) == 1
    assert member._heartbeat_interval_ms == 2_000
    assert member._request_timeout_ms > member._rebalance_timeout_ms + 5_000
    await close(member)


@pytest.mark.parametrize("kind", ["transactional_producer", "signal_producer"])
async def test_k27_every_producer_is_idempotent_and_waits_for_all_replicas(kind: str) -> None:
    producer: Any = EVERY_KIND[kind](Clients(kafka_settings()))
    assert producer._sender._acks == -1
    assert producer._txn_manager is not None
    assert producer._txn_manager.transactional_id == ("id" if kind == "transactional_producer" else None)
    assert producer._compression_type == "zstd"  # K21
    await close(producer)


def test_a_signal_outlasts_a_frozen_broker() -> None:
    frozen_broker_stays_in_the_isr_ms = 15_000
    assert frozen_broker_stays_in_the_isr_ms < SIGNAL_DELIVERY_MS


def test_k27_an_option_that_a_new_aiokafka_adds_is_noticed() -> None:
    """Read the release notes, decide whether to write the new option out, then count again."""
    assert len(inspect.signature(AIOKafkaConsumer).parameters) == KNOWN_CONSUMER_OPTIONS
    assert len(inspect.signature(AIOKafkaProducer).parameters) == KNOWN_PRODUCER_OPTIONS


def test_tls_files_that_cannot_be_used_stop_the_start(tmp_path: Path) -> None:
    junk = tmp_path / "junk.pem"
    junk.write_text("not a certificate", encoding="utf-8")
    for given in (
        {"kafka_ssl_cafile": str(junk)},
        {"kafka_ssl_cafile": str(tmp_path / "missing.pem")},
        {"kafka_ssl_certfile": str(junk)},
    ):
        with pytest.raises(SettingsError, match="expected usable PEM files"):
            Clients(kafka_settings(kafka_security_protocol="SSL", **given))


# ---- against brokers that insist on it ----


@pytest.fixture(scope="module")
def secure() -> Iterator[LocalKafka]:
    """A broker with TLS and password listeners, which also creates topics that clients merely ask about."""
    config = LocalKafkaConfig(
        secure_listeners=(ListenerProtocol.SSL, ListenerProtocol.SASL_PLAINTEXT, ListenerProtocol.SASL_SSL),
        sasl_password=PASSWORD,
        server_properties={"auto.create.topics.enable": "true"},
    )
    with LocalKafka(config) as running:
        yield running


def settings_of(kafka: LocalKafka, protocol: ListenerProtocol, prefix: str, **values: object) -> Settings:
    assert kafka.certificates is not None
    given: dict[str, object] = {
        "kafka_bootstrap_servers": kafka.bootstrap_for(protocol),
        "kafka_security_protocol": protocol.value,
        "kafka_ssl_cafile": kafka.certificates.authority_file,
        "kafka_sasl_username": kafka.config.sasl_username,
        "kafka_sasl_password": PASSWORD,
        "replication_factor": 1,
        "topic_prefix": f"{prefix}.",
        "request_partitions": 1,
        "event_partitions": 1,
        "other_partitions": 1,
    }
    return Settings.of(**(given | values))


@pytest.mark.parametrize("protocol", [each for each in ListenerProtocol if each is not ListenerProtocol.PLAINTEXT])
async def test_every_kind_of_client_does_its_work_over_tls_and_sasl(
    secure: LocalKafka, fresh_name: str, protocol: ListenerProtocol
) -> None:
    settings = settings_of(secure, protocol, fresh_name)
    assert (await apply(settings)).differences == ()
    await use_every_kind(Clients(settings.kafka), f"{fresh_name}.dnd.events", fresh_name)


async def test_mutual_tls_shows_our_certificate(secure: LocalKafka, fresh_name: str) -> None:
    certificates = secure.certificates
    assert certificates is not None
    ours = {
        "kafka_ssl_certfile": certificates.client_certificate_file,
        "kafka_ssl_keyfile": certificates.client_key_file,
    }
    assert (await apply(settings_of(secure, ListenerProtocol.SSL, fresh_name, **ours))).failed == {}


async def test_a_broker_with_another_authority_and_a_wrong_password_are_both_refused(
    secure: LocalKafka, fresh_name: str
) -> None:
    unknown_authority = {"kafka_ssl_cafile": None}
    wrong_password = {"kafka_sasl_password": "guessed"}
    for wrong in (unknown_authority, wrong_password):
        settings = settings_of(secure, ListenerProtocol.SASL_SSL, fresh_name, **wrong)
        client = Clients(settings.kafka).barrier_client()
        with pytest.raises(KafkaConnectionError):
            await client.bootstrap()
        await close(client)


async def test_check_creates_nothing_even_where_brokers_create_what_is_asked_for(
    secure: LocalKafka, fresh_name: str
) -> None:
    settings = settings_of(secure, ListenerProtocol.SSL, fresh_name)
    first = await check(settings)
    assert {each.found for each in first} == {"missing"}
    assert await check(settings) == first


@pytest.fixture
def clients(kafka: LocalKafka) -> Clients:
    return Clients(kafka_settings(kafka_bootstrap_servers=kafka.bootstrap_servers))


async def test_k27_a_reader_without_a_place_to_start_from_raises_instead_of_skipping(
    clients: Clients, kafka: LocalKafka, fresh_name: str
) -> None:
    settings = Settings.of(
        kafka_bootstrap_servers=kafka.bootstrap_servers,
        replication_factor=1,
        topic_prefix=f"{fresh_name}.",
        request_partitions=1,
        event_partitions=1,
        other_partitions=1,
    )
    await apply(settings)
    partition = TopicPartition(f"{fresh_name}.dnd.events", 0)
    reader = clients.reader()
    await reader.start()
    reader.assign([partition])
    reader.seek(partition, 99)  # beyond the end
    with pytest.raises(OffsetOutOfRangeError):
        await asyncio.wait_for(read_for_ever(reader), 20)
    await close(reader)


async def read_for_ever(reader: AIOKafkaConsumer) -> None:
    while True:
        await reader.getmany(timeout_ms=1_000)


async def use_every_kind(clients: Clients, topic: str, name: str) -> None:
    partition = TopicPartition(topic, 0)
    signals, worker = clients.signal_producer(), clients.transactional_producer(name)
    reader, follower = clients.reader(), clients.state_follower()
    member, barrier, admin = clients.member(name, f"{name}-1", 10_000), clients.barrier_client(), clients.admin()
    async with asyncio.timeout(60):
        await signals.start()
        await signals.send_and_wait(topic, b"signal", partition=0)
        await worker.start()
        await worker.begin_transaction()
        await (await worker.send(topic, b"in a transaction", partition=0))
        await worker.commit_transaction()
        for consumer in (reader, follower):
            await consumer.start()
            consumer.assign([partition])
            consumer.seek(partition, 0)
            values: list[bytes | None] = []
            while len(values) < 2:  # acknowledged is not yet visible (K3)
                fetched = await consumer.getmany(timeout_ms=500)
                values += [record.value for record in fetched.get(partition, [])]
            assert values == [b"signal", b"in a transaction"]
        member.subscribe([topic])
        await member.start()
        while member.assignment() != {partition}:
            await member.getmany(timeout_ms=100)
        await barrier.bootstrap()
        await admin.start()
        assert topic in await admin.list_topics()
        assert await clients.min_insync_replicas(topic) == 1
    for client in (signals, worker, reader, follower, member, barrier, admin):
        assert isinstance(client, (AIOKafkaConsumer, AIOKafkaProducer, AIOKafkaAdminClient, AIOKafkaClient))
        await close(client)
