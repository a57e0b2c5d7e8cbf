"""R19: workflows set a contact's DND through `dnd.commands`, against a real Kafka."""

from __future__ import annotations

import asyncio
import json
import os
import random
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from consumers.commands import change_id
from gateway.app import Service
from gateway.contract.commands import read_command
from gateway.contract.forgiving import TEXT_LIMIT, Unreadable
from gateway.dnd.model import (
    Actor,
    ActorKind,
    Cause,
    Channel,
    Event,
    Lift,
    LiftTerm,
    Place,
    Scope,
    Subject,
    SubjectKind,
)
from gateway.localkafka import LocalKafka
from gateway.settings import Settings
from gateway.signals.publish import ASKS_TIME
from gateway.streams.clients import Clients
from gateway.streams.topics import apply
from gateway.streams.writing import event_record, writer
from tests.kafka.outside import Given, Outsider
from tests.running import Outside, environment_for, running, sample, settings_for, until

AT = 1_763_900_000_000
CONTACT = Subject("loc1", SubjectKind.CONTACT, "c1")
USER = Actor(ActorKind.USER, "u1")


def command(number: int, action: str, channels: list[Any], **changes: object) -> dict[str, object]:
    given: dict[str, object] = {
        "command_id": f"w1-{number}",
        "location_id": "loc1",
        "contact_id": "c1",
        "action": action,
        "channels": channels,
        "workflow_id": "w1",
        "requested_at": AT + number,
    }
    return given | changes


def events_in(outside: Outside, at_least: int) -> list[dict[str, Any]]:
    """All events once there are so many, without records that only ask for the brokers' time."""
    wanted = at_least
    while True:
        values = [json.loads(each.value()) for each in outside.committed(outside.topics.dnd_events, wanted)]
        found = [each for each in values if each["event_id"] != ASKS_TIME]
        if len(found) >= at_least:
            return found
        wanted = len(values) + 1


class Scene:
    """The topics of a service with the role, and what is in them."""

    def __init__(self, kafka: LocalKafka, settings: Settings, service: Service) -> None:
        self._settings = settings
        self._service = service
        self._outsider = Outsider.of(kafka)
        self.outside = Outside.of(settings)
        self._sent = 0

    async def send(self, *given: dict[str, object] | bytes) -> None:
        values = [each if isinstance(each, bytes) else json.dumps(each).encode() for each in given]
        topic = self.outside.topics.dnd_commands
        await asyncio.to_thread(self._outsider.produce, topic, [Given(value, b"c1") for value in values])
        self._sent += len(values)
        await until(lambda: self.performed() == self._sent, lambda: str(self.results()))

    async def write(self, *events: Event) -> None:
        async with writer(Clients(self._settings.kafka), self.outside.topics.dnd_events) as to_log:
            await to_log.write([event_record(event, AT) for event in events])

    async def events(self, at_least: int) -> list[dict[str, Any]]:
        return await asyncio.to_thread(events_in, self.outside, at_least)

    def count(self, name: str, **labels: str) -> float:
        return sample(self._service.metrics.exposition().decode(), f"sendguard_{name}_total", **labels) or 0

    def results(self) -> dict[str, float]:
        named = ("done", "partly", "refused", "unreadable")
        return {name: self.count("commands", result=name) for name in named if self.count("commands", result=name)}

    def performed(self) -> float:
        return sum(self.results().values())

    def held(self) -> set[tuple[Scope, Cause]]:
        fresh = self._service._services.fresh
        assert fresh is not None
        return {key for key, _ in fresh.view.get(CONTACT).holds()}


@pytest.fixture
def settings(kafka: LocalKafka, tmp_path: Path, fresh_name: str) -> Settings:
    return settings_for(kafka, tmp_path, fresh_name)


async def test_r19_a_workflow_turns_dnd_on_and_off_for_channels_and_for_all(
    kafka: LocalKafka, settings: Settings
) -> None:
    async with running(settings, "commands") as service:
        scene = Scene(kafka, settings, service)
        await scene.send(command(1, "enable", ["SMS", "email"]))
        assert scene.held() == {(Scope.SMS, Cause.MANUAL), (Scope.EMAIL, Cause.MANUAL)}
        now = max(event["at"] for event in await scene.events(2))
        await scene.send(command(2, "disable", ["SMS"], requested_at=now))
        assert scene.held() == {(Scope.EMAIL, Cause.MANUAL)}
        await scene.send(command(3, "enable", ["ALL"]))
        assert scene.held() == {(Scope.EMAIL, Cause.MANUAL), (Scope.ALL, Cause.MANUAL)}
        now = max(event.get("at", 0) for event in await scene.events(4))
        await scene.send(command(4, "disable", ["all"], requested_at=now))
        assert scene.held() == set()
        assert scene.results() == {"done": 4}
        events = await scene.events(5)
    assert {event["actor"]["kind"] for event in events} == {"workflow"}
    assert {event["evidence"]["command_id"] for event in events} == {"w1-1", "w1-2", "w1-3", "w1-4"}


async def test_r19_the_forbidden_part_is_reported_and_the_rest_is_done(kafka: LocalKafka, settings: Settings) -> None:
    opt_out = Place("SM1", CONTACT, (Scope.SMS,), (Cause.KEYWORD_OPT_OUT,), AT, Actor(ActorKind.CONTACT, "c1"))
    manual = Place("m1", CONTACT, (Scope.EMAIL,), (Cause.MANUAL,), AT, USER)
    async with running(settings, "commands") as service:
        scene = Scene(kafka, settings, service)
        await scene.write(opt_out, manual)
        await scene.send(command(1, "disable", ["ALL"]))
        assert scene.held() == {(Scope.SMS, Cause.KEYWORD_OPT_OUT)}
        await scene.send(command(2, "disable", ["SMS"]))
        assert scene.held() == {(Scope.SMS, Cause.KEYWORD_OPT_OUT)}
        assert scene.results() == {"partly": 1, "refused": 1}
        assert scene.count("command_parts_refused", reason="not_allowed") == 2


async def test_a_lift_ends_only_what_was_placed_before_the_command_was_asked_for(
    kafka: LocalKafka, settings: Settings
) -> None:
    places = [
        Place("m1", CONTACT, (Scope.SMS,), (Cause.MANUAL,), AT, USER),
        Place("m2", CONTACT, (Scope.EMAIL,), (Cause.MANUAL,), AT + 10, USER),
    ]
    async with running(settings, "commands") as service:
        scene = Scene(kafka, settings, service)
        await scene.write(*places)
        await scene.send(command(5, "disable", ["SMS", "Email"]))
        assert scene.held() == {(Scope.EMAIL, Cause.MANUAL)}
        assert scene.count("command_parts_refused", reason="placed_later") == 1


async def test_r7_a_channel_that_is_not_connected_is_refused_and_the_others_are_set(
    kafka: LocalKafka, settings: Settings
) -> None:
    async with running(settings, "commands") as service:
        scene = Scene(kafka, settings, service)
        said = {"location_id": "loc1", "channel": "GMB", "status": "disconnected"}
        topic = scene.outside.topics.integrations
        await asyncio.to_thread(Outsider.of(kafka).produce, topic, [Given(json.dumps(said).encode(), b"k")])
        integrations = service._services.integrations
        assert integrations is not None
        await until(lambda: Channel.GMB not in integrations.enlisted("loc1"))
        await scene.send(command(1, "enable", ["GMB", "SMS", "Instagram"]), command(2, "enable", ["GMB"]))
        assert scene.held() == {(Scope.SMS, Cause.MANUAL)}
        assert scene.results() == {"partly": 1, "refused": 1}
        assert scene.count("command_parts_refused", reason="not_connected") == 2
        assert scene.count("command_parts_refused", reason="unknown_channel") == 1
        (event,) = await scene.events(1)
    assert event["evidence"]["refused"] == ["Instagram: unknown_channel", "GMB: not_connected"]


async def test_commands_nobody_can_read_are_counted_and_block_nothing(kafka: LocalKafka, settings: Settings) -> None:
    bad: list[dict[str, object] | bytes] = [
        b"{",
        b"\xff",
        command(1, "toggle", ["SMS"]),
        command(2, "enable", []),
        command(3, "enable", ["Instagram"]),
        command(4, "enable", ["SMS"], contact_id=""),
        command(5, "enable", ["SMS"], command_id="x" * (TEXT_LIMIT + 1)),
    ]
    async with running(settings, "commands") as service:
        scene = Scene(kafka, settings, service)
        await scene.send(*bad, command(6, "enable", ["FB"]))
        assert scene.held() == {(Scope.FB, Cause.MANUAL)}
        assert scene.results() == {"unreadable": len(bad), "done": 1}


async def test_a_command_performed_again_changes_nothing_even_when_it_was_undone_since(
    kafka: LocalKafka, settings: Settings
) -> None:
    """What a crash between the events and the offset leaves: the same command once more, with others in between."""
    enable = command(1, "enable", ["SMS"])
    async with running(settings, "commands") as service:
        scene = Scene(kafka, settings, service)
        await scene.send(enable, enable)
        (place,) = await scene.events(1)
        await scene.write(Lift("u1", CONTACT, (LiftTerm(Scope.SMS, Cause.MANUAL, place["at"]),), USER))
        await until(lambda: not scene.held())
        await scene.send(enable)
        assert not scene.held(), "a user has turned it off since"
        again = Place("u2", CONTACT, (Scope.SMS,), (Cause.MANUAL,), place["at"] + 10_000, USER)
        disable = command(2, "disable", ["SMS"], requested_at=place["at"] + 5_000)
        await scene.send(disable)
        await scene.write(again)
        await until(lambda: scene.held())
        await scene.send(disable)
        assert scene.held() == {(Scope.SMS, Cause.MANUAL)}, "placed after the command was asked for"


async def test_it_goes_on_where_it_stopped(kafka: LocalKafka, settings: Settings) -> None:
    async with running(settings, "commands") as service:
        await Scene(kafka, settings, service).send(command(1, "enable", ["SMS"]))
    async with running(settings, "commands") as service:
        scene = Scene(kafka, settings, service)
        await scene.send(command(2, "enable", ["FB"]))
        assert scene.results() == {"done": 1}
        assert len(await scene.events(2)) == 2


KILLS = 3


async def test_killed_at_random_points_every_command_is_performed_exactly_once(
    kafka: LocalKafka, settings: Settings, tmp_path: Path, fresh_name: str
) -> None:
    rng = random.Random(seed := random.randrange(10**6))
    print(f"seed {seed}")
    outside, outsider = Outside.of(settings), Outsider.of(kafka)
    await apply(settings)
    variables = os.environ | environment_for(kafka, tmp_path, fresh_name, session_timeout_ms=6_000)
    sent = 0

    def begin() -> subprocess.Popen[bytes]:
        role = [sys.executable, "-m", "gateway.cli", "run", "--role", "commands"]
        return subprocess.Popen(role, env=variables, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    process = begin()
    try:
        for _ in range(KILLS + 1):
            batch = [command(sent + each, "enable", ["SMS"], contact_id=f"c{sent + each}") for each in range(200)]
            given = [Given(json.dumps(each).encode(), b"k") for each in batch]
            await asyncio.to_thread(outsider.produce, outside.topics.dnd_commands, given)
            await asyncio.to_thread(events_in, outside, sent + 1)  # it is at work
            sent += len(batch)
            await asyncio.sleep(rng.random() * 0.1)  # when it is killed is what chance decides here
            process.kill()
            await asyncio.to_thread(process.wait)
            process = begin()
        events = await asyncio.to_thread(events_in, outside, sent)
    finally:
        process.kill()
        await asyncio.to_thread(process.wait)
    found = Counter(event["subject"][2] for event in events)
    assert found == Counter(f"c{number}" for number in range(sent))


def read(**changes: object) -> Any:
    return read_command(json.dumps(command(1, "enable", ["SMS"]) | changes).encode(), AT)


def test_words_are_forgiven_their_spelling_and_a_missing_time_is_the_records() -> None:
    found = read(action=" Enable", channels=["sms", "Facebook", 7], requested_at=None, workflow_id=None)
    assert (found.enable, found.channels, found.unknown) == (True, (Channel.SMS, Channel.FB), ("int",))
    assert (found.requested_at, found.workflow_id) == (AT, "")


def test_without_a_contact_there_is_no_command() -> None:
    with pytest.raises(Unreadable):
        read(contact_id=None)


def test_a_changes_id_names_command_and_contact_and_is_never_too_long() -> None:
    ids = {change_id(read(command_id=one, contact_id=other)) for one, other in [("a", "b"), ('a"', "b"), ("a", "c")]}
    assert len(ids) == 3
    assert len(change_id(read(command_id="x" * TEXT_LIMIT, contact_id="y" * 128))) <= TEXT_LIMIT
