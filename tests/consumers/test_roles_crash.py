"""Kill -9 of the roles `directory` and `changes`, each a process of its own, while people and the CRM go on.

Afterwards nothing is missing: every contact is held as its number is (R21), and the changes of each contact are a chain
from "not held" to what it is now, without a gap and without a repetition (R20).

`test_directory_crash` and `test_changes` kill at every single effect.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import os
import random
import signal
from collections import defaultdict
from collections.abc import Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from gateway.clock import now_ms
from gateway.dnd.model import Actor, ActorKind, Cause, Place, Scope, Subject
from gateway.dnd.record import EMPTY, Record, RegisterKey, fold
from gateway.localkafka import LocalKafka
from gateway.settings import Settings
from gateway.streams.clients import Clients
from gateway.streams.topics import apply
from gateway.streams.writing import event_record, writer
from tests.cli.test_run import HEALTH, Process, service
from tests.consumers.crm import STOPPED, Crm, contact, phone, snapshot, start, stop
from tests.running import DEADLINE_S, LOOK_EVERY_S, Outside, environment_for, sample, settings_for

PHONES, CONTACTS = 5, 12
"""Of people who go on saying STOP and START. Some contacts share a number."""

ONCE = range(100, 500)
"""Numbers of people who say STOP and nothing more, so that what is lost of them is not made good by their next word."""

ONCE_EVERY = 4
"""Words."""

BETWEEN_WORDS_S = 0.02

DONE = {"directory": "sendguard_mirrored_events_total", "changes": "sendguard_changes_published_total"}
"""What a role has done since it was started."""

DOES_AT_MOST = 10
DIES_WITHIN_S = 0.1
"""So many of them, then so long, before it is killed: that is some other moment of its work each time."""

DIES_STARTING = 0.3
"""How often it is killed before it has done anything."""

STARTS_WITHIN_S = 2.0


@dataclass
class Load:
    """People who write STOP and START, and a CRM that tells of contacts before and meanwhile."""

    crm: Crm
    chance: random.Random
    over: asyncio.Event = field(default_factory=asyncio.Event)
    phones: dict[str, int] = field(default_factory=dict)
    """By contact."""
    held: dict[int, bool] = field(default_factory=lambda: defaultdict(bool))

    async def run(self) -> None:
        """Until it is over, and every contact has been told of."""
        at, once = now_ms(), iter(ONCE)
        await self._tell(*ONCE)
        async with writer(Clients(self.crm.settings.kafka), self.crm.topics.dnd_events) as to_log:
            for number in itertools.count():
                at = max(at + 1, now_ms())
                who = next(once, 0) if number % ONCE_EVERY == 0 else self.chance.randrange(PHONES)
                says = start if self.held[who] else stop
                self.held[who] = not self.held[who]
                await to_log.write([event_record(says(phone(who), f"e{number}", at), at)])
                created = len(self.phones) - len(ONCE)
                if created < CONTACTS and number % 5 == 0:
                    await self._tell(created % PHONES)
                if self.over.is_set() and created >= CONTACTS:
                    return
                await asyncio.sleep(BETWEEN_WORDS_S)  # that it goes on all the time

    async def _tell(self, *phones: int) -> None:
        told = {f"c{len(self.phones) + index}": number for index, number in enumerate(phones)}
        self.phones |= told
        await self.crm.contacts(*[snapshot(*each) for each in told.items()])

    def expected(self, id_: str) -> set[RegisterKey]:
        """What the contact is to be held for in the end."""
        return {STOPPED} if self.held[self.phones[id_]] else set()

    async def wrongly_held(self) -> list[str]:
        """Contacts that are not yet as expected."""
        records: dict[Subject, Record] = {}
        for event, broker_time in await self.crm.log():
            records[event.subject] = fold(records.get(event.subject, EMPTY), event, broker_time).record
        holds = {id_: records.get(contact(id_), EMPTY).holds() for id_ in self.phones}
        return [id_ for id_, found in holds.items() if {key for key, _ in found} != self.expected(id_)]


async def killed_and_started(
    stack: AsyncExitStack, environment: Mapping[str, str], role: str, kills: int, chance: random.Random
) -> None:
    """Again and again; the last one lives as long as the stack."""
    for _ in range(kills):
        async with service(environment, "--role", role) as process:
            longest_s = STARTS_WITHIN_S
            if chance.random() >= DIES_STARTING:
                longest_s = DIES_WITHIN_S
                await has_done(process, role, chance.randint(1, DOES_AT_MOST))
            await asyncio.sleep(chance.random() * longest_s)  # when it is killed is what chance decides here
            process.signal(signal.SIGKILL)
            assert await process.ended() == -signal.SIGKILL
    await (await stack.enter_async_context(service(environment, "--role", role))).ready()


async def has_done(process: Process, role: str, count: int) -> None:
    url = (await process.says(HEALTH))[1]
    async with asyncio.timeout(DEADLINE_S), aiohttp.ClientSession() as session:
        while True:
            async with session.get(f"{url}/metrics") as answer:
                if (sample(await answer.text(), DONE[role]) or 0) >= count:
                    return
            await asyncio.sleep(LOOK_EVERY_S)


@pytest.mark.parametrize("kills", [2, pytest.param(12, marks=pytest.mark.soak)])
async def test_r20_r21_roles_that_are_killed_under_load_miss_nothing_and_publish_every_change_once(
    kafka: LocalKafka, tmp_path: Path, fresh_name: str, kills: int
) -> None:
    seed = int(os.environ.get("SEED", random.randrange(10**6)))
    print(f"seed {seed}")
    chance = random.Random(seed)
    shared = {"database_url": f"sqlite:///{tmp_path / 'directory.sqlite'}"}
    settings = settings_for(kafka, tmp_path / "test", fresh_name, **shared)
    await apply(settings)
    load = Load(Crm(settings), random.Random(chance.random()))
    async with AsyncExitStack() as stack, asyncio.TaskGroup() as group:
        loading = group.create_task(load.run(), name="load")
        async with asyncio.TaskGroup() as dying:
            for role in ("directory", "changes"):
                there = environment_for(kafka, tmp_path / role, fresh_name, session_timeout_ms=6_000, **shared)
                dying.create_task(killed_and_started(stack, there, role, kills, random.Random(chance.random())))
        load.over.set()
        await loading
        async with asyncio.timeout(DEADLINE_S):
            while wrong := await load.wrongly_held():
                print(f"not yet as expected: {wrong}")
        await everything_is_published(settings, load)


async def everything_is_published(settings: Settings, load: Load) -> None:
    """To both partitions goes a last word: when its change is there, one too many before it would be, too."""
    lasts = [f"last{number}" for number in range(8)]
    user = Actor(ActorKind.USER, "u1")
    await load.crm.events(*[Place(name, contact(name), (Scope.FB,), (Cause.MANUAL,), now_ms(), user) for name in lasts])
    outside, shown = Outside.of(settings), dict[str, list[Any]]()

    async def published() -> bool:
        records = await asyncio.to_thread(outside.committed, outside.topics.dnd_changes, len(lasts))
        found: dict[str, list[Any]] = defaultdict(list)
        for record in sorted(records, key=lambda each: (each.partition(), each.offset())):
            change = json.loads(record.value())
            found[change["id"]].append(change)
        shown.clear()
        shown.update(found)
        return set(lasts) <= found.keys()

    async with asyncio.timeout(DEADLINE_S):
        while not await published():
            pass
    for name in lasts:
        assert len(shown.pop(name)) == 1
    assert len({each["event_id"] for changes in shown.values() for each in changes}) == sum(map(len, shown.values()))
    for id_ in load.phones:
        stands = "inactive"
        for change in shown.pop(id_, []):
            (switch,) = change["changes"]
            assert (switch["channel"], switch["before"]) == ("SMS", stands), f"{id_}: {change}"
            assert switch["after"] != stands
            stands = switch["after"]
        assert stands == ("permanent" if load.expected(id_) else "inactive"), id_
    assert not shown
