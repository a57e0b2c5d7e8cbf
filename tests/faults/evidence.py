"""What is kept of a test that failed, before its topics are deleted and its brokers restored.

Nothing is asked of Kafka here: brokers may be frozen or down when a test fails. Files are copied as they lie there:

* `driver.json`: everything the driver sent, and when each acknowledgement came;
* `read.jsonl`: every record of the history that was judged, if it came to that;
* `broker-<n>/`: the broker's log, the segments of the test's topics, and of Kafka's own topics, for
  `kafka-dump-log.sh`. With brokers in containers only what can be seen from outside.

The guards' logs are in the test's own directory anyhow.
"""

from __future__ import annotations

import contextlib
import json
import shutil
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

from tests.faults.history import History, Record, Sent

BROKERS = "broker-*"
SEGMENTS = ("*.log", "*.snapshot", "leader-epoch-checkpoint")
"""Of a partition's folder: the records, what is known of producers, and which leaders there were."""

OWN_TOPICS = ("__consumer_offsets-", "__transaction_state-", "__cluster_metadata-")


def keep(directory: Path, prefix: str, sent: Sent, history: History | None, kafka: Path) -> Path:
    """Fill `directory`, which is returned; `kafka` is where the cluster has its data, `prefix` is of its topics."""
    directory.mkdir(parents=True, exist_ok=True)
    (directory / "driver.json").write_text(json.dumps(asdict(sent), indent=1))
    if history is not None:
        with (directory / "read.jsonl").open("w") as lines:
            lines.writelines(f"{_line(record)}\n" for record in _records(history))
    for broker in sorted(kafka.glob(BROKERS)):
        for folder in (folder for folder in broker.glob("data/*") if folder.name.startswith((prefix, *OWN_TOPICS))):
            for pattern in SEGMENTS:
                _copy(folder.glob(pattern), directory / broker.name / folder.name)
        _copy(broker.glob("*.log"), directory / broker.name)
    return directory


def _copy(files: Iterator[Path], to: Path) -> None:
    for file in files:
        to.mkdir(parents=True, exist_ok=True)
        with contextlib.suppress(FileNotFoundError):  # a broker that runs has just replaced it
            shutil.copyfile(file, to / file.name)


def _records(history: History) -> Iterator[Record]:
    yield from history.requests
    yield from history.decisions
    yield from history.written()
    yield from history.events


def _line(record: Record) -> str:
    """Bytes as text that can be told from any other bytes."""
    shown = asdict(record) | {"headers": [(name, _text(value)) for name, value in record.headers]}
    return json.dumps(shown | {"key": _text(record.key), "value": _text(record.value)})


def _text(value: bytes | None) -> str | None:
    return None if value is None else value.decode(errors="backslashreplace")
