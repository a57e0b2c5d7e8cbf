"""Takes the brokers down when the process that started them is gone, however it went.

Theory of operation. The owner starts this file as a child and keeps the write end of its standard input. One line per
message: `directory PATH` (remove it), `process PID` (kill it), `forget PID` (it has ended), `done` (all is cleaned up).
When the input ends without `done`, or the parent is another one (the pipe may live on in a forked child of the owner),
the owner has crashed: every process is killed, then every directory removed. That works after `kill -9` too, on Linux
and macOS alike. PR_SET_PDEATHSIG would not do: Linux only, and it fires when the *thread* that started the broker ends.

The file imports only the standard library and is run by its path, with `python -I -S`, to be there within some 20 ms.
"""

import os
import select
import shutil
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

PARENT_CHECK_S = 1.0
"""How long a crash goes unseen when the pipe stays open; when it closes it is seen at once."""

KILLED_WITHIN_S = 10.0
"""A killed JVM is gone within some 100 ms unless it hangs in the kernel; then its directory is removed under it."""


def watch(owner: int) -> None:
    """Serve until the owner is done or gone."""
    processes: list[int] = []
    directories: list[str] = []
    for line in _lines(owner):
        verb, _, argument = line.partition(" ")
        match verb:
            case "directory":
                directories.append(argument)
            case "process":
                processes.append(int(argument))
            case "forget":
                processes.remove(int(argument))
            case "done":
                return
            case _:
                raise ValueError(f"not a watchdog message: {line!r}")
    clean_up(processes, directories)


def clean_up(processes: list[int], directories: list[str]) -> None:
    """Kill, wait until they are gone, then remove."""
    for process in processes:
        with suppress(ProcessLookupError):
            os.kill(process, signal.SIGKILL)
    deadline = time.monotonic() + KILLED_WITHIN_S
    while any(_is_alive(process) for process in processes) and time.monotonic() < deadline:
        time.sleep(0.02)
    for directory in directories:
        shutil.rmtree(directory, ignore_errors=True)


def _lines(owner: int) -> Iterator[str]:
    """Complete lines of the owner; ends when the owner is gone."""
    pending = b""
    while True:
        readable, _, _ = select.select([sys.stdin.fileno()], [], [], PARENT_CHECK_S)
        if readable:
            data = os.read(sys.stdin.fileno(), 65536)
            if not data:
                return
            *complete, pending = (pending + data).split(b"\n")
            for line in complete:
                yield os.fsdecode(line)
        elif os.getppid() != owner:
            return


def _is_alive(process: int) -> bool:
    """Not gone, and not a zombie: in a container whose first process reaps nothing an orphan stays one for ever."""
    try:
        os.kill(process, 0)
        status = Path(f"/proc/{process}/stat").read_text()
    except ProcessLookupError:
        return False
    except OSError:  # no /proc: macOS, where orphans are reaped
        return True
    return status.rpartition(")")[2].split()[0] != "Z"


if __name__ == "__main__":
    watch(int(sys.argv[1]))
