"""The webhook door: posts per second next to a bare handler, and from its answer to the guard's decision.

Both doors are up all the time; rounds alternate between them, so that both see the same machine, and the ratio of each
round counts. The honour time begins when a signed STOP is answered: a request to that number is sent at once, and it
ends when a `read_committed` reader has seen its decision, which must be `dropped`.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, NamedTuple

import psutil

from tests.bench.latency import DecisionTimes, eager_producer
from tests.bench.load import LOCATION, request_value
from tests.bench.posts import ACCOUNTS, posts, stop
from tests.bench.run import World, variant

ROUNDS = 5
POSTS = 4_000
"""In a round, to each door: some seconds."""

WARM_UP_POSTS = 1_000
CONNECTIONS = 64
"""Kept alive, each with one post at a time."""

STOPS = 300
FIRST_STOPPED = 1_500_000
"""Numbers nobody else in the benchmark has."""

READY_S = 60.0
SEEN_S = 10.0

ANSWER_BYTES = 4_096
OK = b"HTTP/1.1 200 "

_HEALTH = re.compile(r"health on http://\S+:(\d+)/readyz")


class DoorSpeed(NamedTuple):
    """Of one door in one round; `cpu_s_each` is the door's process alone."""

    per_s: float
    cpu_s_each: float


class Door(NamedTuple):
    """A door that is up."""

    port: int
    process: psutil.Process


@dataclass(slots=True)
class WebhookTimes:
    """Of each round; and milliseconds from a STOP's answer to the decision on the next request, sorted."""

    ours: list[DoorSpeed] = field(default_factory=list)
    bare: list[DoorSpeed] = field(default_factory=list)
    honour_ms: list[float] = field(default_factory=list)
    forwarded: int = 0
    """Of these requests; 0, or the door has answered too early."""

    def ratios(self) -> list[float]:
        return [ours.per_s / bare.per_s for ours, bare in zip(self.ours, self.bare, strict=True)]


def webhook_times(world: World, rounds: int = ROUNDS, count: int = POSTS, stops: int = STOPS) -> WebhookTimes:
    """The speed first, then the honour time with a guard that is idle otherwise."""
    times = WebhookTimes()
    with _our_door(world) as ours:
        with _bare_door(world) as bare:
            for door in (ours, bare):
                asyncio.run(_speed(door, f"w{door.port}x", min(count, WARM_UP_POSTS)))
            for number in range(rounds):
                mark = f"r{number}x{time.time_ns()}x"
                times.ours.append(asyncio.run(_speed(ours, mark, count)))
                times.bare.append(asyncio.run(_speed(bare, mark, count)))
        _honour(world, ours.port, stops, times)
    return times


async def _speed(door: Door, mark: str, count: int) -> DoorSpeed:
    """Of posts that are answered with 200."""
    waiting = deque(posts(mark, count))
    opened = [await asyncio.open_connection("127.0.0.1", door.port) for _ in range(CONNECTIONS)]

    async def post_all(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while waiting:
            writer.write(waiting.popleft())
            await _answered(reader)

    began, cpu_began = time.perf_counter(), _cpu_s(door)
    async with asyncio.TaskGroup() as group:
        for reader, writer in opened:
            group.create_task(post_all(reader, writer), name="connection")
    seconds, cpu_s = time.perf_counter() - began, _cpu_s(door) - cpu_began
    for _, writer in opened:
        writer.close()
        await writer.wait_closed()
    return DoorSpeed(count / seconds, cpu_s / count)


def _cpu_s(door: Door) -> float:
    spent = door.process.cpu_times()
    return spent.user + spent.system


async def _answered(reader: asyncio.StreamReader) -> None:
    head = await reader.readuntil(b"\r\n\r\n")
    if not head.startswith(OK):
        raise RuntimeError(f"a post was answered with {head[:100]!r}")
    length = re.search(rb"(?i)content-length: *(\d+)", head)
    await reader.readexactly(int(length[1]) if length else 0)


def _honour(world: World, port: int, stops: int, times: WebhookTimes) -> None:
    """One STOP after the other, each with a request behind it."""
    seen, to_kafka = DecisionTimes(world, world.topics.decisions), eager_producer(world)
    mark, answered = f"h{time.time_ns()}x", {}
    try:
        with variant(world, "a") as guard, socket.create_connection(("127.0.0.1", port)) as connection:
            guard.go()
            for number in range(stops):
                connection.sendall(stop(mark, FIRST_STOPPED + number))
                if not connection.recv(ANSWER_BYTES).startswith(OK):
                    raise RuntimeError("a STOP was not answered with 200")
                request_id, answered_at = f"{mark}{number}", time.perf_counter()
                value = request_value(request_id, FIRST_STOPPED + number)
                partition = number % world.load.partitions
                to_kafka.produce(world.topics.requests, value, LOCATION.encode(), partition=partition)
                to_kafka.flush()
                answered[request_id] = answered_at
                deadline = time.monotonic() + SEEN_S
                while request_id not in seen.seen and time.monotonic() < deadline:
                    time.sleep(0.001)
            guard.stop()
    finally:
        seen.close()
    decided = {request_id: seen.seen[request_id] for request_id in answered}
    times.forwarded = sum(outcome != "dropped" for _, outcome in decided.values())
    times.honour_ms = sorted((at - answered[request_id]) * 1000 for request_id, (at, _) in decided.items())


@contextlib.contextmanager
def _our_door(world: World) -> Iterator[Door]:
    """`sendguard run --role http` in a process of its own."""
    folder = Path(world.data_dir) / "door"
    folder.mkdir(exist_ok=True)
    accounts = folder / "accounts.toml"
    accounts.write_text(ACCOUNTS, encoding="utf-8")
    settings = {
        "KAFKA_BOOTSTRAP_SERVERS": world.bootstrap,
        "TOPIC_PREFIX": world.topics.prefix,
        "REPLICATION_FACTOR": "1",
        "REQUEST_PARTITIONS": str(world.load.partitions),
        "EVENT_PARTITIONS": str(world.load.event_partitions),
        "DATA_DIR": str(folder),
        "HTTP_PORT": "0",
        "ACCOUNTS": str(accounts),
        "LOG_LEVEL": "INFO",
    }
    environment = os.environ | {f"SENDGUARD_{name}": value for name, value in settings.items()}
    command = [sys.executable, "-m", "gateway.cli", "run", "--role", "http"]
    log = folder / "log"
    with log.open("w") as written, _ended(subprocess.Popen(command, env=environment, stderr=written)) as process:
        deadline = time.monotonic() + READY_S
        while not (port := _ready_port(log)):
            if time.monotonic() > deadline:
                raise RuntimeError(f"the door is not ready: {log.read_text(encoding='utf-8')[-2_000:]}")
            time.sleep(0.1)
        yield Door(port, process)


def _ready_port(log: Path) -> int:
    """0 = it is not ready."""
    found = _HEALTH.search(log.read_text(encoding="utf-8"))
    if found is None:
        return 0
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{found[1]}/readyz", timeout=5):
            return int(found[1])
    except urllib.error.URLError:
        return 0


@contextlib.contextmanager
def _bare_door(world: World) -> Iterator[Door]:
    command = [sys.executable, "-m", "tests.bench.bare_door", world.bootstrap, world.topics.dnd_events]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    with _ended(process) as running:
        yield Door(int(_pipe(process.stdout).readline()), running)


@contextlib.contextmanager
def _ended(process: subprocess.Popen[str] | subprocess.Popen[bytes]) -> Iterator[psutil.Process]:
    try:
        yield psutil.Process(process.pid)
    finally:
        process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(10)
        process.kill()
        process.wait()


def _pipe(stream: IO[str] | None) -> IO[str]:
    if stream is None:
        raise RuntimeError("the process has no pipe")
    return stream
