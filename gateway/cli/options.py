"""Options that several commands have."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import msgspec

from gateway.cli.failing import expected
from gateway.settings import Settings, load

as_json = click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")


def with_settings(command: Callable[..., None]) -> Callable[..., None]:
    """Adds --config, hands the command `settings`, and lets expected errors end it with their exit code."""

    @click.option(
        "--config",
        type=click.Path(path_type=Path, dir_okay=False),
        help="TOML file with settings; SENDGUARD_* variables win over it.",
    )
    @functools.wraps(command)
    def wrapped(config: Path | None, **arguments: Any) -> None:
        with expected():
            command(settings=load_settings(config), **arguments)

    return wrapped


def load_settings(config: Path | None) -> Settings:
    """From the environment and the file; SettingsError."""
    return load(os.environ, config)


def print_json(data: object) -> None:
    """One document on standard output."""
    click.echo(msgspec.json.format(msgspec.json.encode(data), indent=2).decode())
