"""A broker as a JVM of this machine.

Nothing may outlive a crash of the owner, also not a JVM that was just being started. So the child is first a shell that
waits for a word on its standard input; the word is given after the watchdog knows the process id (which stays the same
over `exec`). An owner that dies in between leaves a shell that reads end of file and ends.
"""

import signal
import subprocess
from collections.abc import Sequence
from pathlib import Path

from gateway.localkafka.config import LocalKafkaError
from gateway.localkafka.owner import Watchdog

LAUNCHER = ("/bin/sh", "-c", 'read -r go && exec "$@" </dev/null', "broker")

KILL_DEADLINE_S = 30
"""SIGKILL cannot be refused; more than that means a hanging kernel."""

LOG_TAIL_BYTES = 32_768
"""Read from the end of a log that may be large."""


class JvmProcess:
    """See BrokerProcess. `command` starts the JVM in `directory`, its output is appended to `log`."""

    def __init__(self, command: Sequence[str], directory: Path, log: Path, watchdog: Watchdog) -> None:
        self._command = command
        self._directory = directory
        self._log = log
        self._watchdog = watchdog
        self._child: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int | None:
        return self._child.pid if self._child is not None and self.is_running() else None

    def launch(self) -> None:
        with self._log.open("ab") as log:
            self._child = subprocess.Popen(  # noqa: S603 - our own command
                [*LAUNCHER, *self._command],
                cwd=self._directory,
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # Ctrl-C is for the owner, which then stops the brokers in order
            )
        if self._child.stdin is None:
            raise LocalKafkaError("the launcher has no input")
        with self._child.stdin as go:  # closing it without a word ends the launcher
            self._watchdog.process_started(self._child.pid)
            go.write(b"go\n")

    def is_running(self) -> bool:
        if self._child is None:
            return False
        if self._child.poll() is None:
            return True
        self._forget()
        return False

    def kill(self) -> None:
        if self._child is not None:
            self._child.kill()
            self.wait_stopped(KILL_DEADLINE_S)

    def freeze(self) -> None:
        self._send(signal.SIGSTOP)

    def thaw(self) -> None:
        self._send(signal.SIGCONT)

    def ask_to_stop(self) -> None:
        self._send(signal.SIGTERM)

    def wait_stopped(self, timeout_s: float) -> bool:
        if self._child is None:
            return True
        try:
            self._child.wait(timeout_s)
        except subprocess.TimeoutExpired:
            return False
        self._forget()
        return True

    def log_tail(self, lines: int) -> str:
        if not self._log.exists():
            return "(no log)"
        with self._log.open("rb") as log:
            log.seek(max(0, self._log.stat().st_size - LOG_TAIL_BYTES))
            return "\n".join(log.read().decode(errors="replace").splitlines()[-lines:])

    def _send(self, number: signal.Signals) -> None:
        if self._child is not None:
            self._child.send_signal(number)

    def _forget(self) -> None:
        """The id is free for another process now: the watchdog must not kill that one."""
        if self._child is not None:
            self._watchdog.process_ended(self._child.pid)
            self._child = None
