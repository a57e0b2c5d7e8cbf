"""`sendguard broker`, as a process of its own."""

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

from gateway.localkafka.ports import free_ports
from tests.localkafka.clients import create_topic, produce, read
from tests.localkafka.needs import needs_java

PATIENCE_S = 60.0

PROGRAM = """
import json, sys
from pathlib import Path
from gateway.localkafka.command import run_broker
brokers, port, data_dir, backend, as_json = json.loads(sys.argv[1])
run_broker(brokers, port, data_dir and Path(data_dir), backend, as_json=as_json)
"""


@contextmanager
def command(
    *,
    brokers: int = 1,
    port: int | None = None,
    data_dir: Path | None = None,
    backend: str | None = None,
    as_json: bool = False,
) -> Iterator[subprocess.Popen[str]]:
    arguments = json.dumps([brokers, port, None if data_dir is None else str(data_dir), backend, as_json])
    with subprocess.Popen(
        [sys.executable, "-c", PROGRAM, arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def first_line(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_it_prints_the_address_and_ends_cleanly_on_a_signal(number: signal.Signals, fresh_name: str) -> None:
    with command(as_json=True) as process:
        told = json.loads(first_line(process))
        create_topic(told["bootstrap_servers"], fresh_name)
        process.send_signal(number)
        rest, said = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 0, said
    assert rest == ""
    assert "Traceback" not in said
    assert not Path(told["data_dir"]).exists()
    pid = told["brokers"][0]["pid"]
    assert pid is None or not psutil.pid_exists(pid)  # a container has none


def test_data_and_address_are_there_again_when_they_were_given(tmp_path: Path, fresh_name: str) -> None:
    port = next(free_ports())
    with command(port=port, data_dir=tmp_path) as process:
        assert first_line(process) == f"127.0.0.1:{port}"
        create_topic(f"127.0.0.1:{port}", fresh_name)
        produce(f"127.0.0.1:{port}", fresh_name, [b"kept"])
        process.terminate()
        assert process.wait(PATIENCE_S) == 0
    with command(port=port, data_dir=tmp_path) as process:
        assert first_line(process) == f"127.0.0.1:{port}"
        assert read(f"127.0.0.1:{port}", fresh_name, 1) == [b"kept"]


@needs_java
def test_it_ends_with_an_error_when_the_broker_has_ended() -> None:
    with command(backend="maven", as_json=True) as process:
        psutil.Process(json.loads(first_line(process))["brokers"][0]["pid"]).kill()
        _, said = process.communicate(timeout=PATIENCE_S)
    assert process.returncode != 0
    assert "every broker has ended by itself" in said
