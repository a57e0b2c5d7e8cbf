"""`sendguard demo` as a process of its own, in a temporary folder of its own."""

from __future__ import annotations

import os
import queue
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil

PATIENCE_S = 120.0
"""For the next line; a start takes five seconds on a quiet machine."""


class Demo:
    """A running demo. `said` is all it has printed so far, errors included."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process
        self._lines: queue.Queue[str | None] = queue.Queue()
        self.said = ""
        self._reader = threading.Thread(target=self._read, name="reads the demo's output")
        self._reader.start()

    def _read(self) -> None:
        assert self._process.stdout is not None
        for text in self._process.stdout:
            self._lines.put(text)
        self._lines.put(None)

    def next_line(self) -> str | None:
        """None at the end."""
        text = self._lines.get(timeout=PATIENCE_S)
        self.said += text or ""
        return text

    def until(self, word: str) -> str:
        """The first line to come with the word in it."""
        while (text := self.next_line()) is not None:
            if word in text:
                return text
        raise AssertionError(f"it ended without {word!r}:\n{self.said}")

    def signal(self, number: signal.Signals) -> None:
        self._process.send_signal(number)

    def ended(self) -> int:
        """Its exit code, once it has ended and everything it said is in `said`."""
        while self.next_line() is not None:
            pass
        return self._process.wait(PATIENCE_S)

    def children(self) -> list[psutil.Process]:
        """Everything it has started that still runs."""
        return psutil.Process(self._process.pid).children(recursive=True)

    def close(self) -> None:
        self._process.kill()
        self._process.wait(PATIENCE_S)
        self._reader.join(PATIENCE_S)
        if self._process.stdout is not None:
            self._process.stdout.close()


@contextmanager
def demo(temporary: Path, *arguments: str) -> Iterator[Demo]:
    """Started, with its own folder for temporary files."""
    process = subprocess.Popen(
        [sys.executable, "-m", "gateway.cli", "demo", "--port", "0", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={**os.environ, "TMPDIR": str(temporary), "SENDGUARD_KAFKA_BOOTSTRAP_SERVERS": "nowhere:1"},
    )
    running = Demo(process)
    try:
        yield running
    finally:
        running.close()
