"""Every Kafka client of ours, built in one place: settings become library options here and nowhere else.

All options that decide about safety are written out at the call, because aiokafka's defaults lose data (K27), and TLS
and SASL come from one place, so that no client can miss them.
"""

from __future__ import annotations

import ssl
from typing import Any

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.client import AIOKafkaClient
from aiokafka.coordinator.assignors.roundrobin import RoundRobinPartitionAssignor
from aiokafka.errors import for_code

from gateway.contract.topics import OUTPUT_LIMIT_BYTES
from gateway.settings import KafkaSettings, SecurityProtocol, SettingsError
from gateway.streams.closing import close, start

__all__ = ["Clients", "close"]

METADATA_MAX_AGE_MS = 30_000
"""How soon added partitions and re-created topics are seen; the default is 5 minutes (K26)."""

HEARTBEATS_PER_SESSION = 5
"""So that a few lost ones do not cost the membership."""

MEMBER_REBALANCE_MS = 15_000
"""What the others get to finish their batch and join again; a worker's drain is shorter."""

MEMBER_REQUEST_TIMEOUT_MS = MEMBER_REBALANCE_MS + 10_000
"""JoinGroup is answered when the rebalance ends, so this must be longer by more than 5 s."""

MEMBER_MAX_POLL_MS = 60_000
"""The member polls several times a second; silent for a minute, the loop is stuck and its partitions are better off."""

READER_WAIT_MS = 50
"""Longest a fetch waits for the first record."""

READER_FETCH_BYTES = 1024 * 1024
"""Per fetch and partition, so that 32 workers stay within tens of MiB. A larger record still comes (KIP-74)."""

READER_REQUEST_TIMEOUT_MS = 5_000
"""A frozen broker is noticed within this; the worker is then rebuilt."""

FOLLOWER_WAIT_MS = 250
"""The follower's fetches are long polls: they return with the first event."""

FOLLOWER_FETCH_BYTES = 8 * 1024 * 1024
"""Large, because a start reads the whole log."""

FOLLOWER_REQUEST_TIMEOUT_MS = 3_000
"""A frozen leader is noticed within this."""

TRANSACTION_TIMEOUT_MS = 10_000
"""When the broker ends the transaction of a dead owner that has no successor; a successor ends it at once."""

TRANSACTIONAL_REQUEST_TIMEOUT_MS = 5_000
"""Also how long a batch may wait: after it the producer is thrown away (K13)."""

BATCH_BYTES = 2 * 1024 * 1024
"""Of a transactional producer's batches, before zstd: one batch of usual requests per topic and transaction, and below
the outputs' `max.message.bytes` even if nothing compresses."""

SIGNAL_DELIVERY_MS = 20_000
"""A frozen broker stays in the ISR for 10-12 s and stalls acknowledged writes on all partitions: give up later."""

SIGNAL_BATCH_BYTES = 64 * 1024
"""Signals are few and must go out at once."""

BARRIER_REQUEST_TIMEOUT_MS = 2_000
"""Above the round's own deadline: a connection that timed out is replaced."""

ADMIN_REQUEST_TIMEOUT_MS = 15_000
"""Creating topics waits for the controller."""

IDLE_CONNECTION_MS = 540_000
"""Below the brokers' own limit of 10 minutes, so that we close first."""


class Clients:
    """Builds clients for one cluster. Nothing connects before the client is started."""

    def __init__(self, kafka: KafkaSettings, client_id: str = "sendguard") -> None:
        """`client_id` is what brokers log and count quotas by. SettingsError when TLS files cannot be used."""
        self._client_id = client_id
        password = kafka.sasl_password
        self._connection: dict[str, Any] = {
            "bootstrap_servers": [server.strip() for server in kafka.bootstrap_servers.split(",")],
            "security_protocol": kafka.security_protocol.value,
            "ssl_context": _ssl_context(kafka),
            "sasl_mechanism": kafka.sasl_mechanism.value,
            "sasl_plain_username": kafka.sasl_username,
            "sasl_plain_password": None if password is None else password.reveal(),
            "metadata_max_age_ms": METADATA_MAX_AGE_MS,
            "connections_max_idle_ms": IDLE_CONNECTION_MS,
        }

    def member(self, group_id: str, instance_id: str | None, session_timeout_ms: int) -> AIOKafkaConsumer:
        """Only a member of the group: says which partitions are ours, never fetches. `subscribe` it, then start."""
        return AIOKafkaConsumer(
            client_id=self._named("member"),
            group_id=group_id,
            group_instance_id=instance_id,
            partition_assignment_strategy=(RoundRobinPartitionAssignor,),  # each further one costs a rebalance (K16)
            session_timeout_ms=session_timeout_ms,
            heartbeat_interval_ms=session_timeout_ms // HEARTBEATS_PER_SESSION,
            rebalance_timeout_ms=MEMBER_REBALANCE_MS,
            max_poll_interval_ms=MEMBER_MAX_POLL_MS,
            request_timeout_ms=MEMBER_REQUEST_TIMEOUT_MS,
            retry_backoff_ms=50,
            enable_auto_commit=False,
            auto_offset_reset="latest",  # its positions mean nothing; "none" would raise for a group without offsets
            isolation_level="read_committed",
            **self._connection,
        )

    def reader(self, wait_ms: int = READER_WAIT_MS) -> AIOKafkaConsumer:
        """Reads what `assign` and `seek` say, committed records only; belongs to no group.

        `wait_ms`: longest that a fetch waits for the first record.
        """
        return AIOKafkaConsumer(
            client_id=self._named("reader"),
            group_id=None,
            enable_auto_commit=False,
            auto_offset_reset="none",
            isolation_level="read_committed",
            check_crcs=True,
            fetch_max_wait_ms=wait_ms,
            fetch_min_bytes=1,
            fetch_max_bytes=READER_FETCH_BYTES,
            max_partition_fetch_bytes=READER_FETCH_BYTES,
            request_timeout_ms=READER_REQUEST_TIMEOUT_MS,
            retry_backoff_ms=20,
            **self._connection,
        )

    def state_follower(self) -> AIOKafkaConsumer:
        """Follows `dnd.events`: uncommitted reads, because events are written without transactions (K2)."""
        return AIOKafkaConsumer(
            client_id=self._named("follower"),
            group_id=None,
            enable_auto_commit=False,
            auto_offset_reset="none",
            isolation_level="read_uncommitted",
            check_crcs=True,
            fetch_max_wait_ms=FOLLOWER_WAIT_MS,
            fetch_min_bytes=1,
            fetch_max_bytes=4 * FOLLOWER_FETCH_BYTES,
            max_partition_fetch_bytes=FOLLOWER_FETCH_BYTES,
            request_timeout_ms=FOLLOWER_REQUEST_TIMEOUT_MS,
            retry_backoff_ms=50,
            **self._connection,
        )

    def transactional_producer(self, transactional_id: str) -> AIOKafkaProducer:
        """Starting it fences every former owner of the id and ends its transaction."""
        return AIOKafkaProducer(
            client_id=self._named("worker"),
            transactional_id=transactional_id,
            transaction_timeout_ms=TRANSACTION_TIMEOUT_MS,
            enable_idempotence=True,
            acks="all",
            compression_type="zstd",
            max_batch_size=BATCH_BYTES,
            max_request_size=OUTPUT_LIMIT_BYTES,
            linger_ms=0,
            request_timeout_ms=TRANSACTIONAL_REQUEST_TIMEOUT_MS,
            retry_backoff_ms=20,  # the default of 100 is what a fence that must abort a transaction waits
            **self._connection,
        )

    def signal_producer(self) -> AIOKafkaProducer:
        """Writes events: idempotent, acknowledged by all in-sync replicas, never in a transaction (K2, K3)."""
        return AIOKafkaProducer(
            client_id=self._named("signals"),
            transactional_id=None,
            enable_idempotence=True,
            acks="all",
            compression_type="zstd",
            max_batch_size=SIGNAL_BATCH_BYTES,
            max_request_size=OUTPUT_LIMIT_BYTES,
            linger_ms=0,
            request_timeout_ms=SIGNAL_DELIVERY_MS,
            retry_backoff_ms=50,
            **self._connection,
        )

    def barrier_client(self) -> AIOKafkaClient:
        """For freshness checks alone, so that they wait behind nothing else (K1)."""
        return self.bare("barrier", BARRIER_REQUEST_TIMEOUT_MS)

    def bare(self, role: str, request_timeout_ms: int = ADMIN_REQUEST_TIMEOUT_MS) -> AIOKafkaClient:
        """Sends single requests, on connections of its own; the caller `start`s it."""
        return AIOKafkaClient(
            client_id=self._named(role),
            request_timeout_ms=request_timeout_ms,
            retry_backoff_ms=20,
            **self._connection,
        )

    def admin(self) -> AIOKafkaAdminClient:
        """For topics and configurations. Its calls do not raise: read every error field (K22)."""
        return AIOKafkaAdminClient(
            client_id=self._named("admin"),
            request_timeout_ms=ADMIN_REQUEST_TIMEOUT_MS,
            retry_backoff_ms=100,
            **self._connection,
        )

    async def offset_metadata(self, group_id: str, partition: TopicPartition) -> str:
        """What was committed beside the group's offset of a partition, empty for nothing. KafkaError."""
        admin = self.admin()
        try:
            await start(admin)
            found = await admin.list_consumer_group_offsets(group_id, partitions=[partition])
            return str(found[partition].metadata or "")
        finally:
            await close(admin)

    async def min_insync_replicas(self, topic: str) -> int:
        """The live value of the topic. KafkaError when no broker says it."""
        admin = self.admin()
        try:
            await start(admin)
            wanted = ConfigResource(ConfigResourceType.TOPIC, topic, {"min.insync.replicas": ""})
            (answer,) = await admin.describe_configs([wanted])
            (resource,) = answer.to_object()["resources"]
            if resource["error_code"]:
                raise for_code(resource["error_code"])(resource["error_message"])
            return int(resource["config_entries"][0]["config_value"])
        finally:
            await close(admin)

    def _named(self, role: str) -> str:
        return f"{self._client_id}-{role}"


def _ssl_context(kafka: KafkaSettings) -> ssl.SSLContext | None:
    if kafka.security_protocol not in (SecurityProtocol.SSL, SecurityProtocol.SASL_SSL):
        return None
    password = kafka.ssl_key_password
    try:
        context = ssl.create_default_context(ssl.Purpose.SERVER_AUTH, cafile=kafka.ssl_cafile)
        context.check_hostname = kafka.ssl_check_hostname
        if kafka.ssl_certfile is not None:
            context.load_cert_chain(
                kafka.ssl_certfile,
                kafka.ssl_keyfile,
                # Never None: OpenSSL would ask for the password on the terminal.
                "" if password is None else password.reveal(),
            )
    except (OSError, ValueError) as error:
        files = ", ".join(str(file) for file in (kafka.ssl_cafile, kafka.ssl_certfile, kafka.ssl_keyfile) if file)
        raise SettingsError([f"kafka_ssl_*: expected usable PEM files, got {files or 'none'}: {error}"]) from error
    return context
