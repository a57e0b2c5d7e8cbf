"""The owner's end of the watchdog (see watchdog.py for how it works)."""

import os
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

from gateway.localkafka import watchdog
from gateway.localkafka.config import LocalKafkaError

GOODBYE_DEADLINE_S = 10
"""The watchdog ends at once when told so."""


class Watchdog:
    """A child process that cleans up when this one cannot."""

    def __init__(self) -> None:
        self._child = subprocess.Popen(  # noqa: S603 - our own file
            [sys.executable, "-I", "-S", str(Path(watchdog.__file__)), str(os.getpid())],
            stdin=subprocess.PIPE,
            start_new_session=True,  # so that closing the terminal does not take the watchdog first
        )

    def remove_directory(self, directory: Path) -> None:
        """Remove it after a crash."""
        self._tell(f"directory {directory}")

    def process_started(self, pid: int) -> None:
        """Kill it after a crash."""
        self._tell(f"process {pid}")

    def process_ended(self, pid: int) -> None:
        """It was reaped; its id may belong to somebody else from now on."""
        with suppress(LocalKafkaError):  # a dead watchdog kills nobody
            self._tell(f"forget {pid}")

    def dismiss(self) -> None:
        """Everything is cleaned up."""
        with suppress(LocalKafkaError):  # nothing left to watch for
            self._tell("done")
        self.abandon()

    def abandon(self) -> None:
        """Let it clean up what it knows of: set-up failed half-way, and nobody else will."""
        if self._child.stdin is not None:
            with suppress(BrokenPipeError):
                self._child.stdin.close()
        self._child.wait(GOODBYE_DEADLINE_S)

    def _tell(self, message: str) -> None:
        if self._child.stdin is None:
            raise LocalKafkaError("the watchdog has no input")
        try:
            self._child.stdin.write(os.fsencode(message) + b"\n")
            self._child.stdin.flush()
        except (BrokenPipeError, ValueError) as gone:
            raise LocalKafkaError("the watchdog of the local Kafka is gone; brokers would outlive a crash") from gone
