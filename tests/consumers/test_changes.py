"""R20: one event in `dnd.changes` for each real change of what a contact's DND shows, against a real Kafka."""

from __future__ import annotations

import asyncio
import itertools
import json
import os
import random
import shutil
import signal
import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

import consumers.changes
from gateway.contract.events import decode_event, encode_event, event_key
from gateway.directory.directory import Directory
from gateway.dnd.model import Actor, ActorKind, Cause, Event, Lift, LiftTerm, Place, Scope, Subject, SubjectKind
from gateway.dnd.record import EMPTY, Record, fold
from gateway.dnd.status import ContactRecords
from gateway.dnd.visible import changes, visible
from gateway.localkafka import LocalKafka
from gateway.settings import Settings
from gateway.streams.clients import Clients
from gateway.streams.partitioning import partition_of
from gateway.streams.topics import apply
from gateway.streams.writing import event_record, writer
from tests.kafka.outside import Given, Outsider
from tests.running import Outside, environment_for, running, sample, settings_for, until

AT = 1_763_900_000_000
PHONE = Subject("loc1", SubjectKind.PHONE, "+14155550001")
USER = Actor(ActorKind.USER, "u1")
THEM = Actor(ActorKind.CONTACT, "+14155550001")


def contact(name: str = "c1", location: str = "loc1") -> Subject:
    return Subject(location, SubjectKind.CONTACT, name)


def stop(event_id: str, subject: Subject, at: int = AT) -> Place:
    return Place(event_id, subject, (Scope.SMS,), (Cause.KEYWORD_OPT_OUT,), at, THEM)


def start(event_id: str, subject: Subject, through: int = AT) -> Lift:
    return Lift(event_id, subject, (LiftTerm(Scope.SMS, Cause.KEYWORD_OPT_OUT, through),), THEM)


def manual(event_id: str, subject: Subject, scope: Scope, at: int = AT) -> Place:
    return Place(event_id, subject, (scope,), (Cause.MANUAL,), at, USER)


async def write(settings: Settings, *events: Event) -> None:
    async with writer(Clients(settings.kafka), Outside.of(settings).topics.dnd_events) as to_log:
        await to_log.write([event_record(event, AT) for event in events])


async def published(outside: Outside, at_least: int) -> list[dict[str, Any]]:
    found = await asyncio.to_thread(outside.committed, outside.topics.dnd_changes, at_least)
    return [json.loads(each.value()) for each in found]


def switched(change: dict[str, Any]) -> list[tuple[str, str, str, str]]:
    return [(each["channel"], each["before"], each["after"], each["cause"]) for each in change["changes"]]


@pytest.fixture
def settings(kafka: LocalKafka, tmp_path: Path, fresh_name: str) -> Settings:
    return settings_for(kafka, tmp_path, fresh_name)


async def test_r20_a_change_is_the_vendors_update_with_before_and_after(settings: Settings) -> None:
    outside = Outside.of(settings)
    async with running(settings, "changes"):
        await write(settings, stop("SM1", contact()))
        (change,) = await published(outside, 1)
        (record,) = await asyncio.to_thread(outside.committed, outside.topics.dnd_changes, 1)
        await write(settings, manual("m1", contact(), Scope.ALL))
        _, second = await published(outside, 2)
    assert record.key() == b"c1"
    assert (change["type"], change["locationId"], change["id"]) == ("ContactDndUpdate", "loc1", "c1")
    assert (change["dnd"], change["status"], change["caused_by"]) == (False, "Partial", "SM1")
    assert change["dndSettings"]["SMS"] == {"status": "permanent", "message": "", "code": ""}
    assert {each["status"] for name, each in change["dndSettings"].items() if name != "SMS"} == {"inactive"}
    assert switched(change) == [("SMS", "inactive", "permanent", "keyword_opt_out")]
    assert change["changed_at"] > AT
    assert (second["dnd"], second["status"]) == (True, "On")
    assert switched(second) == [("ALL", "inactive", "active", "manual")]
    assert second["event_id"] != change["event_id"]


async def test_r20_on_and_off_at_once_are_two_changes_and_repetition_is_none(settings: Settings) -> None:
    c1, c2 = contact(), contact("c2")
    outside = Outside.of(settings)
    await apply(settings)
    await write(settings, stop("SM1", c1), stop("SM1", c1), start("SM2", c1), start("SM2", c1), stop("SM1", c1))
    await write(settings, manual("m1", c1, Scope.SMS), manual("m2", c1, Scope.SMS, AT + 1))
    async with running(settings, "changes"):
        await write(settings, manual("end", c2, Scope.FB))
        found = await published(outside, 4)
    of_c1 = [switched(each) for each in found if each["id"] == "c1"]
    assert of_c1 == [
        [("SMS", "inactive", "permanent", "keyword_opt_out")],
        [("SMS", "permanent", "inactive", "keyword_opt_out")],
        [("SMS", "inactive", "active", "manual")],
    ]
    assert len(found) == 4


async def test_a_stop_mirrored_to_three_contacts_is_three_changes_and_nothing_before(settings: Settings) -> None:
    names = ["c1", "c2", "c3"]
    outside = Outside.of(settings)
    async with running(settings, "changes"):
        await write(settings, stop("SM1", PHONE), manual("m1", contact("other"), Scope.FB))
        assert [each["id"] for each in await published(outside, 1)] == ["other"]
        await write(settings, *[stop(f"mirror:SM1:{name}", contact(name)) for name in names])
        found = await published(outside, 4)
    assert sorted(each["id"] for each in found) == [*names, "other"]


async def test_contacts_of_two_locations_with_one_id_are_two(settings: Settings) -> None:
    outside = Outside.of(settings)
    async with running(settings, "changes"):
        await write(settings, stop("SM1", contact()), stop("SM1", contact(location="loc2")))
        found = await published(outside, 2)
        await until(lambda: len(outside._read(outside.topics.dnd_changes_state)) == 2)
    assert {each["locationId"] for each in found} == {"loc1", "loc2"}
    states = await asyncio.to_thread(outside.committed, outside.topics.dnd_changes_state, 2)
    assert {each.key() for each in states} == {b'["loc1","c1"]', b'["loc2","c1"]'}


async def test_an_event_in_another_partition_than_its_contacts_is_moved_and_changes_once(
    kafka: LocalKafka, settings: Settings
) -> None:
    """Senders' partitioners differ; two writers of one contact could both publish."""
    outside, place = Outside.of(settings), stop("SM1", contact())
    elsewhere = 1 - partition_of(event_key(contact()), 2)
    given = [Given(encode_event(place, AT), event_key(contact()))]
    async with running(settings, "changes") as service:
        await asyncio.to_thread(Outsider.of(kafka).produce, outside.topics.dnd_events, given, elsewhere)
        (change,) = await published(outside, 1)
        assert switched(change) == [("SMS", "inactive", "permanent", "keyword_opt_out")]
        await write(settings, start("SM2", contact()))
        assert len(await published(outside, 2)) == 2
        assert sample(service.metrics.exposition().decode(), "sendguard_changes_moved_events_total") == 1
    events = await asyncio.to_thread(outside.committed, outside.topics.dnd_events, 3)
    assert len(events) == 3


async def test_what_is_held_on_a_contacts_address_is_seen_with_it(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    class HasThePhone:
        async def addresses(self, location_id: str, contact_id: str) -> tuple[Subject, ...]:
            return (PHONE,)

        async def close(self) -> None:
            return

    monkeypatch.setattr(Directory, "of", lambda _: HasThePhone())
    outside = Outside.of(settings)
    await apply(settings)
    await write(settings, stop("SM1", PHONE))
    async with running(settings, "changes"):
        await write(settings, manual("m1", contact(), Scope.FB))
        (change,) = await published(outside, 1)
        await write(settings, stop("mirror", contact()))
        await write(settings, manual("m2", contact(), Scope.GMB))
        found = await published(outside, 2)
    assert [each["channel"] for each in change["changes"]] == ["SMS", "FB"]
    assert [switched(each) for each in found[1:]] == [[("GMB", "inactive", "active", "manual")]]


@pytest.mark.parametrize("how", ["copy deleted", "offsets set back"])
async def test_after_a_restart_nothing_is_published_again(kafka: LocalKafka, settings: Settings, how: str) -> None:
    outside = Outside.of(settings)
    async with running(settings, "changes"):
        await write(settings, stop("SM1", contact()), manual("m1", contact("c2"), Scope.FB))
        await published(outside, 2)
    if how == "copy deleted":
        shutil.rmtree(settings.data_dir / consumers.changes.DIRECTORY)
    else:
        group = f"{settings.topics.prefix}sendguard.changes"
        await asyncio.to_thread(set_back, kafka, group, outside.topics.dnd_events)
    async with running(settings, "changes"):
        await write(settings, start("SM2", contact()), stop("SM1", contact(), AT + 5))  # a repetition, at another time
        await write(settings, manual("m3", contact("c2"), Scope.FB, AT + 5), manual("m4", contact("c3"), Scope.FB))
        found = await published(outside, 4)
    assert sorted((each["id"], len(each["changes"])) for each in found) == [("c1", 1), ("c1", 1), ("c2", 1), ("c3", 1)]


def set_back(kafka: LocalKafka, group: str, topic: str) -> None:
    from confluent_kafka import ConsumerGroupTopicPartitions, TopicPartition
    from confluent_kafka.admin import AdminClient

    admin = AdminClient({"bootstrap.servers": kafka.bootstrap_servers})
    wanted = ConsumerGroupTopicPartitions(group, [TopicPartition(topic, number, 0) for number in range(2)])
    for done in admin.alter_consumer_group_offsets([wanted]).values():
        done.result(30)


KILLS = 4
CONTACTS = [contact(f"c{number}") for number in range(6)]


def random_events(rng: random.Random, numbers: Iterator[int]) -> list[Event]:
    """Some of them repeat others, many change nothing."""
    events: list[Event] = []
    for _ in range(rng.randrange(5, 60)):
        number, subject, at = next(numbers), rng.choice(CONTACTS), AT + rng.randrange(1_000)
        kind = rng.randrange(4)
        if kind == 0:
            events.append(stop(f"e{number}", subject, at))
        elif kind == 1:
            events.append(start(f"e{number}", subject, at))
        elif kind == 2:
            events.append(manual(f"e{number}", subject, rng.choice(list(Scope)), at))
        else:
            term = LiftTerm(rng.choice(list(Scope)), Cause.MANUAL, at)
            events.append(Lift(f"e{number}", subject, (term,), USER))
        if rng.random() < 0.2:
            events.append(rng.choice(events))
    return events


def expected(log: Sequence[Any]) -> dict[str, list[list[tuple[str, str, str, str]]]]:
    """From the log alone: every event at which what people see becomes different, by contact."""
    records: dict[Subject, Record] = defaultdict(lambda: EMPTY)
    found: dict[str, list[list[tuple[str, str, str, str]]]] = defaultdict(list)
    for record in sorted(log, key=lambda each: (each.partition(), each.offset())):
        event = decode_event(record.value(), record.timestamp()[1])
        before = visible(ContactRecords(records[event.subject]))
        records[event.subject] = fold(records[event.subject], event, record.timestamp()[1]).record
        if changed := changes(before, visible(ContactRecords(records[event.subject]))):
            found[event.subject.id].append([(each.scope, each.before, each.after, each.cause) for each in changed])
    return dict(found)


async def test_killed_at_random_points_every_change_is_published_exactly_once(
    kafka: LocalKafka, settings: Settings, tmp_path: Path, fresh_name: str
) -> None:
    seed = int(os.environ.get("SEED", random.randrange(10**6)))
    print(f"seed {seed}")
    rng, numbers = random.Random(seed), itertools.count()
    outside = Outside.of(settings)
    await apply(settings)
    variables = os.environ | environment_for(kafka, tmp_path, fresh_name, session_timeout_ms=6_000)

    def begin() -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", "gateway.cli", "run", "--role", "changes"]
        return subprocess.Popen(command, env=variables, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    process = begin()
    try:
        for round_ in range(KILLS):
            before = len(await published(outside, 0))
            await write(settings, manual(f"round{round_}", contact(f"r{round_}"), Scope.FB))
            await published(outside, before + 1)  # it is at work
            for _ in range(3):
                await write(settings, *random_events(rng, numbers))
                await asyncio.sleep(rng.random() * 0.1)  # when it is killed is what chance decides here
            process.send_signal(signal.SIGKILL)
            await asyncio.to_thread(process.wait)
            if rng.random() < 0.3:
                shutil.rmtree(tmp_path / consumers.changes.DIRECTORY, ignore_errors=True)
            process = begin()
        log = await asyncio.to_thread(outside.committed, outside.topics.dnd_events, 1)
        wanted = expected(log)
        await published(outside, sum(map(len, wanted.values())))
        lasts = [manual(f"last{number}", contact(f"l{number}"), Scope.FB) for number in range(8)]
        await write(settings, *lasts)  # to both partitions: when these are out, one too many would be, too
        wanted |= {last.subject.id: [[("FB", "inactive", "active", "manual")]] for last in lasts}
        found = await published(outside, sum(map(len, wanted.values())))
    finally:
        process.kill()
        await asyncio.to_thread(process.wait)
    by_contact: dict[str, list[list[tuple[str, str, str, str]]]] = defaultdict(list)
    for each in found:
        by_contact[each["id"]].append(switched(each))
    assert by_contact == wanted
    assert len({each["event_id"] for each in found}) == len(found)
