"""The README says what the code does."""

from __future__ import annotations

import re
from collections.abc import Iterator

import click
from click.testing import CliRunner

from gateway.cli import main
from tests.readme import README, with_tables


def test_the_tables_of_the_readme_are_those_of_the_code() -> None:
    text = README.read_text()
    assert with_tables(text) == text, "run `python -m tests.readme`"


def test_every_file_the_readme_names_is_there() -> None:
    root = README.parent
    named = re.findall(r"`((?:gateway|consumers|tests|deploy)/[\w./]*)`", README.read_text())
    assert named
    assert [path for path in named if not (root / path).exists()] == []


def test_every_command_the_readme_names_has_help_with_an_example() -> None:
    commands = set(re.findall(r"^\| `sendguard (\w+)", README.read_text(), re.MULTILINE))
    listed = set(main.commands)
    assert commands == listed
    for words in _without_groups(main, []):
        shown = CliRunner().invoke(main, [*words, "--help"])
        assert shown.exit_code == 0
        assert "xample" in shown.output, words


def _without_groups(command: click.Command, words: list[str]) -> Iterator[list[str]]:
    if not isinstance(command, click.Group):
        yield words
        return
    for name, below in command.commands.items():
        yield from _without_groups(below, [*words, name])
