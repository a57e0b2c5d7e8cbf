"""`sendguard demo` from start to end, as a stranger runs it."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlencode

import psutil
import pytest

from gateway.demo.setup import HTTP_HOST
from gateway.dnd.model import Channel
from tests.demo.running import PATIENCE_S, demo

LINES_LIMIT = 80
"""Without a terminal it must not flood a log."""


def is_left(temporary: Path) -> list[str]:
    return [entry.name for entry in temporary.iterdir() if not entry.name.startswith("hsperfdata")]


def count_of(what: str, said: str) -> int:
    found = re.search(rf"^ *{what} +(\d+)", said, re.MULTILINE)
    assert found is not None, said
    return int(found[1])


@dataclass(frozen=True, slots=True)
class Ended:
    """A run with --once and --keep: its exit code, what it said, what it kept and what it left behind."""

    code: int
    said: str
    kept: Path
    left: list[str]


@pytest.fixture(scope="module", name="once")
def _once(tmp_path_factory: pytest.TempPathFactory) -> Ended:
    """The one whole run that most of the tests look at."""
    temporary, kept = tmp_path_factory.mktemp("once"), tmp_path_factory.mktemp("kept")
    with demo(temporary, "--once", "--seconds", "4", "--keep", str(kept)) as running:
        return Ended(running.ended(), running.said, kept, is_left(temporary))


def test_once_ends_by_itself_with_a_summary_that_balances(once: Ended) -> None:
    assert once.code == 0, once.said
    requests = count_of("requests in", once.said)
    assert requests > 500
    assert count_of("decisions out", once.said) == requests
    outcomes = {each: count_of(each, once.said) for each in ("forwarded", "dropped", "expired", "invalid")}
    assert sum(outcomes.values()) == requests
    assert all(outcomes.values())
    assert count_of("records on channel topics", once.said) == outcomes["forwarded"]
    assert count_of("dead letters", once.said) == outcomes["invalid"]
    assert "Everything adds up." in once.said


def test_every_forwarded_request_has_a_receipt_and_what_is_sent_was_taken_by_a_provider(once: Ended) -> None:
    assert count_of("final receipts", once.said) == count_of("forwarded", once.said)
    sent = count_of("sent", once.said)
    assert count_of("messages providers took", once.said) == sent
    calls = [json.loads(line) for line in (once.kept / "provider-calls.ndjson").read_text().splitlines()]
    assert len([call for call in calls if call["message_id"]]) == sent
    assert {call["provider"] for call in calls} == {"twilio", "mailgun", "meta", "http"}
    assert {call["channel"] for call in calls} == set(Channel)


def test_opt_outs_stop_the_next_message_and_those_that_wait_their_turn(once: Ended) -> None:
    """R22: and no provider is called for somebody held."""
    assert count_of("dropped_at_dispatch", once.said) > 0
    for what in (
        "decisions on stale state",
        "forwarded to held addresses",
        "provider calls to held addresses",
    ):
        assert count_of(what, once.said) == 0


def test_what_opts_out_and_in_comes_by_the_services_own_doors(once: Ended) -> None:
    for what in ("STOP replies", "START replies", "bounces", "spam complaints", "carrier: 30003", "appeals approved"):
        assert count_of(rf"{what}.*?", once.said) > 0, what


def test_once_leaves_nothing_behind_but_what_it_was_told_to_keep(once: Ended) -> None:
    assert once.left == []
    assert (once.kept / "sendguard.log").stat().st_size > 0
    assert any((once.kept / "kafka").iterdir())


def test_without_a_terminal_it_prints_a_few_plain_lines(once: Ended) -> None:
    assert "\x1b" not in once.said
    assert "\r" not in once.said
    assert len(once.said.splitlines()) < LINES_LIMIT


def test_ctrl_c_in_the_middle_ends_it_cleanly_and_leaves_no_broker(tmp_path: Path) -> None:
    with demo(tmp_path, "--seconds", "300") as running:
        while not re.search(r"requests [1-9]", running.until("requests")):
            pass
        children = running.children()
        running.signal(signal.SIGINT)
        assert running.ended() == 0, running.said
    assert "Traceback" not in running.said
    assert psutil.wait_procs(children, PATIENCE_S)[1] == []
    assert is_left(tmp_path) == []


def test_a_signal_while_kafka_starts_ends_it_cleanly(tmp_path: Path) -> None:
    with demo(tmp_path) as running:
        running.until("Starting Apache Kafka")
        children = running.children()
        running.signal(signal.SIGTERM)
        assert running.ended() == 0, running.said
    assert "Traceback" not in running.said
    assert psutil.wait_procs(children, PATIENCE_S)[1] == []
    assert is_left(tmp_path) == []


def test_what_it_prints_for_another_terminal_works_as_it_stands(tmp_path: Path) -> None:
    with demo(tmp_path, "--seconds", "1") as running:
        running.until("It stays up")
        instructions = ""
        while (text := running.next_line() or "").strip():
            instructions += text
        send = re.search(r"^echo .*\n  \| .* send -$", instructions, re.MULTILINE)
        hold = re.search(r"^.* dnd set .*$", instructions, re.MULTILINE)
        see = re.search(r"^.* dnd show .*\n.* dnd lift .*$", instructions, re.MULTILINE)
        reply = re.search(r"^curl .* (http://\S+)$", instructions, re.MULTILINE)
        assert send is not None, instructions
        assert hold is not None, instructions
        assert see is not None, instructions
        assert reply is not None, instructions
        exports = "\n".join(line for line in instructions.splitlines() if line.startswith("export "))

        in_another_terminal(exports, send[0])
        assert "forwarded" in running.until("my-1")
        assert "sent as SM" in running.until("my-1")
        in_another_terminal(exports, hold[0], send[0])
        assert "dropped manual" in running.until("my-1")
        assert "manual" in in_another_terminal(exports, see[0], send[0])
        assert "forwarded" in running.until("my-1")
        assert "sent as SM" in running.until("my-1")
        assert "answered with 200" in texted(reply[1], business="bright-smile", body="STOP")  # what the curl line does
        in_another_terminal(exports, send[0])
        assert "dropped keyword_opt_out" in running.until("my-1")
        assert "bright-smile" in in_another_terminal(
            exports, re.sub(r" send -$", " reconcile", send[0].splitlines()[1].strip(" |"))
        )
        running.signal(signal.SIGTERM)
        assert running.ended() == 0, running.said


def texted(url: str, **form: str) -> str:
    with urllib.request.urlopen(url, data=urlencode(form).encode(), timeout=PATIENCE_S) as answer:  # noqa: S310 - ours
        said: bytes = answer.read()
        return said.decode()


def in_another_terminal(*lines: str) -> str:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("SENDGUARD_")}
    done = subprocess.run(
        ["sh", "-e", "-c", "\n".join(lines)], env=environment, capture_output=True, text=True, timeout=PATIENCE_S
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_keep_refuses_a_folder_that_is_in_use(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").touch()
    with demo(tmp_path, "--once", "--keep", str(tmp_path)) as running:
        assert running.ended() == 1
    assert "not empty" in running.said


def test_a_port_that_is_taken_is_refused_before_anything_starts(tmp_path: Path) -> None:
    with socket.socket() as other:
        other.bind((HTTP_HOST, 0))
        other.listen()
        port = other.getsockname()[1]
        with demo(tmp_path, "--once", "--port", str(port)) as running:
            assert running.ended() == 1
    assert f"port {port} is in use" in running.said
    assert "Kafka" not in running.said
