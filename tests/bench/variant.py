"""One variant in a process of its own: `python -m tests.bench.variant NAME CONFIG`, driven over its standard streams.

It loads its state, says `ready`, waits for a line, then decides. When `target` requests are decided, or at the next
line, it stops and prints what it measured as JSON.
"""

from __future__ import annotations

import asyncio
import contextlib
import resource
import sys
import threading
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Protocol

import msgspec
import uvloop

from gateway.cli.run import collect_garbage_seldom
from gateway.contract.topics import Topics
from gateway.settings import Settings
from tests.bench.guards import GuardVariant
from tests.bench.plain import Decided, HeldPhones, first_try, pass_through
from tests.bench.rivals import ConfluentGuard, PostgresGuard


class Config(msgspec.Struct, frozen=True):
    """What the driver says."""

    bootstrap: str
    prefix: str
    group_id: str
    data_dir: str
    target: int
    event_partitions: int
    request_partitions: int
    database_url: str | None = None


class Measured(msgspec.Struct, frozen=True):
    """What a variant says of itself. `seconds` and `cpu_s` are from the first committed batch to the last."""

    decided: int
    seconds: float
    cpu_s: float
    peak_rss_mib: float


class Variant(Protocol):
    async def load(self) -> None: ...
    async def run(self, decided: Decided, stop: asyncio.Event) -> None: ...
    async def close(self) -> None: ...


class Plain:
    """A function as a variant."""

    def __init__(
        self, run: Callable[[Decided, asyncio.Event], Awaitable[None]], held: HeldPhones | None = None
    ) -> None:
        self._run = run
        self._held = held

    async def load(self) -> None:
        if self._held is not None:
            await self._held.load()

    async def run(self, decided: Decided, stop: asyncio.Event) -> None:
        await self._run(decided, stop)

    async def close(self) -> None:
        if self._held is not None:
            await self._held.close()


def settings_of(config: Config) -> Settings:
    """The service's settings for one variant, with a view directory of its own."""
    return Settings.of(
        kafka_bootstrap_servers=config.bootstrap,
        topic_prefix=config.prefix,
        replication_factor=1,
        request_partitions=config.request_partitions,
        event_partitions=config.event_partitions,
        group_id=config.group_id,
        data_dir=str(Path(config.data_dir) / config.group_id),
    )


def build(name: str, config: Config) -> Variant:
    """The variant of that name."""
    bootstrap, topics, group_id = config.bootstrap, Topics(config.prefix), config.group_id

    def guard(*, barrier: bool, transactions: bool) -> GuardVariant:
        return GuardVariant(settings_of(config), barrier=barrier, transactions=transactions)

    def first(*, wait: bool) -> Plain:
        held = HeldPhones(bootstrap, topics)
        return Plain(lambda decided, stop: first_try(bootstrap, topics, group_id, held, decided, stop, wait=wait), held)

    match name:
        case "a":
            return guard(barrier=True, transactions=True)
        case "b":
            return guard(barrier=False, transactions=True)
        case "c":
            return guard(barrier=True, transactions=False)
        case "d":
            return Plain(lambda decided, stop: pass_through(bootstrap, topics, group_id, decided, stop))
        case "e-wait":
            return first(wait=True)
        case "e-send":
            return first(wait=False)
        case "f-confluent":
            return ConfluentGuard(bootstrap, topics, group_id)
        case "f-postgres":
            return PostgresGuard(bootstrap, topics, group_id, config.database_url or "")
        case _:
            raise SystemExit(f"no variant {name}")


class Meter:
    """Counts decisions; the clock runs from the first committed batch to the one that reaches the target."""

    def __init__(self, target: int, stop: asyncio.Event) -> None:
        self._target = target
        self._stop = stop
        self._first = 0
        self._began = self._ended = (0.0, 0.0)
        self.count = 0

    def decided(self, count: int) -> None:
        now = (time.perf_counter(), time.process_time())
        if not self.count:
            self._first, self._began = count, now
        self.count += count
        self._ended = now
        if self.count >= self._target:
            self._stop.set()

    def measured(self) -> Measured:
        (began, cpu_began), (ended, cpu_ended) = self._began, self._ended
        return Measured(self.count - self._first, ended - began, cpu_ended - cpu_began, peak_rss_mib())


def peak_rss_mib() -> float:
    """Of this process. On Linux from its status, because `ru_maxrss` also knows the parent before the exec."""
    status = Path("/proc/self/status")
    if status.exists():
        peak_kib = next(line.split()[1] for line in status.read_text().splitlines() if line.startswith("VmHWM:"))
        return int(peak_kib) / 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1024 * 1024)  # macOS counts bytes


async def main(name: str, config: Config) -> Measured:
    """Load, wait for the word, run, measure."""
    variant, stop = build(name, config), asyncio.Event()
    await variant.load()
    collect_garbage_seldom()  # as the service does; every variant has it
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    await asyncio.to_thread(sys.stdin.readline)
    loop = asyncio.get_running_loop()

    def until_told() -> None:
        sys.stdin.readline()
        with contextlib.suppress(RuntimeError):  # the loop is closed when the target was reached first
            loop.call_soon_threadsafe(stop.set)

    threading.Thread(target=until_told, name="driver's word", daemon=True).start()
    meter = Meter(config.target, stop)
    await variant.run(meter.decided, stop)
    measured = meter.measured()
    await variant.close()
    return measured


if __name__ == "__main__":
    result = uvloop.run(main(sys.argv[1], msgspec.json.decode(sys.argv[2], type=Config)))
    sys.stdout.write(msgspec.json.encode(result).decode() + "\n")
