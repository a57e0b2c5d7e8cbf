"""A process of its own that applies a random log and dies: `python -m tests.view.apply_log DIRECTORY SEED BUFFER`.

It writes one line to standard output after every batch, so that it can be killed before its end. At its end it kills
itself: the view is never closed. BUFFER is the size of RocksDB's memtable in bytes.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from functools import cache
from pathlib import Path

from gateway.view import rocksdb
from tests.view.logs import Log, open_view, random_log

PARTITIONS = 2
BATCH = 5

SMALLEST_BUFFER_BYTES = 64 << 10
"""Flushes and compactions are running all the time."""

LARGE_BUFFER_BYTES = 16 << 20
"""Everything is still in the write-ahead log when the process dies."""


@cache
def crash_log(seed: int) -> Log:
    return random_log(seed, PARTITIONS, lines=1_500, subjects=300)


def apply_and_die(
    directory: Path, seed: int, batches: int | None = None, buffer_bytes: int = SMALLEST_BUFFER_BYTES
) -> None:
    """Run such a process until it has applied so many batches, or to its end."""
    command = [sys.executable, "-m", "tests.view.apply_log", str(directory), str(seed), str(buffer_bytes)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, cwd=Path(__file__).parents[2]) as process:
        assert process.stdout is not None
        for _ in range(batches or 0):
            assert process.stdout.readline() == b"applied\n"
        if batches is not None:
            process.kill()
        process.stdout.read()
        assert process.wait() == -signal.SIGKILL


def main(directory: str, seed: str, buffer_bytes: str) -> None:
    rocksdb.WRITE_BUFFER_BYTES = int(buffer_bytes)
    view = open_view(Path(directory), PARTITIONS)
    parts = [
        (partition, rest[start : start + BATCH])
        for partition, lines in enumerate(crash_log(int(seed)))
        for rest in [[entry for entry in lines if entry.offset >= view.positions()[partition]]]
        for start in range(0, len(rest), BATCH)
    ]
    parts.sort(key=lambda part: part[1][0].offset)  # the partitions in turn
    for partition, part in parts:
        view.apply(partition, part, part[-1].offset + 1)
        sys.stdout.write("applied\n")
        sys.stdout.flush()
    os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    main(*sys.argv[1:])
