"""`sendguard topics`: create the topics of the contract, compare them with it."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import Sequence

import click

from gateway.cli.failing import REFUSED, Failure
from gateway.cli.options import as_json, print_json, with_settings
from gateway.settings import Settings
from gateway.streams.topics import Difference, Severity
from gateway.streams.topics import apply as apply_topics
from gateway.streams.topics import check as check_topics


@click.group()
def topics() -> None:
    """Create the topics, or compare them with what the service counts on."""


@topics.command()
@with_settings
@as_json
def apply(settings: Settings, as_json: bool) -> None:
    """Create missing topics; never changes one that is there. Exit code 1 when the service would still not start.

    \b
    Example:
      SENDGUARD_REPLICATION_FACTOR=1 sendguard topics apply
    """
    report = asyncio.run(apply_topics(settings))
    if as_json:
        print_json(
            {
                "created": report.created,
                "existed": report.existed,
                "failed": report.failed,
                "differences": [dataclasses.asdict(difference) for difference in report.differences],
            }
        )
    else:
        for name in report.created:
            click.echo(f"created {name}")
        if report.existed:
            click.echo(f"{len(report.existed)} topics were there already")
        for name, reason in report.failed.items():
            click.echo(f"failed: {name}: {reason}", err=True)
        _show(report.differences)
    if report.failed or any(difference.severity is Severity.REFUSE for difference in report.differences):
        raise Failure("the service will not start on these topics", REFUSED)


@topics.command()
@with_settings
@as_json
def check(settings: Settings, as_json: bool) -> None:
    """Name each difference between the live topics and the contract; exit code 1 when there is one.

    `refuse` = the service does not start, because a hold, a request or a decision could get lost or doubled.

    \b
    Example:
      sendguard topics check --json
    """
    differences = asyncio.run(check_topics(settings))
    if as_json:
        print_json([dataclasses.asdict(difference) for difference in differences])
    else:
        _show(differences)
        if not differences:
            click.echo("all topics are as they should be")
    if differences:
        raise Failure(f"{len(differences)} differences", REFUSED)


def _show(differences: Sequence[Difference]) -> None:
    for difference in differences:
        click.echo(str(difference))
