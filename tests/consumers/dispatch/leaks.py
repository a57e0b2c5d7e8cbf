"""Messages that wait in every way there is, people who opt out meanwhile, and what the provider saw of it.

Five locations, each with an account of its own at the provider: one with a low rate, one whose calls are turned away
(503), one that is throttled (429), one whose calls take seconds, one that the provider does not know (401). When the
faults are over, all of them work.
"""

from __future__ import annotations

import asyncio
import os
import random
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from aiohttp import web
from confluent_kafka import Producer

from gateway.clock import now_ms
from gateway.contract.topics import Topics
from gateway.dnd.model import Actor, ActorKind, Cause, Place, Scope, Subject, SubjectKind
from gateway.localkafka import LocalKafka
from gateway.settings import Settings
from gateway.streams.writing import event_record
from tests.consumers.dispatch.provider import Call, Provider, created, refused, serving
from tests.consumers.dispatch.scene import ACCOUNT, receipts
from tests.kafka.outside import DEADLINE_S, QUIET
from tests.running import Outside, environment_for, request, running, settings_for, until

PROMISED_S = 0.25
"""No call begins later than this after the acknowledgement (guarantee 1)."""

TRANSIT_S = 0.25
"""From our first byte to the provider's log, and from Kafka's answer to ours: processes that share a busy core."""

RATES = {"queued": 15, "refusing": 1_000, "throttled": 1_000, "slow": 1_000, "unknown": 1_000}
"""By location: messages a second."""

PARTITIONS = 2

OPT_OUT_EVERY_S = 0.03
"""One person after the other."""


@dataclass(slots=True)
class Troubled:
    """The provider's answers until it is `well`."""

    chance: random.Random
    well: bool = False

    async def __call__(self, call: Call) -> web.Response:
        if call.account == "ACslow":
            await asyncio.sleep(self.chance.uniform(0.5, 3.0))
        elif not self.well and call.account == "ACrefusing":
            return refused(503, 20503, "Service Unavailable")
        elif not self.well and call.account == "ACthrottled":
            return refused(429, 20429, "Too Many Requests", Retry_After="1")
        return created(call.sid)


@dataclass
class Stage:
    """Everything is forwarded already, and waits for a dispatcher: of each location `messages`, each to a person of
    its own."""

    messages: int
    settings: Settings
    environment: dict[str, str]
    provider: Provider
    troubled: Troubled
    chance: random.Random
    acknowledged: dict[str, float] = field(default_factory=dict)
    """By phone: seconds of the monotonic clock when the opt-out's acknowledgement had come."""

    async def opt_outs(self) -> None:
        """One person after the other, until all have or it is cancelled; with the broker away, when it is back."""
        to_kafka = Producer(
            {"bootstrap.servers": self.settings.kafka.bootstrap_servers, "acks": "all", "reconnect.backoff.max.ms": 200}
            | QUIET
        )
        people = [f"+1415555{number:04d}" for number in range(self.messages * len(RATES))]
        self.chance.shuffle(people)
        for phone in people:
            self.acknowledged[phone] = await asyncio.to_thread(self._opt_out, to_kafka, phone)
            await asyncio.sleep(OPT_OUT_EVERY_S)

    def _opt_out(self, to_kafka: Producer, phone: str) -> float:
        location = list(RATES)[int(phone[-4:]) // self.messages]
        subject = Subject(location, SubjectKind.PHONE, phone)
        actor = Actor(ActorKind.CONTACT, phone)
        now = now_ms()
        record = event_record(Place(f"stop-{phone}", subject, (Scope.SMS,), (Cause.KEYWORD_OPT_OUT,), now, actor), now)
        acknowledged: list[float] = []

        def delivered(error: object, _: object) -> None:
            assert error is None, error
            acknowledged.append(time.monotonic())

        topic = Topics(self.settings.topics.prefix).dnd_events
        to_kafka.produce(topic, record.value, record.key, on_delivery=delivered)
        assert to_kafka.flush(DEADLINE_S) == 0
        return acknowledged[0]

    async def more_calls(self) -> None:
        """Messages are sent (again)."""
        before = len(self.provider.calls)
        await until(lambda: len(self.provider.calls) > before, lambda: "nothing is sent")

    def get_well(self) -> None:
        self.troubled.well = True
        self.provider.broken.clear()

    def lateness(self) -> list[float]:
        """Seconds between an opt-out's acknowledgement and each call that began later, at the provider's log."""
        return sorted(
            call.at - self.acknowledged[call.to]
            for call in self.provider.calls
            if call.to in self.acknowledged and call.at > self.acknowledged[call.to]
        )

    def leaks(self) -> list[float]:
        return [late for late in self.lateness() if late > PROMISED_S + TRANSIT_S]

    def seen(self) -> str:
        calls = Counter(call.account for call in self.provider.calls)
        found = self.lateness()
        return f"{len(self.acknowledged)} opt-outs, calls {dict(calls)}, {len(found)} begun later, latest {found[-3:]}"

    async def finished(self) -> list[dict[str, Any]]:
        """The receipts, once there is one for every message."""
        found = await asyncio.to_thread(receipts, Outside.of(self.settings), self.messages * len(RATES))
        assert set(Counter(receipt["request_id"] for receipt in found).values()) == {1}
        return found


@asynccontextmanager
async def waiting_messages(kafka: LocalKafka, folder: Path, name: str, messages: int) -> AsyncIterator[Stage]:
    """A guard has forwarded all of them; nobody has sent any."""
    seed = random.randrange(2**32)
    print(f"seed {seed}")
    chance = random.Random(seed)
    troubled = Troubled(chance)
    provider = Provider(troubled, broken={"ACunknown"})
    async with serving(provider):
        accounts = folder / "accounts.toml"
        accounts.write_text(
            "".join(
                ACCOUNT.format(location=at, sid=f"AC{at}", url=provider.url, rate=rate) for at, rate in RATES.items()
            )
        )
        settings = settings_for(kafka, folder, name, accounts=str(accounts))
        async with running(settings, "guard"):
            outside = Outside.of(settings)
            for number, location in enumerate(RATES):
                for partition in range(PARTITIONS):
                    numbers = range(number * messages + partition, (number + 1) * messages, PARTITIONS)
                    requests = [request(each, location_id=location) for each in numbers]
                    await asyncio.to_thread(outside.send, requests, partition)
            await asyncio.to_thread(outside.decisions, messages * len(RATES))
        environment = environment_for(kafka, folder, name, accounts=str(accounts))
        yield Stage(messages, settings, environment, provider, troubled, chance)


@dataclass
class Dispatcher:
    """The role in a process of its own, started again under the same name."""

    environment: dict[str, str]
    arguments: Sequence[str] = ("-m", "gateway.cli", "run", "--role", "dispatch")
    process: asyncio.subprocess.Process | None = None

    async def start(self) -> None:
        self.process = await asyncio.create_subprocess_exec(
            sys.executable, *self.arguments, env=os.environ | self.environment
        )

    async def kill(self) -> None:
        """SIGKILL."""
        if self.process is not None and self.process.returncode is None:
            self.process.kill()
            await self.process.wait()


@asynccontextmanager
async def dispatcher(stage: Stage, *switched_off: str) -> AsyncIterator[Dispatcher]:
    """It calls the provider already. `switched_off`: for `tests.consumers.dispatch.without_recheck`."""
    found = Dispatcher(stage.environment)
    if switched_off:
        found.arguments = ("-m", "tests.consumers.dispatch.without_recheck", *switched_off)
    await found.start()
    try:
        await stage.more_calls()
        yield found
    finally:
        await found.kill()
