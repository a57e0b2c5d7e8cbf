"""A CRM that writes snapshots, people that write events, and what has become of contacts in the log."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Iterable
from dataclasses import dataclass

from confluent_kafka import Producer

from gateway.contract.contacts import contact_key
from gateway.contract.events import decode_event
from gateway.contract.topics import Topics
from gateway.dnd.model import Actor, ActorKind, Cause, Event, Lift, LiftTerm, Place, Scope, Subject, SubjectKind
from gateway.dnd.record import EMPTY, Record, RegisterKey, fold
from gateway.settings import Settings
from gateway.signals.publish import ASKS_TIME
from gateway.streams.clients import Clients
from gateway.streams.writing import event_record, writer
from tests.kafka.outside import DEADLINE_S, LOOK_EVERY_S, Outsider

AT = 1_763_900_000_000
STOPPED = (Scope.SMS, Cause.KEYWORD_OPT_OUT)


def phone(number: int) -> Subject:
    return Subject("loc1", SubjectKind.PHONE, f"+1415555{number:04d}")


def contact(id_: str) -> Subject:
    return Subject("loc1", SubjectKind.CONTACT, id_)


def stop(subject: Subject, event_id: str = "s1", at: int = AT) -> Place:
    return Place(event_id, subject, (Scope.SMS,), (Cause.KEYWORD_OPT_OUT,), at, Actor(ActorKind.CONTACT, subject.id))


def start(subject: Subject, event_id: str = "s2", through: int = AT + 1) -> Lift:
    return Lift(event_id, subject, (LiftTerm(*STOPPED, through),), Actor(ActorKind.CONTACT, subject.id))


def snapshot(id_: str, *phones: int, updated_at: int = AT, **more: object) -> dict[str, object]:
    main, *others = [phone(number).id for number in phones] or [""]
    given = {"location_id": "loc1", "contact_id": id_, "phone": main, "additional_phones": others}
    return given | {"updated_at": updated_at} | more


Written = dict[str, object] | str | bytes
"""A snapshot; the id of a contact, for a null value; or any bytes."""


@dataclass(frozen=True, slots=True)
class Crm:
    """One service's topics, from outside."""

    settings: Settings

    @property
    def topics(self) -> Topics:
        return Topics(self.settings.topics.prefix)

    async def contacts(self, *given: Written) -> None:
        """Write snapshots, acknowledged."""
        await asyncio.to_thread(self._produce, given)

    def _produce(self, given: Iterable[Written]) -> None:
        producer = Producer({"bootstrap.servers": self.settings.kafka.bootstrap_servers, "acks": "all"})
        for each in given:
            value = json.dumps(each).encode() if isinstance(each, dict) else each if isinstance(each, bytes) else None
            id_ = str(each["contact_id"]) if isinstance(each, dict) else str(each)
            producer.produce(self.topics.contacts, value, contact_key("loc1", id_))
        assert producer.flush(DEADLINE_S) == 0

    async def events(self, *events: Event) -> None:
        """Write events, acknowledged."""
        async with writer(Clients(self.settings.kafka), self.topics.dnd_events) as to_log:
            await to_log.write(event_record(event, AT) for event in events)

    async def log(self) -> list[tuple[Event, int]]:
        """Every event with its broker time, partition by partition, without records that only ask for that."""
        outsider = Outsider(self.settings.kafka.bootstrap_servers)
        records = await asyncio.to_thread(lambda: outsider.read(self.topics.dnd_events, committed=False))
        times = [record.timestamp()[1] for record in records]
        found = [decode_event(record.value(), at) for record, at in zip(records, times, strict=True)]
        return [(event, at) for event, at in zip(found, times, strict=True) if event.event_id != ASKS_TIME]

    async def record(self, subject: Subject) -> Record:
        record = EMPTY
        for event, broker_time in await self.log():
            if event.subject == subject:
                record = fold(record, event, broker_time).record
        return record

    async def held(self, id_: str) -> set[RegisterKey]:
        return {key for key, _ in (await self.record(contact(id_))).holds()}

    async def until_held(self, id_: str, *keys: RegisterKey) -> None:
        """Wait until the contact is held for these and nothing else."""
        deadline = time.monotonic() + DEADLINE_S
        while (found := await self.held(id_)) != set(keys):
            assert time.monotonic() < deadline, f"{id_} is held for {found}"
            await asyncio.sleep(LOOK_EVERY_S)
