"""One fault test: topics of its own on the shared cluster, guards, a driver, and the verdict at the end."""

from __future__ import annotations

import os
import random
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from gateway.localkafka import LocalKafka
from gateway.localkafka.owner import Watchdog
from gateway.localkafka.ports import free_ports
from tests.faults import evidence
from tests.faults.checker import Report, check
from tests.faults.driver import Driver, Load
from tests.faults.guards import Guard, environment
from tests.faults.history import History, Record
from tests.faults.reading import Tail
from tests.faults.stage import Stage

PARTITIONS = {"request_partitions": 3, "event_partitions": 2, "other_partitions": 1}
"""Enough for two guards and for every broker to lead something."""

SESSION_MS = 6_000
"""The shortest that brokers allow by default."""

DRAIN_S = 120.0
"""From the end of a fault until all requests are decided: an election, a session and a full load of requests."""

SEED = "FAULTS_SEED"
"""Environment variable that repeats a run."""


@dataclass(frozen=True, slots=True)
class Size:
    """How long a scenario is: at least `requests`, and `rounds` of its fault.

    `freshness`: rounds of a hold and a request right behind it.
    """

    name: str
    requests: int
    rounds: int
    freshness: int
    load: Load

    def __str__(self) -> str:
        return self.name


SHORT = Size("short", 1_000, 1, 250, Load())
LONG = Size("long", 20_000, 12, 12_000, Load(requests=300, events=60, people=2_000))

LOOK_S = 0.05
"""Between two looks at a condition; some ask a guard that has better to do."""

MOMENT_S = (0.15, 1.5)
"""A random moment comes after so much load: shorter and longer than a transaction, a batch, a start."""


class Scene:
    """Made by the fixture `scene`, which closes it."""

    def __init__(self, kafka: LocalKafka, name: str, directory: Path, size: Size = SHORT) -> None:
        self.kafka = kafka
        self.size = size
        self.seed = int(os.environ.get(SEED, random.SystemRandom().randrange(1 << 32)))
        self.rng = random.Random(self.seed)
        self.faults = 0
        """How many there were, for the summary."""
        print(f"{SEED}={self.seed}")
        self._began = time.monotonic()
        self._directory = directory
        self._guards: list[Guard] = []
        self._judged: History | None = None
        self._ports = free_ports()
        self._closing = ExitStack()
        self._watchdog = Watchdog()
        self._closing.callback(self._watchdog.dismiss)
        self.stage = Stage(kafka, name, directory, **PARTITIONS)
        self.prefix, self.admin = self.stage.prefix, self.stage.admin
        self._closing.callback(self.stage.close)
        self.stage.open()
        self.decided = Tail(kafka.bootstrap_servers, self.topic("outbound.decisions"))
        self._closing.callback(self.decided.close)
        self.driver = Driver(kafka.bootstrap_servers, self.prefix, size.load, self.seed)
        self._closing.callback(self.driver.close)

    def fault(self, what: str) -> None:
        self.faults += 1
        self.note(what)

    def note(self, what: str) -> None:
        """A line for whoever wonders where the time goes."""
        print(f"  {time.monotonic() - self._began:6.1f} s, {self.driver.produced} requests sent: {what}")

    def topic(self, name: str) -> str:
        return self.prefix + name

    def moment(self) -> int:
        """Requests of a random moment."""
        return max(1, int(self.rng.uniform(*MOMENT_S) * self.size.load.requests))

    def guard(self, name: str = "guard-1", **settings: object) -> Guard:
        """A guard that is not started yet. `settings`: its others, by key."""
        directory, port = self._directory / name, next(self._ports)
        variables = environment(self.prefix, self.kafka.bootstrap_servers, name, directory, port)
        variables["SENDGUARD_SESSION_TIMEOUT_MS"] = str(SESSION_MS)
        variables |= {f"SENDGUARD_{key.upper()}": str(value) for key, value in (PARTITIONS | settings).items()}
        guard = Guard(variables, directory, port, self._watchdog)
        self._guards.append(guard)
        self._closing.callback(guard.kill)
        return guard

    def start(self, *guards: Guard) -> None:
        """The guards, and the load once each is ready: a slow start would only pile up requests."""
        for guard in guards:
            guard.start()
        for guard in guards:
            guard.wait_ready()
        self.driver.start()

    def wait_decided(self, more: int) -> None:
        """Until so many more requests are decided, while the driver goes on."""
        until = self.decided.total + more
        self.wait(lambda: self.decided.total >= until)

    def wait_all_partitions_decide(self) -> None:
        """Until every partition has decisions of requests sent from now on."""
        self.wait_through({number: end + 1 for number, end in self.request_ends().items()})

    def wait_serving(self, guard: Guard, least: int) -> None:
        """Until the guard serves so many partitions or more."""
        self.wait(lambda: guard.serving() >= least)

    def wait_events_acknowledged(self, more: int) -> None:
        known = len(self.driver.sent.events_acknowledged)
        self.wait(lambda: len(self.driver.sent.events_acknowledged) >= known + more)

    def wait_requests(self, partition: int, more: int) -> None:
        """Until the partition has so many more requests, decided or not."""
        end = self.request_ends()[partition] + more
        self.wait(lambda: self.request_ends()[partition] >= end)

    def wait_through(self, ends: Mapping[int, int]) -> None:
        """Until these partitions are decided up to these offsets."""
        self.wait(lambda: all(self.decided.through[number] >= end for number, end in ends.items()))

    def wait(self, condition: Callable[[], bool], patience_s: float = DRAIN_S) -> None:
        """Until the condition holds; decisions are read and guards are supervised meanwhile."""

        def polled() -> bool:
            self.decided.poll(LOOK_S)
            for guard in self._guards:
                if guard.restart_if_it_gave_up():
                    self.note("a guard gave up and is started again")
            return condition()

        self.driver.wait(polled, patience_s)

    def finish(self) -> None:
        """Send what is still missing of the scenario's size, wait until all is decided, stop the guards in order.

        Requests sent after the last fault are decided in every partition: whatever a fault made somebody do again is
        done by then.
        """
        self.wait_all_partitions_decide()
        self.wait(lambda: len(self.driver.sent.requests_acknowledged) >= self.size.requests)
        self.driver.finish()
        self.wait_through(self.request_ends())
        for guard in self._guards:
            if guard.is_running():
                guard.stop()

    def request_ends(self) -> dict[int, int]:
        return self.stage.request_ends()

    def history(self, deleted: Sequence[Record] = (), lost: Sequence[Record] = ()) -> History:
        """See Stage."""
        return self.stage.history(self.driver.sent, deleted, lost)

    def judge(self, history: History | None = None, *, states: bool = True) -> Report:
        """No violation, and enough of everything that the verdict means something."""
        self._judged = self.history() if history is None else history
        report = check(self._judged, states=states)
        seconds = time.monotonic() - self._began
        print(f"{self.faults} faults in {seconds:.1f} s, {self.driver.replaced} clients replaced, {report}")
        assert report.count == 0, report
        assert report.requests >= self.size.requests
        assert min(report.forwarded, report.dropped, report.invalid, report.events) > 0, report
        return report

    def keep(self) -> Path:
        """Stop sending, and return the folder with what may explain a failure. Before anything is restored."""
        self.driver.close()
        sent = self.driver.sent if self.driver.produced else self.stage.sent
        return evidence.keep(self._directory / "kept", self.prefix, sent, self._judged, self.kafka.data_dir)

    def close(self) -> None:
        self._closing.close()
