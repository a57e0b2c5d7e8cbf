"""The lines to copy name the command as it was called."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from gateway.demo.next_steps import Surroundings, command_as_started, next_steps


def test_a_command_in_the_projects_environment_is_called_the_same_way() -> None:
    assert command_as_started(".venv/bin/sendguard") == ".venv/bin/sendguard"


def test_a_path_with_spaces_is_quoted() -> None:
    assert command_as_started("/my tools/sendguard") == "'/my tools/sendguard'"


def test_a_module_is_called_as_a_module() -> None:
    assert command_as_started("/somewhere/gateway/cli/__main__.py") == f"{sys.executable} -m gateway.cli"


def test_a_command_on_the_path_is_called_by_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    command = tmp_path / "sendguard"
    command.write_text("#!/bin/sh\n")
    command.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert command_as_started(str(command)) == "sendguard"


def test_every_line_is_complete() -> None:
    config, calls = Path("/tmp/a b/c.toml"), Path("/tmp/calls")  # noqa: S108
    around = Surroundings("sendguard", "127.0.0.1:1234", config, calls, "http://127.0.0.1:4321")
    lines = [text.plain for text in next_steps(around)]
    assert "export SENDGUARD_KAFKA_BOOTSTRAP_SERVERS=127.0.0.1:1234" in lines
    assert "export SENDGUARD_CONFIG='/tmp/a b/c.toml'" in lines
    assert any(line.endswith("| sendguard send -") for line in lines)
    assert any("kcat -P -b 127.0.0.1:1234" in line for line in lines)
    assert any(line.startswith("sendguard dnd set") for line in lines)
    assert any(line.startswith("curl ") and "http://127.0.0.1:4321/phones/" in line for line in lines)
