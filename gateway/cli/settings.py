"""`sendguard settings`: everything that can be set."""

from __future__ import annotations

import dataclasses

import click

from gateway.cli.options import as_json, print_json
from gateway.settings import settings_table


@click.command()
@as_json
def settings(as_json: bool) -> None:
    """List all settings: environment variable, default and meaning.

    In a TOML file (--config or SENDGUARD_CONFIG) the names are the same without SENDGUARD_ and in lower case; the
    environment wins.

    \b
    Example:
      sendguard settings --json
    """
    rows = settings_table()
    if as_json:
        print_json([dataclasses.asdict(row) | {"variable": row.variable} for row in rows])
        return
    for row in rows:
        default = f" [{row.default}{' ' + row.unit if row.unit and row.default else ''}]" if row.default else ""
        click.echo(f"{row.variable}{default}\n    {row.what} ({row.kind})")
