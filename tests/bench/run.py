"""Starts variants and measures them from outside."""

from __future__ import annotations

import asyncio
import contextlib
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import msgspec

from gateway.contract.topics import Topics
from gateway.streams.topics import apply
from tests.bench.load import Load
from tests.bench.variant import Config, Measured, settings_of

READY_DEADLINE_S = 600.0
RUN_DEADLINE_S = 600.0
NEVER = 1 << 62
"""A target nobody reaches: such a run ends by word."""


@dataclass(frozen=True, slots=True)
class World:
    """Where variants run."""

    bootstrap: str
    topics: Topics
    load: Load
    data_dir: Path
    database_url: str | None

    def config(self, group_id: str, target: int = NEVER) -> Config:
        """What a variant needs to know."""
        return Config(
            bootstrap=self.bootstrap,
            prefix=self.topics.prefix,
            group_id=group_id,
            data_dir=str(self.data_dir),
            target=target,
            event_partitions=self.load.event_partitions,
            request_partitions=self.load.partitions,
            database_url=self.database_url,
        )

    def create_topics(self) -> None:
        """As `sendguard topics apply` does."""
        report = asyncio.run(apply(settings_of(self.config("topics"))))
        if report.failed:
            raise RuntimeError(f"topics could not be created: {report.failed}")


class Process:
    """A variant that is loaded. `go` it; `stop` or wait for its target gives what it measured."""

    def __init__(self, world: World, name: str, target: int = NEVER, group_id: str | None = None) -> None:
        config = world.config(group_id or f"{name}-{uuid.uuid4().hex[:8]}", target)
        began = time.perf_counter()
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.bench.variant", name, msgspec.json.encode(config).decode()],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        if self._line() != "ready":
            raise RuntimeError(f"variant {name} did not start")
        self.seconds_to_ready = time.perf_counter() - began

    def _line(self) -> str:
        return _pipe(self._process.stdout).readline().strip()

    def go(self) -> None:
        self._say("go")

    def _say(self, word: str) -> None:
        stdin = _pipe(self._process.stdin)
        with contextlib.suppress(BrokenPipeError):
            stdin.write(f"{word}\n")
            stdin.flush()

    def result(self) -> Measured:
        """When the target is reached."""
        return msgspec.json.decode(self._line(), type=Measured)

    def stop(self) -> Measured:
        """Before the target is reached."""
        self._say("stop")
        return self.result()

    def end(self) -> None:
        """Its standard input ends, and with it the thread that listens there."""
        with contextlib.suppress(BrokenPipeError):
            _pipe(self._process.stdin).close()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(10)
        self._process.kill()
        self._process.wait()


def _pipe(stream: IO[str] | None) -> IO[str]:
    if stream is None:
        raise RuntimeError("the process has no pipe")
    return stream


@contextlib.contextmanager
def variant(world: World, name: str, target: int = NEVER) -> Iterator[Process]:
    """A loaded variant, ended at the end."""
    process = Process(world, name, target)
    try:
        yield process
    finally:
        process.end()
