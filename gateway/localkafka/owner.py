"""The owner's end of the watchdog (see watchdog.py for how it works)."""

import os
import subprocess
import sys
from pathlib import Path

from gateway.localkafka import watchdog

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
        self._tell(f"forget {pid}")

    def dismiss(self) -> None:
        """Everything is cleaned up."""
        self._tell("done")
        if self._child.stdin is not None:
            self._child.stdin.close()
        self._child.wait(GOODBYE_DEADLINE_S)

    def _tell(self, message: str) -> None:
        if self._child.stdin is None:
            raise RuntimeError("the watchdog has no input")
        self._child.stdin.write(os.fsencode(message) + b"\n")
        self._child.stdin.flush()
