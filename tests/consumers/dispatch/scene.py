"""Dispatch, with the guard before it and a provider behind it, on a real Kafka."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gateway.app import Service
from gateway.contract.topics import Topics
from gateway.dnd.model import Actor, ActorKind, Cause, Place, Scope, Subject, SubjectKind
from gateway.localkafka import LocalKafka
from gateway.settings import Settings
from gateway.streams.clients import Clients
from gateway.streams.writing import event_record, writer
from tests.consumers.dispatch.provider import Provider, serving
from tests.running import Outside, running, settings_for

ACCOUNT = """
[locations.{location}]
max_per_second = {rate}
[locations.{location}.twilio]
account_sid = "{sid}"
auth_token = "token"
from_number = "+14155550100"
public_url = "https://gw.example.com"
api_base = "{url}"
"""


def accounts_file(folder: Path, url: str, rate: float = 1000, **sids: str) -> Path:
    """Locations with their accounts at Twilio."""
    path = folder / "accounts.toml"
    accounts = sids or {"loc1": "AC1"}
    path.write_text(
        "".join(ACCOUNT.format(location=name, sid=sid, url=url, rate=rate) for name, sid in accounts.items())
    )
    return path


@dataclass(frozen=True, slots=True)
class Scene:
    """`service` runs guard and dispatch."""

    settings: Settings
    service: Service
    provider: Provider
    outside: Outside

    async def send(self, *requests: Mapping[str, object], partition: int = 0) -> None:
        await asyncio.to_thread(self.outside.send, requests, partition)

    async def receipts(self, at_least: int) -> list[dict[str, Any]]:
        """All committed receipts, once there are so many."""
        return await asyncio.to_thread(receipts, self.outside, at_least)

    async def hold(self, phone: str, location_id: str = "loc1") -> None:
        """By a keyword; acknowledged."""
        await hold(self.settings, phone, location_id)


def receipts(outside: Outside, at_least: int) -> list[dict[str, Any]]:
    return [json.loads(record.value()) for record in outside.committed(outside.topics.receipts, at_least)]


async def hold(settings: Settings, phone: str, location_id: str = "loc1") -> None:
    subject = Subject(location_id, SubjectKind.PHONE, phone)
    actor = Actor(ActorKind.CONTACT, phone)
    place = Place(f"stop-{phone}", subject, (Scope.SMS,), (Cause.KEYWORD_OPT_OUT,), 1_763_900_000_000, actor)
    async with writer(Clients(settings.kafka), Topics(settings.topics.prefix).dnd_events) as to_log:
        await to_log.write([event_record(place, 1_763_900_000_000)])


@asynccontextmanager
async def dispatching(
    kafka: LocalKafka,
    folder: Path,
    name: str,
    provider: Provider,
    *,
    rate: float = 1000,
    sids: Mapping[str, str] | None = None,
    roles: Iterable[str] = ("guard", "dispatch"),
    **values: object,
) -> AsyncIterator[Scene]:
    async with serving(provider):
        accounts = accounts_file(folder, provider.url, rate, **(sids or {}))
        settings = settings_for(kafka, folder, name, accounts=str(accounts), **values)
        async with running(settings, *roles) as service:
            yield Scene(settings, service, provider, Outside.of(settings))
