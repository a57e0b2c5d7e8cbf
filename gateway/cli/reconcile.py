"""`sendguard reconcile`: where the providers' lists of who opted out and our holds differ."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime

import click
from sqlalchemy.exc import SQLAlchemyError

from gateway.cli.failing import UNREACHABLE, Failure
from gateway.cli.options import as_json, print_json, with_settings
from gateway.clock import now_ms
from gateway.drift import DriftRow, DriftStore, Side, report
from gateway.settings import Settings


@click.command()
@click.option(
    "--now", "ask", is_flag=True, help="Ask the running service to read all lists now; it does within seconds."
)
@with_settings
@as_json
def reconcile(settings: Settings, ask: bool, as_json: bool) -> None:
    """Show the last comparison of the providers' lists of who opted out with our holds, by location.

    The role `reconcile` makes it and places what is missing here; this reads its report from the database. Sides:
    missing here (placed since), lifted here (the provider still refuses to send), missing there (the provider would
    send; the hold stays).

    \b
    Example:
      sendguard reconcile --json
    """
    try:
        lists = asyncio.run(_ask(settings)) if ask else None
        rows = asyncio.run(_rows(settings)) if lists is None else []
    except (SQLAlchemyError, OSError, TimeoutError) as error:
        raise Failure(f"the database cannot be reached: {type(error).__name__}", UNREACHABLE) from error
    if lists is not None:
        if as_json:
            print_json({"asked": lists})
        else:
            click.echo(f"{lists} lists are read as soon as the role reconcile looks")
    elif as_json:
        print_json(rows)
    else:
        _print(rows)


async def _ask(settings: Settings) -> int:
    store = DriftStore.of(settings)
    try:
        return await store.ask(now_ms())
    finally:
        await store.close()


async def _rows(settings: Settings) -> list[DriftRow]:
    store = DriftStore.of(settings)
    try:
        return report(await store.states(), await store.missing())
    finally:
        await store.close()


def _print(rows: list[DriftRow]) -> None:
    if not rows:
        click.echo("nothing was compared yet: the role reconcile has not run on this database")
        return
    head = [
        "location",
        "provider",
        "list",
        "entries",
        *(side.value.replace("_", " ") for side in Side),
        "unusable",
        "as of",
    ]
    lines = [head, *([*_cells(row)] for row in rows)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    for line in lines:
        click.echo("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip())
    for row in rows:
        for side, addresses in sorted(row.found.examples.items()):
            click.echo(f"{row.location_id or '-'} {row.listed} {side.replace('_', ' ')}: {', '.join(addresses)}")
        for error in row.errors:
            click.echo(f"{row.location_id or '-'} {row.listed}: {error}", err=True)


def _cells(row: DriftRow) -> list[str]:
    as_of = "never" if row.finished_at is None else datetime.fromtimestamp(row.finished_at / 1000, UTC).isoformat()[:19]
    counts = [row.found.entries, *(row.found.of(side) for side in Side), row.found.unusable]
    return [row.location_id or "-", row.provider, row.listed, *map(str, counts), as_of]
