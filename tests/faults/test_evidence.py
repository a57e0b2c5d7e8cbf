"""What is kept of a failed test can be read without Kafka."""

from __future__ import annotations

import json
from pathlib import Path

from tests.faults.evidence import keep
from tests.faults.right_history import good


def test_what_was_sent_what_was_read_and_the_brokers_files_of_the_tests_topics_are_kept(tmp_path: Path) -> None:
    history = good()
    partitions = ("test.requests-0", "__transaction_state-3", "another.requests-0")
    for name in partitions:
        (folder := tmp_path / "kafka" / "broker-1" / "data" / name).mkdir(parents=True)
        for file in ("00000000000000000000.log", "00000000000000000000.index"):
            (folder / file).write_text(name)
    (tmp_path / "kafka" / "broker-1" / "broker.log").write_text("INFO")
    kept = keep(tmp_path / "kept", "test.", history.sent, history, tmp_path / "kafka")
    sent = json.loads((kept / "driver.json").read_text())
    assert (sent["requests"]["r0"]["channel"], sent["events_acknowledged"]["e3"]) == ("SMS", 23)
    read = [json.loads(line) for line in (kept / "read.jsonl").read_text().splitlines()]
    assert [each["topic"] for each in read].count("requests") == len(history.requests)
    assert (read[0]["value"], read[0]["headers"][0]) == (json.dumps({"request_id": "r0"}), ["test-request-id", "r0"])
    files = sorted(str(file.relative_to(kept / "broker-1")) for file in (kept / "broker-1").rglob("*.log"))
    assert files == [
        "__transaction_state-3/00000000000000000000.log",
        "broker.log",
        "test.requests-0/00000000000000000000.log",
    ]
