"""All that others have of the service: its port, its topics, and what it calls."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from confluent_kafka import Producer

from tests.faults.clients import options
from tests.requirements.mailgun_api import MailgunApi
from tests.requirements.process import DEADLINE_S, Service
from tests.requirements.reader import Reader

Hold = tuple[str, str, str]
"""Channel, cause and kind."""


@dataclass(frozen=True, slots=True)
class Decided:
    """A decision, and the request it is on."""

    decision: Mapping[str, Any]
    sent: bytes

    @property
    def outcome(self) -> str:
        return str(self.decision["outcome"])

    @property
    def holds(self) -> set[Hold]:
        """What it was dropped for."""
        return {(each["channel"], each["cause"], each["kind"]) for each in self.decision["reasons"]}

    @property
    def causes(self) -> set[str]:
        return {cause for _, cause, _ in self.holds}


@dataclass(frozen=True, slots=True)
class Outside:
    """All that others have of the service."""

    service: Service
    reader: Reader
    producer: Producer
    prefix: str
    mailgun_api: MailgunApi

    @classmethod
    def of(cls, service: Service, bootstrap: str, prefix: str, api: MailgunApi) -> Outside:
        producer = Producer({**options(bootstrap), "acks": "all", "linger.ms": 0})
        return cls(service, Reader(bootstrap, prefix), producer, prefix, api)

    def produce(self, topic: str, key: object, value: object) -> None:
        """One record, acknowledged. Text is as it is, what is no text becomes JSON; None stays none."""
        self.producer.produce(self.prefix + topic, _bytes(value), _bytes(key))
        assert self.producer.flush(DEADLINE_S) == 0


def _bytes(given: object) -> bytes | None:
    return given if given is None or isinstance(given, bytes) else coded(given)


def coded(value: object) -> bytes:
    return (value if isinstance(value, str) else json.dumps(value, separators=(",", ":"))).encode()
