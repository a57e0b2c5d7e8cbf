"""What a caller may choose about the local Kafka. Nothing here touches the machine."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

START_DEADLINE_S = 60.0
"""Start to ready. Three brokers need 4-10 s; with both cores busy two to three times that."""

FAST_HEAP_MIB = 256
"""Enough for the test load with the small cleaner buffer; below 160 MiB Kafka dies of memory."""

BENCHMARK_HEAP_MIB = 1024
"""So that garbage collection of the broker is not what a benchmark measures."""

LOOPBACK = "127.0.0.1"


class LocalKafkaError(Exception):
    """The local Kafka cannot be had; the message says why and what to do."""


class Backend(StrEnum):
    """What runs the brokers."""

    DOCKER = "docker"
    MAVEN = "maven"


class Tuning(StrEnum):
    """What the brokers' JVMs are set up for."""

    FAST_START = "fast-start"
    BENCHMARK = "benchmark"


class SecurityProtocol(StrEnum):
    """Kafka's own names; a listener is called after its protocol."""

    PLAINTEXT = "PLAINTEXT"
    SSL = "SSL"
    SASL_PLAINTEXT = "SASL_PLAINTEXT"
    SASL_SSL = "SASL_SSL"

    @property
    def has_tls(self) -> bool:
        return self in {SecurityProtocol.SSL, SecurityProtocol.SASL_SSL}

    @property
    def has_sasl(self) -> bool:
        return self in {SecurityProtocol.SASL_PLAINTEXT, SecurityProtocol.SASL_SSL}


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalKafkaConfig:
    """One local cluster.

    `port` is the first broker's PLAINTEXT port, broker n listens on `port + n - 1`; None takes free ones.
    `data_dir` None means a temporary directory that goes away with the cluster; a given one is kept and can be
    started again with the same number of brokers.
    `backend` None means: SENDGUARD_KAFKA_BACKEND if set, else Docker if an engine answers, else Maven.
    `secure_listeners` are opened next to PLAINTEXT, with free ports, one user (PLAIN) and a certificate of their own.
    `quick_failover` lets the controller give up a silent broker after 3 s in place of 9 s.
    `server_properties` win over everything this package sets.
    """

    brokers: int = 1
    port: int | None = None
    data_dir: Path | None = None
    cache_dir: Path | None = None
    backend: Backend | None = None
    tuning: Tuning = Tuning.FAST_START
    heap_mib: int | None = None
    secure_listeners: tuple[SecurityProtocol, ...] = ()
    sasl_username: str = "sendguard"
    sasl_password: str = field(default="local-only", repr=False)
    quick_failover: bool = False
    server_properties: Mapping[str, str] = field(default_factory=dict)
    start_deadline_s: float = START_DEADLINE_S

    def __post_init__(self) -> None:
        if self.brokers not in {1, 3}:
            raise ValueError(f"a local cluster has 1 or 3 brokers, not {self.brokers}")
        if self.port is not None and not 1024 <= self.port <= 65535 - self.brokers + 1:
            raise ValueError(f"port {self.port} is outside 1024..{65535 - self.brokers + 1}")
        if SecurityProtocol.PLAINTEXT in self.secure_listeners:
            raise ValueError("PLAINTEXT is always there and is not a secure listener")
        if len(set(self.secure_listeners)) != len(self.secure_listeners):
            raise ValueError("each secure listener can be opened once")

    @property
    def heap(self) -> int:
        """Maximum heap of each broker in MiB."""
        if self.heap_mib is not None:
            return self.heap_mib
        return BENCHMARK_HEAP_MIB if self.tuning is Tuning.BENCHMARK else FAST_HEAP_MIB
