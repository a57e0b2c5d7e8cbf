"""Nothing is left behind when the process that started the brokers is killed."""

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

from gateway.localkafka import watchdog
from gateway.localkafka.jvm_process import LAUNCHER
from tests.localkafka.needs import needs_java

GONE_WITHIN_S = 20.0
"""It takes a fraction of a second on an idle machine."""

OWNER = """
import json, time
from gateway.localkafka import Backend, LocalKafka, LocalKafkaConfig
kafka = LocalKafka(LocalKafkaConfig(backend=Backend.MAVEN))
kafka.start()
(broker,) = kafka.brokers
print(json.dumps({"pid": broker.pid, "data": str(kafka.data_dir)}), flush=True)
time.sleep(600)
"""


@contextmanager
def owner_with_a_broker() -> Iterator[tuple[subprocess.Popen[bytes], psutil.Process, Path]]:
    with subprocess.Popen([sys.executable, "-c", OWNER], stdout=subprocess.PIPE) as owner:
        assert owner.stdout is not None
        told = json.loads(owner.stdout.readline())
        broker = psutil.Process(told["pid"])
        assert "kafka.Kafka" in broker.cmdline()
        try:
            yield owner, broker, Path(told["data"])
        finally:
            owner.kill()


def wait_gone(*processes: psutil.Process) -> None:
    """Ended: in a container whose first process reaps nothing, an orphan stays a zombie."""
    _, alive = psutil.wait_procs(processes, GONE_WITHIN_S, callback=None)
    assert [process for process in alive if process.status() != psutil.STATUS_ZOMBIE] == []


@needs_java
@pytest.mark.parametrize("frozen", [False, True])
def test_a_killed_owner_leaves_no_broker_and_no_data(frozen: bool) -> None:
    with owner_with_a_broker() as (owner, broker, data):
        dogs = [child for child in psutil.Process(owner.pid).children() if watchdog.__file__ in child.cmdline()]
        assert len(dogs) == 1
        assert (data / "broker-1" / "data").is_dir()
        if frozen:
            broker.send_signal(signal.SIGSTOP)
        owner.kill()
        owner.wait()
        wait_gone(broker, *dogs)
        assert not data.exists()


def test_a_launcher_whose_owner_dies_before_the_word_starts_nothing(tmp_path: Path) -> None:
    started = tmp_path / "started"
    launcher = subprocess.Popen([*LAUNCHER, "touch", str(started)], stdin=subprocess.PIPE)
    launcher.communicate(b"", timeout=GONE_WITHIN_S)
    assert launcher.returncode != 0
    assert not started.exists()
