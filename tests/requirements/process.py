"""`sendguard run` as users start it: a process of its own, known by what it answers alone."""

from __future__ import annotations

import http.client
import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from gateway.localkafka import LocalKafka
from gateway.localkafka.owner import Watchdog

DEADLINE_S = 30.0
"""For whatever is waited for: far above what it takes, so that only a defect reaches it."""

LOOK_EVERY_S = 0.02
STOP_S = 40.0
"""Above the service's own limits for stopping."""

LOG_SHOWN = 6_000
"""Characters of the log's end in a failure's message."""

_HEALTH = re.compile(r"health on http://127\.0\.0\.1:(\d+)/readyz")

Found = TypeVar("Found")


def until(what: str, look: Callable[[], Found | None]) -> Found:
    """Look again and again until it is there (not None and not False)."""
    deadline = time.monotonic() + DEADLINE_S
    while (found := look()) is None or found is False:
        assert time.monotonic() < deadline, f"{what}: not within {DEADLINE_S:g} s"
        time.sleep(LOOK_EVERY_S)
    return found


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass(frozen=True, slots=True)
class Service:
    """A running one, on its port."""

    port: int

    def call(
        self, method: str, path: str, body: bytes | None = None, headers: Mapping[str, str] | None = None
    ) -> Answer:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=DEADLINE_S)
        try:
            connection.request(method, path, body, dict(headers or {}))
            answer = connection.getresponse()
            return Answer(answer.status, answer.read())
        finally:
            connection.close()

    def metric(self, name: str, **labels: str) -> float:
        """The sum of the samples that have these labels."""
        lines = self.call("GET", "/metrics").body.decode().splitlines()
        wanted = [f'{label}="{value}"' for label, value in labels.items()]
        fitting = (line for line in lines if line.startswith(f"sendguard_{name}{{"))
        return sum(float(line.rpartition(" ")[2]) for line in fitting if all(each in line for each in wanted))


def environment(kafka: LocalKafka, prefix: str, folder: Path, **more: str) -> dict[str, str]:
    """Everything the process gets: nothing of ours leaks in."""
    given = {
        "KAFKA_BOOTSTRAP_SERVERS": kafka.bootstrap_servers,
        "TOPIC_PREFIX": prefix,
        "REPLICATION_FACTOR": str(len(kafka.brokers)),
        "REQUEST_PARTITIONS": "2",
        "EVENT_PARTITIONS": "2",
        "OTHER_PARTITIONS": "1",
        "INSTANCE_ID": "tester",
        "DATA_DIR": str(folder / "data"),
        "HTTP_PORT": "0",
        "API_REQUESTS_PER_SECOND": "10000",
    }
    return {"PATH": os.environ["PATH"]} | {f"SENDGUARD_{name}": value for name, value in (given | more).items()}


def sendguard(environment: Mapping[str, str], *arguments: str) -> None:
    """A command that ends by itself, and well."""
    done = subprocess.run(
        [sys.executable, "-m", "gateway.cli", *arguments],
        env=dict(environment),
        capture_output=True,
        text=True,
        timeout=STOP_S,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


@contextmanager
def running(environment: Mapping[str, str], folder: Path, *roles: str) -> Iterator[Service]:
    """The roles named, or all; ready. SIGTERM at the end, and exit code 0."""
    log = folder / f"{'-'.join(roles) or 'all'}.log"
    chosen = [word for role in roles for word in ("--role", role)]
    watchdog = Watchdog()
    with log.open("wb") as written:
        process = subprocess.Popen(
            [sys.executable, "-m", "gateway.cli", "run", *chosen],
            env=dict(environment),
            stdin=subprocess.DEVNULL,
            stdout=written,
            stderr=written,
            start_new_session=True,
        )
    watchdog.process_started(process.pid)

    def alive() -> None:
        assert process.poll() is None, f"the service has ended:\n{_end_of(log)}"

    def listening() -> Service | None:
        alive()
        said = _HEALTH.search(log.read_text(errors="replace"))
        return None if said is None else Service(int(said[1]))

    def ready(service: Service) -> bool:
        alive()
        return service.call("GET", "/readyz").status == 200

    try:
        service = until("the service listens", listening)
        until("the service is ready", lambda: ready(service))
        yield service
        alive()
        process.terminate()
        assert process.wait(STOP_S) == 0, _end_of(log)
    finally:
        process.kill()
        process.wait(STOP_S)
        watchdog.process_ended(process.pid)
        watchdog.dismiss()


def _end_of(log: Path) -> str:
    return log.read_text(errors="replace")[-LOG_SHOWN:]
