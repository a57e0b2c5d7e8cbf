"""The settings. Each field is one row; a limit's reason stands beside it."""

from __future__ import annotations

import re
import socket
from collections.abc import Iterator, Mapping
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import msgspec

from gateway.contract.topics import Count
from gateway.settings.api import ApiSettings, contradictions
from gateway.settings.dispatch import DispatchSettings
from gateway.settings.errors import SettingsError
from gateway.settings.reconcile import ReconcileSettings
from gateway.settings.rows import Raw, Setting, build, number, row, rows_of
from gateway.settings.secret import Secret
from gateway.settings.sent import SentSettings

KAFKA_NAME = r"^[a-zA-Z0-9._-]*$"
"""What Kafka allows in names of topics and static members."""

HOUR_MS = 3_600_000

REQUEST_RETENTION_MIN_HOURS = 24
"""Less than a day of outage must never delete undecided requests."""


class SecurityProtocol(StrEnum):
    PLAINTEXT = "PLAINTEXT"
    SSL = "SSL"
    SASL_PLAINTEXT = "SASL_PLAINTEXT"
    SASL_SSL = "SASL_SSL"


class SaslMechanism(StrEnum):
    PLAIN = "PLAIN"
    SCRAM_SHA_256 = "SCRAM-SHA-256"
    SCRAM_SHA_512 = "SCRAM-SHA-512"


class LogLevel(StrEnum):
    DEBUG = "DEBUG"
    INFO = "INFO"
    WARNING = "WARNING"
    ERROR = "ERROR"


def _host_name(_: Mapping[str, object]) -> str:
    return re.sub(r"[^a-zA-Z0-9._-]", "-", socket.gethostname())


class KafkaSettings(msgspec.Struct, frozen=True, kw_only=True):
    """How every client reaches the brokers."""

    bootstrap_servers: Annotated[
        str, row("kafka_bootstrap_servers", "Brokers to ask first, as host:port, separated by commas.")
    ] = "localhost:9092"
    security_protocol: Annotated[
        SecurityProtocol, row("kafka_security_protocol", "Whether connections use TLS (SSL) and a password (SASL).")
    ] = SecurityProtocol.PLAINTEXT
    sasl_mechanism: Annotated[SaslMechanism, row("kafka_sasl_mechanism", "How the password is proved.")] = (
        SaslMechanism.PLAIN
    )
    sasl_username: Annotated[str | None, row("kafka_sasl_username", "User name for SASL.")] = None
    sasl_password: Annotated[Secret | None, row("kafka_sasl_password", "Password for SASL.")] = None
    ssl_cafile: Annotated[
        Path | None,
        row("kafka_ssl_cafile", "PEM file of the authorities that sign broker certificates; unset: the system's."),
    ] = None
    ssl_certfile: Annotated[Path | None, row("kafka_ssl_certfile", "PEM file of our certificate, for mutual TLS.")] = (
        None
    )
    ssl_keyfile: Annotated[
        Path | None, row("kafka_ssl_keyfile", "PEM file of our private key; unset: it is in the certificate's file.")
    ] = None
    ssl_key_password: Annotated[Secret | None, row("kafka_ssl_key_password", "Password of the private key.")] = None
    ssl_check_hostname: Annotated[
        bool, row("kafka_ssl_check_hostname", "Whether a broker's certificate must name the host we connect to.")
    ] = True


class TopicSettings(msgspec.Struct, frozen=True, kw_only=True):
    """What `topics apply` creates and `topics check` insists on."""

    prefix: Annotated[
        str,
        row(
            "topic_prefix",
            "Put before every topic name, so that several gateways can share a cluster.",
            pattern=KAFKA_NAME,
        ),
    ] = ""
    replication_factor: Annotated[
        int,
        number(
            "replication_factor",
            "Copies of each partition; min.insync.replicas = RF // 2 + 1; 1 is for development.",
            ge=1,
            le=9,
        ),
    ] = 3
    request_partitions: Annotated[
        int,
        number("request_partitions", "Partitions of outbound.requests; may grow, the outputs first.", ge=1, le=10_000),
    ] = 12
    output_partitions: Annotated[
        int,
        number(
            "output_partitions",
            "Partitions of outbound.<channel>, decisions, dead and receipts; never fewer than the requests have.",
            ge=1,
            le=10_000,
            derive=lambda given: given["request_partitions"],
            derived_as="as request_partitions",
        ),
    ]
    event_partitions: Annotated[
        int,
        number(
            "event_partitions", "Partitions of dnd.events, dnd.state and dnd.changes; fixed for life.", ge=1, le=10_000
        ),
    ] = 6
    other_partitions: Annotated[
        int,
        number("other_partitions", "Partitions of contacts, integrations and dnd.commands.", ge=1, le=10_000),
    ] = 6
    request_retention_hours: Annotated[
        int,
        number(
            "request_retention_hours",
            "How long requests, what became of them, commands and changes are kept.",
            unit="h",
            ge=REQUEST_RETENTION_MIN_HOURS,
            le=10 * 365 * 24,
        ),
    ] = 168

    @property
    def min_insync_replicas(self) -> int:
        """A majority: an acknowledged record survives the loss of the others."""
        return self.replication_factor // 2 + 1

    @property
    def request_retention_ms(self) -> int:
        return self.request_retention_hours * HOUR_MS

    def count(self, count: Count) -> int:
        """Partitions of the topics that follow this setting."""
        match count:
            case Count.REQUESTS:
                return self.request_partitions
            case Count.OUTPUTS:
                return self.output_partitions
            case Count.EVENTS:
                return self.event_partitions
            case Count.OTHERS:
                return self.other_partitions


class GuardSettings(msgspec.Struct, frozen=True, kw_only=True):
    """The decision loop."""

    group_id: Annotated[
        str,
        row(
            "group_id",
            "Consumer group of the guard and head of its transactional ids; never change it with requests waiting.",
            derive=lambda given: f"{given['topic_prefix']}sendguard.guard",
            derived_as="topic_prefix + sendguard.guard",
        ),
    ]
    session_timeout_ms: Annotated[
        int,
        # Brokers refuse less than 6 s and more than 30 min unless group.min/max.session.timeout.ms say otherwise.
        number(
            "session_timeout_ms",
            "A guard not heard of for this long loses its partitions.",
            unit="ms",
            ge=1_000,
            le=1_800_000,
        ),
    ] = 10_000
    batch_records: Annotated[
        int, number("batch_records", "Most requests decided in one transaction.", unit="records", ge=1, le=20_000)
    ] = 2_000
    barrier_deadline_ms: Annotated[
        int,
        number("barrier_deadline_ms", "A freshness check older than this is thrown away.", unit="ms", ge=50, le=30_000),
    ] = 1_000


class HttpSettings(msgspec.Struct, frozen=True, kw_only=True):
    """The HTTP server."""

    host: Annotated[str, row("http_host", "Address the HTTP server listens on.")] = "127.0.0.1"
    port: Annotated[int, number("http_port", "Port of the HTTP server; 0 takes a free one.", ge=0, le=65_535)] = 8080


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """All settings. Made by `of` (values by key) or `gateway.settings.load` (environment and file)."""

    kafka: KafkaSettings
    topics: TopicSettings
    guard: GuardSettings
    http: HttpSettings
    api: ApiSettings
    dispatch: DispatchSettings
    sent: SentSettings
    reconcile: ReconcileSettings
    instance_id: Annotated[
        str,
        row(
            "instance_id",
            "Name of this process, the same after a restart and never that of another one: static group membership.",
            pattern=KAFKA_NAME,
            derive=_host_name,
            derived_as="the host name",
        ),
    ]
    data_dir: Annotated[Path, row("data_dir", "Folder of the local view of all holds.")] = Path("data")
    database_url: Annotated[
        Secret | None,
        row("database_url", "Database of contacts, appeals and the audit; unset: SQLite in the data directory."),
    ] = None
    accounts: Annotated[Path | None, row("accounts", "TOML file of provider accounts and settings of locations.")] = (
        None
    )
    log_level: Annotated[LogLevel, row("log_level", "Least severity that is logged.")] = LogLevel.INFO

    @classmethod
    def of(cls, **values: object) -> Settings:
        """Settings from values by key, the rest by default; raises SettingsError."""
        return settings_from({key: Raw(value, key) for key, value in values.items()})


def settings_table() -> list[Setting]:
    """Every setting there is, for the documentation."""
    return rows_of(Settings)


def settings_from(given: Mapping[str, Raw]) -> Settings:
    """Settings from raw values by key; SettingsError names everything that is wrong."""
    settings = build(Settings, given)
    problems = list(_contradictions(settings))
    if problems:
        raise SettingsError(problems)
    return settings


def _contradictions(settings: Settings) -> Iterator[str]:
    """What each value allows and two together do not."""
    kafka, topics = settings.kafka, settings.topics
    if kafka.security_protocol.startswith("SASL") and (kafka.sasl_username is None or kafka.sasl_password is None):
        yield f"kafka_sasl_username, kafka_sasl_password: expected both with {kafka.security_protocol}"
    if kafka.ssl_keyfile is not None and kafka.ssl_certfile is None:
        yield "kafka_ssl_certfile: expected with kafka_ssl_keyfile"
    if topics.output_partitions < topics.request_partitions:
        yield (
            f"output_partitions: expected at least request_partitions ({topics.request_partitions}), "
            f"got {topics.output_partitions}: a forwarded request keeps its partition number"
        )
    yield from contradictions(settings.api)
