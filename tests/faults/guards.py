"""`sendguard run --role guard` as a process of its own, to be killed, frozen and asked how it is."""

from __future__ import annotations

import http.client
import json
import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from gateway.localkafka.owner import Watchdog
from tests.faults.admin import until

ANSWER_S = 2.0
"""Health answers in milliseconds; a frozen guard does not answer at all."""

STOP_S = 40.0
"""Longer than the service's own limits for stopping."""

GAVE_UP = "our membership in the group"
"""A guard that is frozen again and again within a minute ends, and is started again by whoever supervises it."""

LOG_SHOWN = 4_000
"""Characters of the log's end in a failure's message."""


class Guard:
    """One instance, restarted under the same name on the same data. `directory` holds its data and its log."""

    def __init__(self, environment: Mapping[str, str], directory: Path, port: int, watchdog: Watchdog) -> None:
        self.directory = directory
        self._environment = dict(environment)
        self._port = port
        self._watchdog = watchdog
        self._process: subprocess.Popen[bytes] | None = None
        self._log = directory / "guard.log"
        directory.mkdir(parents=True)

    @property
    def view(self) -> Path:
        return self.directory / "data" / "view"

    def start(self) -> None:
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "gateway.cli", "run", "--role", "guard"],
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        self._watchdog.process_started(self._process.pid)

    def kill(self) -> None:
        """SIGKILL, frozen or not; returns when it is gone. Nothing happens when it does not run."""
        if self._process is not None:
            self._process.kill()
            self._process.wait(STOP_S)
            self._forget()

    def freeze(self) -> None:
        self._running().send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        self._running().send_signal(signal.SIGCONT)

    def stop(self) -> None:
        """SIGTERM; it must end with exit code 0."""
        process = self._running()
        process.terminate()
        try:
            code = process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"the guard did not stop:\n{self.log_tail()}") from None
        self._forget()
        assert code == 0, f"exit code {code}:\n{self.log_tail()}"

    def is_running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def restart_if_it_gave_up(self) -> bool:
        """What a supervisor does. A guard may end by itself for one reason only: its membership was lost repeatedly."""
        if self._process is None or self._process.poll() is None:
            return False
        assert GAVE_UP in self.log_tail(), f"the guard has ended:\n{self.log_tail()}"
        self._forget()
        self.start()
        return True

    def reasons(self) -> list[str] | None:
        """Why it is not ready, empty when it is, None when it does not answer. It must not have ended."""
        if not self.is_running():
            raise AssertionError(f"the guard has ended:\n{self.log_tail()}")
        body = self._get("/readyz")
        return None if body is None else [each["reason"] for each in json.loads(body)["reasons"]]

    def wait_ready(self) -> None:
        until(f"the guard in {self.directory} is ready", lambda: self.reasons() == [])

    def wait_not_ready(self, *words: str) -> str:
        """Wait for a reason with all the words in it, which is returned."""

        def look() -> str | None:
            found = self.reasons() or []
            return next((reason for reason in found if all(word in reason for word in words)), None)

        return until(f"the guard says {words}", look)

    def metric(self, name: str) -> float | None:
        """The sum of a metric over its labels; `name` may end in a part of them. None when it does not answer."""
        body = self._get("/metrics")
        if body is None:
            return None
        lines = [line for line in body.splitlines() if line.startswith(f"sendguard_{name}")]
        return sum(float(line.rpartition(" ")[2]) for line in lines)

    def serving(self) -> int:
        """Partitions it decides now; 0 when it does not answer."""
        return int(self.metric('workers{state="serving"}') or 0)

    def wait_held_up(self, partitions: int) -> None:
        """Until all of them wait for a freshness round with a batch in hand: none has a transaction under way then."""
        until("partitions are held up", lambda: self.metric('workers{state="held up"}') == partitions)

    def wait_rounds_fail(self, more: int) -> None:
        """Until so many more freshness rounds did not pass: time enough to have decided, had it wanted to."""
        before = self._rounds_failed()
        until("freshness rounds fail", lambda: self._rounds_failed() >= before + more)

    def _rounds_failed(self) -> float:
        return self.metric("barrier_failures_total") or 0.0

    def log(self) -> str:
        return self._log.read_text(errors="replace")

    def log_tail(self) -> str:
        return self.log()[-LOG_SHOWN:]

    def command(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Another command of the product, with this instance's settings."""
        return subprocess.run(
            [sys.executable, "-m", "gateway.cli", *arguments],
            env=self._environment,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )

    def _get(self, path: str) -> str | None:
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=ANSWER_S)
        try:
            connection.request("GET", path)
            return connection.getresponse().read().decode()
        except (OSError, http.client.HTTPException):
            return None
        finally:
            connection.close()

    def _running(self) -> subprocess.Popen[bytes]:
        assert self.is_running(), f"the guard does not run:\n{self.log_tail()}"
        assert self._process is not None
        return self._process

    def _forget(self) -> None:
        if self._process is not None:
            self._watchdog.process_ended(self._process.pid)
            self._process = None


def environment(prefix: str, bootstrap: str, instance_id: str, directory: Path, port: int) -> dict[str, str]:
    """Everything the process gets: nothing of ours leaks in."""
    return {
        "PATH": os.environ["PATH"],
        "SENDGUARD_KAFKA_BOOTSTRAP_SERVERS": bootstrap,
        "SENDGUARD_TOPIC_PREFIX": prefix,
        "SENDGUARD_INSTANCE_ID": instance_id,
        "SENDGUARD_DATA_DIR": str(directory / "data"),
        "SENDGUARD_HTTP_PORT": str(port),
    }
