"""What every command has in common."""

from collections.abc import Iterator

import click
import pytest

from gateway.cli import main
from tests.cli.shell import sendguard

PRINTS_NO_DATA = {("run",), ("demo",)}


def commands(group: click.Group, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    for name, command in group.commands.items():
        if isinstance(command, click.Group):
            yield from commands(command, (*path, name))
        else:
            yield (*path, name), command


COMMANDS = dict(commands(main))


@pytest.mark.parametrize("path", COMMANDS, ids=" ".join)
def test_help_shows_an_example_of_the_command(path: tuple[str, ...]) -> None:
    shown = sendguard({}, *path, "--help")
    assert shown.code == 0
    assert "Example:" in shown.out
    assert f"sendguard {' '.join(path)}" in shown.out.partition("Example:")[2]


@pytest.mark.parametrize("path", sorted(COMMANDS.keys() - PRINTS_NO_DATA), ids=" ".join)
def test_a_command_that_prints_data_prints_json_on_demand(path: tuple[str, ...]) -> None:
    assert "--json" in sendguard({}, *path, "--help").out


def test_the_commands_of_the_contract_are_there() -> None:
    assert {
        ("run",),
        ("broker",),
        ("topics", "apply"),
        ("topics", "check"),
        ("send",),
        ("dnd", "show"),
        ("dnd", "set"),
        ("dnd", "lift"),
        ("view", "republish"),
        ("view", "discard"),
        ("skip",),
    } <= COMMANDS.keys()


def test_a_bad_setting_is_named_and_ends_with_2() -> None:
    ended = sendguard({"SENDGUARD_HTTP_PORT": "http"}, "topics", "check")
    assert (ended.code, "SENDGUARD_HTTP_PORT" in ended.err) == (2, True)


@pytest.mark.parametrize(
    "arguments",
    [
        ("topics", "check"),
        ("topics", "apply"),
        ("dnd", "show", "loc1", "--contact", "c1"),
        ("dnd", "set", "loc1", "--contact", "c1", "--channel", "SMS"),
        ("dnd", "lift", "loc1", "--contact", "c1", "--channel", "SMS"),
        ("skip", "--partition", "0"),
    ],
    ids=" ".join,
)
def test_a_kafka_that_does_not_answer_ends_with_3_in_one_line(arguments: tuple[str, ...]) -> None:
    ended = sendguard({"SENDGUARD_KAFKA_BOOTSTRAP_SERVERS": "127.0.0.1:1"}, *arguments)
    assert (ended.code, ended.out) == (3, "")
    assert ended.err.startswith("Error: ")
    assert len(ended.err.splitlines()) == 1


def test_settings_lists_every_setting_with_its_variable() -> None:
    listed = {row["variable"]: row for row in sendguard({}, "settings", "--json").json}
    assert listed["SENDGUARD_KAFKA_BOOTSTRAP_SERVERS"]["default"] == "localhost:9092"
    assert "SENDGUARD_DATA_DIR" in sendguard({}, "settings").out
