"""`dnd.state` for other readers, against a real Kafka."""

import asyncio
from pathlib import Path

import pytest

from gateway.contract.events import event_key
from gateway.contract.state import SubjectState, decode_state
from gateway.contract.topics import Topics
from gateway.dnd.model import Actor, ActorKind, Cause, Event, Lift, LiftTerm, Place, Scope, Subject, SubjectKind
from gateway.localkafka import LocalKafka
from gateway.settings import Settings
from gateway.streams.clients import Clients
from gateway.streams.writing import Unwritten, event_record, writer
from tests.running import Outside, running, sample, settings_for, until

AT = 1_763_900_000_000
PHONE = Subject("loc1", SubjectKind.PHONE, "+14155550001")
CONTACT = Subject("loc1", SubjectKind.CONTACT, "c1")
USER = Actor(ActorKind.USER, "u1")


@pytest.fixture
def settings(kafka: LocalKafka, tmp_path: Path, fresh_name: str) -> Settings:
    return settings_for(kafka, tmp_path, fresh_name)


def place(event_id: str, subject: Subject, scope: Scope, at: int = AT) -> Place:
    return Place(event_id, subject, (scope,), (Cause.MANUAL,), at, USER)


async def write(settings: Settings, *events: Event) -> None:
    async with writer(Clients(settings.kafka), Topics(settings.topics.prefix).dnd_events) as to_log:
        await to_log.write(event_record(event, AT) for event in events)


def states(outside: Outside, at_least: int) -> dict[bytes, SubjectState]:
    """The newest of each key, as a reader of a compacted topic has them."""
    return {
        record.key(): decode_state(record.value()) for record in outside.committed(outside.topics.dnd_state, at_least)
    }


async def test_every_subject_touched_has_its_current_record_in_the_partition_of_its_events(settings: Settings) -> None:
    outside = Outside.of(settings)
    async with running(settings, "checkpoint"):
        await write(settings, place("e1", PHONE, Scope.SMS), place("e2", CONTACT, Scope.ALL))
        found = await asyncio.to_thread(states, outside, 2)
        records = await asyncio.to_thread(outside.committed, outside.topics.dnd_state, 2)
        events = await asyncio.to_thread(outside.committed, outside.topics.dnd_events, 2)
    assert {state.subject for state in found.values()} == {PHONE, CONTACT}
    held = {subject: [key for key, _ in found[event_key(subject)].record.holds()] for subject in (PHONE, CONTACT)}
    assert held == {PHONE: [(Scope.SMS, Cause.MANUAL)], CONTACT: [(Scope.ALL, Cause.MANUAL)]}
    assert {each.key(): each.partition() for each in records} == {each.key(): each.partition() for each in events}


async def test_a_lift_is_written_as_an_ended_hold_and_not_left_out(settings: Settings) -> None:
    outside = Outside.of(settings)
    lift = Lift("e2", PHONE, (LiftTerm(Scope.SMS, Cause.MANUAL, AT),), USER)
    async with running(settings, "checkpoint"):
        await write(settings, place("e1", PHONE, Scope.SMS))
        await asyncio.to_thread(states, outside, 1)
        await write(settings, lift)
        found = await asyncio.to_thread(states, outside, 2)
    register = found[event_key(PHONE)].record.registers[Scope.SMS, Cause.MANUAL]
    assert (register.placed.at, register.lifted.at, register.in_force) == (AT, AT, False)


async def test_an_event_nobody_can_read_is_passed_over_and_counted(settings: Settings) -> None:
    outside = Outside.of(settings)
    async with running(settings, "checkpoint") as service:
        async with writer(Clients(settings.kafka), outside.topics.dnd_events) as to_log:
            await to_log.write([Unwritten(event_key(PHONE), b"{")])
        await write(settings, place("e1", PHONE, Scope.SMS))
        assert list(await asyncio.to_thread(states, outside, 1)) == [event_key(PHONE)]
        await until(lambda: sample(service.metrics.exposition().decode(), "sendguard_states_written_total") == 1)
        assert sample(service.metrics.exposition().decode(), "sendguard_events_unreadable_total") == 1


async def test_events_from_before_it_ran_are_written_too_and_none_twice_after_a_restart(settings: Settings) -> None:
    outside = Outside.of(settings)
    async with running(settings, "http"):
        await write(settings, place("e1", PHONE, Scope.SMS))
    async with running(settings, "checkpoint"):
        await asyncio.to_thread(states, outside, 1)
    async with running(settings, "checkpoint"):
        await write(settings, place("e2", CONTACT, Scope.SMS))
        await asyncio.to_thread(states, outside, 2)
        records = await asyncio.to_thread(outside.committed, outside.topics.dnd_state, 2)
    assert [each.key() for each in records].count(event_key(PHONE)) == 1
