"""What is connected, as roles look it up: from messages and settings, and through a real Kafka's outages."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.accounts import Accounts
from gateway.contract.integrations import Integration, IntegrationStatus, encode_integration, integration_key
from gateway.contract.topics import Topics
from gateway.dnd.model import Actor, ActorKind, Cause, Channel, Place, Scope, Subject, SubjectKind
from gateway.integrations import Integrations, IntegrationTable
from gateway.localkafka import LocalKafka, LocalKafkaConfig
from gateway.metrics import Metrics
from gateway.settings import Settings
from gateway.streams import compacted
from gateway.streams.clients import Clients
from gateway.streams.writing import event_record, writer
from tests.kafka.outside import Given, Outsider, clients_for, until
from tests.running import Outside, request, running, sample, settings_for
from tests.streams.misnaming import send_misnamed

AT = 1_763_900_000_000
CONNECTED, DISCONNECTED = IntegrationStatus.CONNECTED, IntegrationStatus.DISCONNECTED
ALL = frozenset(Channel)


@dataclass
class Line:
    """A record of `integrations`."""

    key: bytes | None
    value: bytes | None
    offset: int = 0
    timestamp: int = AT


@dataclass
class File:
    """Where the accounts are now."""

    current: Accounts


def accounts(*requiring: str) -> Accounts:
    return Accounts.parse({"locations": {name: {"require_integration": True} for name in requiring}}, "accounts")


def line(location: str, channel: Channel, status: IntegrationStatus | None) -> Line:
    message = Integration(location, channel, status, "twilio", AT)
    return Line(integration_key(location, channel), encode_integration(message))


def table(*given: Line, requiring: tuple[str, ...] = ()) -> IntegrationTable:
    found = IntegrationTable(File(accounts(*requiring)), Metrics("1"))
    found.apply(given)
    return found


def out(found: IntegrationTable) -> set[tuple[str, Channel]]:
    return set(found.unavailable())


def test_r7_unknown_is_enlisted() -> None:
    assert not table().unavailable()


def test_r8_the_newest_message_counts_and_a_withdrawn_one_is_unknown_again() -> None:
    gone, back = line("loc1", Channel.SMS, DISCONNECTED), line("loc1", Channel.SMS, CONNECTED)
    withdrawn = line("loc1", Channel.SMS, None)
    assert out(table(gone)) == {("loc1", Channel.SMS)}
    assert not out(table(gone, back))
    assert not out(table(gone, withdrawn))


def test_r7_a_location_that_demands_a_record_has_only_what_is_connected() -> None:
    found = table(line("loc1", Channel.SMS, CONNECTED), requiring=("loc1",))
    assert out(found) == {("loc1", channel) for channel in ALL - {Channel.SMS}}
    found.apply([line("loc1", Channel.SMS, None)])
    assert out(found) == {("loc1", channel) for channel in ALL}


def test_the_accounts_file_changes_what_is_demanded() -> None:
    file = File(accounts())
    found = IntegrationTable(file, Metrics("1"))
    assert not found.unavailable()
    file.current = accounts("loc1")
    assert len(found.unavailable()) == len(ALL)
    file.current = accounts()
    assert not found.unavailable()


def test_a_message_nobody_can_read_is_counted_and_what_was_said_before_stays() -> None:
    metrics = Metrics("1")
    found = IntegrationTable(File(accounts()), metrics)
    key = integration_key("loc1", Channel.SMS)
    found.apply(
        [line("loc1", Channel.SMS, DISCONNECTED), Line(key, b"{"), Line(None, None), Line(key, b'{"status":1}')]
    )
    assert out(found) == {("loc1", Channel.SMS)}
    assert sample(metrics.exposition().decode(), "sendguard_integrations_unreadable_total") == 3


LOCATIONS = st.sampled_from(["a", "b"])
MESSAGES = st.lists(
    st.tuples(LOCATIONS, st.sampled_from(Channel), st.none() | st.sampled_from(IntegrationStatus)), max_size=12
)


@given(MESSAGES, st.sets(LOCATIONS), st.lists(st.none() | st.sets(LOCATIONS), min_size=12, max_size=12))
def test_however_messages_and_settings_come_it_is_as_if_all_were_known_at_once(
    messages: list[tuple[str, Channel, IntegrationStatus | None]],
    requiring: set[str],
    before: list[set[str] | None],
) -> None:
    file = File(accounts())
    found = IntegrationTable(file, Metrics("1"))
    for each, requiring_then in zip(messages, before, strict=False):
        if requiring_then is not None:
            file.current = accounts(*requiring_then)
            found.unavailable()
        found.apply([line(*each)])
    file.current = accounts(*requiring)
    newest = {(location, channel): status for location, channel, status in messages}
    expected = {
        (location, channel)
        for location in ("a", "b")
        for channel in Channel
        if (status := newest.get((location, channel))) is DISCONNECTED or (status is None and location in requiring)
    }
    assert out(found) == expected


@contextlib.asynccontextmanager
async def following(kafka: LocalKafka, topic: str) -> AsyncIterator[Integrations]:
    integrations = Integrations(clients_for(kafka), topic, File(accounts()), Metrics("1"))
    task = asyncio.create_task(integrations.run(), name="integrations")
    try:
        yield integrations
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


@pytest.fixture
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compacted, "LOOK_EVERY_S", 0.2)


def say(outsider: Outsider, topic: str, *given: Line, partition: int = 0) -> None:
    outsider.produce(topic, [Given(each.value, each.key) for each in given], partition)


async def test_all_partitions_are_read_from_the_beginning_before_it_is_loaded(
    kafka: LocalKafka, fresh_name: str
) -> None:
    outsider = Outsider.of(kafka)
    outsider.create(fresh_name, 3)
    for number in range(3):
        say(
            outsider,
            fresh_name,
            *[line(f"loc{number}", channel, DISCONNECTED) for channel in Channel],
            partition=number,
        )
    async with following(kafka, fresh_name) as integrations:
        assert integrations.problems() == ["loading: the integrations are read"]
        assert await integrations.loaded(asyncio.Event())
        assert integrations.problems() == []
        assert len(integrations.unavailable()) == 3 * len(ALL)
        assert integrations.status("loc2", Channel.SMS) is DISCONNECTED
        assert integrations.enlisted("loc2") == frozenset()
        assert integrations.enlisted("loc3") == ALL
        say(outsider, fresh_name, line("loc2", Channel.SMS, CONNECTED), partition=2)
        await until(lambda: integrations.enlisted("loc2") == {Channel.SMS})


async def test_without_the_topic_it_is_not_loaded_and_says_why(kafka: LocalKafka, fresh_name: str) -> None:
    outsider = Outsider.of(kafka)
    async with following(kafka, fresh_name) as integrations:
        await until(lambda: "topics apply" in str(integrations.problems()))
        outsider.create(fresh_name)
        await until(lambda: not integrations.problems())


async def test_a_recreated_topic_is_read_anew_and_what_it_no_longer_says_is_forgotten(
    kafka: LocalKafka, fresh_name: str, hasty: None
) -> None:
    outsider = Outsider.of(kafka)
    outsider.create(fresh_name)
    say(outsider, fresh_name, line("loc1", Channel.SMS, DISCONNECTED))
    async with following(kafka, fresh_name) as integrations:
        await until(lambda: integrations.unavailable())
        await asyncio.to_thread(outsider.delete, fresh_name)
        outsider.create(fresh_name)
        say(outsider, fresh_name, *[line("loc1", Channel.FB, DISCONNECTED)] * 5)  # longer than it was
        await until(lambda: set(integrations.unavailable()) == {("loc1", Channel.FB)})


async def test_added_partitions_are_read_too(kafka: LocalKafka, fresh_name: str, hasty: None) -> None:
    outsider = Outsider.of(kafka)
    outsider.create(fresh_name)
    async with following(kafka, fresh_name) as integrations:
        assert await integrations.loaded(asyncio.Event())
        outsider.grow(fresh_name, 2)
        say(outsider, fresh_name, line("loc1", Channel.SMS, DISCONNECTED), partition=1)
        await until(lambda: integrations.unavailable())


async def test_a_misnamed_header_does_not_stop_it(kafka: LocalKafka, fresh_name: str) -> None:
    outsider = Outsider.of(kafka)
    outsider.create(fresh_name)
    async with following(kafka, fresh_name) as integrations:
        await send_misnamed(outsider.bootstrap, fresh_name, [(b"{}", "caf\xe9")])
        say(outsider, fresh_name, line("loc1", Channel.SMS, DISCONNECTED))
        await until(lambda: integrations.unavailable())


async def test_through_an_outage_what_was_known_stays_in_force_and_then_it_goes_on(
    fresh_name: str, hasty: None
) -> None:
    with LocalKafka(LocalKafkaConfig()) as own:
        outsider = Outsider.of(own)
        outsider.create(fresh_name)
        say(outsider, fresh_name, line("loc1", Channel.SMS, DISCONNECTED))
        async with following(own, fresh_name) as integrations:
            await until(lambda: integrations.unavailable())
            await asyncio.to_thread(own.brokers[0].kill)
            await until(lambda: integrations._followed.problem)
            assert (set(integrations.unavailable()), integrations.problems()) == ({("loc1", Channel.SMS)}, [])
            await asyncio.to_thread(own.brokers[0].start)
            await asyncio.to_thread(say, outsider, fresh_name, line("loc1", Channel.SMS, CONNECTED))
            await until(lambda: not integrations.unavailable())


@pytest.fixture
def settings(kafka: LocalKafka, tmp_path: Path, fresh_name: str) -> Settings:
    return settings_for(kafka, tmp_path, fresh_name)


async def test_r8_a_channel_that_drops_and_comes_back_finds_its_dnd_as_it_was(
    kafka: LocalKafka, settings: Settings
) -> None:
    """End to end: integrations -> Kafka -> guard."""
    outside, outsider, topics = Outside.of(settings), Outsider.of(kafka), Topics(settings.topics.prefix)
    held = Subject("loc1", SubjectKind.CONTACT, "c1")
    place = Place("e1", held, (Scope.SMS,), (Cause.MANUAL,), AT, Actor(ActorKind.USER, "u1"))
    expected = {DISCONNECTED: "unavailable", CONNECTED: "forwarded"}
    async with running(settings, "guard") as service:
        async with writer(Clients(settings.kafka), topics.dnd_events) as to_log:
            await to_log.write([event_record(place, AT)])
        integrations = service._services.integrations
        assert integrations is not None
        found: list[dict[str, Any]] = []
        for number, (status, outcome) in enumerate(expected.items()):
            await asyncio.to_thread(say, outsider, topics.integrations, line("loc1", Channel.SMS, status))
            await until(lambda wanted=status: integrations.status("loc1", Channel.SMS) is wanted)  # type: ignore[misc]
            outside.send([request(1), request(2)])
            found = await asyncio.to_thread(outside.decisions, 2 * (number + 1))
            assert [each["outcome"] for each in found[-2:]] == ["dropped", outcome]
    assert found[0]["reasons"] == found[-2]["reasons"], "the same hold, word for word"
    events = await asyncio.to_thread(outside.committed, topics.dnd_events, 1)
    assert [json.loads(each.value())["event_id"] for each in events] == ["e1"], "an integration writes no DND"
