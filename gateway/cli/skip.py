"""`sendguard skip`: go on behind requests that are lost."""

from __future__ import annotations

import asyncio
import dataclasses
import getpass

import click

from gateway.cli.failing import REFUSED, Failure
from gateway.cli.options import as_json, print_json, with_settings
from gateway.contract.topics import Topics
from gateway.guard.guard import behind_last_decision
from gateway.settings import Settings
from gateway.streams import skip as skipping
from gateway.streams.clients import Clients


@click.command()
@click.option("--partition", type=click.IntRange(0), required=True, help="Partition of outbound.requests.")
@click.option("--reason", default="", help="Why, for the record.")
@click.option("--actor", help="Who says so, for the record. [default: the user of this shell]")
@click.option(
    "--resume-at",
    type=click.Choice([each.value for each in skipping.ResumeAt]),
    help="Only when the log ends below the committed offset: whether what it holds is undecided or was decided.",
)
@with_settings
@as_json
def skip(
    settings: Settings, partition: int, reason: str, actor: str | None, resume_at: str | None, as_json: bool
) -> None:
    """Go on behind requests that Kafka no longer has (retention deleted them before they were decided).

    For a partition that /readyz calls "requests lost". The gap is recorded in outbound.dead, in one transaction with
    the new offset; the running guard goes on by itself. Refused (exit code 1) when nothing is lost.

    \b
    Example:
      sendguard skip --partition 3 --reason "INC-1234: guard was down for nine days"
    """
    request = skipping.SkipRequest(
        group_id=settings.guard.group_id,
        partition=partition,
        reason=reason,
        actor=actor or getpass.getuser(),
        resume_at=None if resume_at is None else skipping.ResumeAt(resume_at),
    )
    try:
        skipped = asyncio.run(_skip(settings, request))
    except (skipping.NothingLostError, skipping.AmbiguousError) as error:
        raise Failure(str(error), REFUSED) from error
    if as_json:
        print_json(dataclasses.asdict(skipped))
    else:
        click.echo(
            f"partition {partition}: offsets {skipped.skipped_from} to {skipped.skipped_through} are recorded as lost, "
            f"going on at {skipped.next_offset}"
        )


async def _skip(settings: Settings, request: skipping.SkipRequest) -> skipping.Skipped:
    clients, topics = Clients(settings.kafka), Topics(settings.topics.prefix)

    async def outputs_end(partition: int) -> int | None:
        return await behind_last_decision(clients, topics, partition)

    return await skipping.skip(clients, topics, request, outputs_end)
