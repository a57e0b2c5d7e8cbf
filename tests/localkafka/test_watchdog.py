"""The watchdog, with other processes in the place of brokers."""

import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from gateway.localkafka import watchdog

PATIENCE_S = 20.0

SLEEPER = [sys.executable, "-c", "import time; time.sleep(600)"]


@pytest.fixture
def sleeper() -> Iterator[subprocess.Popen[bytes]]:
    with subprocess.Popen(SLEEPER) as process:
        try:
            yield process
        finally:
            process.kill()


def start_watchdog(owner: int) -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, "-I", "-S", watchdog.__file__, str(owner)], stdin=subprocess.PIPE)


def tell(process: subprocess.Popen[bytes], *messages: str) -> int:
    """Say all that, close the pipe, and wait for the end."""
    process.communicate("".join(f"{message}\n" for message in messages).encode(), timeout=PATIENCE_S)
    return process.returncode


def test_it_kills_and_removes_when_the_pipe_breaks(sleeper: subprocess.Popen[bytes], tmp_path: Path) -> None:
    data = tmp_path / "with space"
    data.mkdir()
    sleeper.send_signal(signal.SIGSTOP)  # a frozen process must go as well
    assert tell(start_watchdog(psutil.Process().pid), f"directory {data}", f"process {sleeper.pid}") == 0
    assert sleeper.wait(PATIENCE_S) == -signal.SIGKILL
    assert not data.exists()


def test_it_leaves_everything_alone_when_the_owner_is_done(sleeper: subprocess.Popen[bytes], tmp_path: Path) -> None:
    assert tell(start_watchdog(psutil.Process().pid), f"directory {tmp_path}", f"process {sleeper.pid}", "done") == 0
    assert sleeper.poll() is None
    assert tmp_path.exists()


def test_it_spares_a_process_id_that_was_given_back(sleeper: subprocess.Popen[bytes]) -> None:
    assert tell(start_watchdog(psutil.Process().pid), f"process {sleeper.pid}", f"forget {sleeper.pid}") == 0
    assert sleeper.poll() is None


def test_it_does_not_guess_at_a_message_it_does_not_know(tmp_path: Path) -> None:
    process = subprocess.Popen(
        [sys.executable, "-I", "-S", watchdog.__file__, "1"], stdin=subprocess.PIPE, stderr=subprocess.PIPE
    )
    _, said = process.communicate(b"kill everything\n", timeout=PATIENCE_S)
    assert process.returncode != 0
    assert b"not a watchdog message" in said


OWNER_WITH_A_FORK = """
import os, subprocess, sys, time
dog = subprocess.Popen([sys.executable, "-I", "-S", sys.argv[1], str(os.getpid())], stdin=subprocess.PIPE)
dog.stdin.write(f"process {sys.argv[2]}\\n".encode())
dog.stdin.flush()
fork = os.fork()
if fork == 0:
    time.sleep(600)
print(fork, flush=True)
time.sleep(600)
"""


def test_it_notices_a_dead_owner_whose_fork_keeps_the_pipe_open(sleeper: subprocess.Popen[bytes]) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", OWNER_WITH_A_FORK, watchdog.__file__, str(sleeper.pid)], stdout=subprocess.PIPE
    ) as owner:
        assert owner.stdout is not None
        fork = psutil.Process(int(owner.stdout.readline()))
        owner.kill()
        try:
            assert sleeper.wait(PATIENCE_S) == -signal.SIGKILL
            assert fork.is_running()  # so the pipe was open all the time
        finally:
            fork.kill()
