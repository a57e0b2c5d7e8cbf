"""`sendguard view`: what an operator does with a view that does not match its log."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager

import click

from gateway.app import RefusedError
from gateway.cli.failing import REFUSED, Failure
from gateway.cli.options import as_json, print_json, with_settings
from gateway.clock import now_ms
from gateway.contract.topics import Topics
from gateway.fresh import view_directory
from gateway.settings import Settings
from gateway.streams.clients import Clients
from gateway.streams.topics import Severity
from gateway.streams.topics import check as check_topics
from gateway.streams.writing import event_record, writer
from gateway.view import operator
from gateway.view.errors import ViewLocked
from gateway.view.table import View


@click.group()
def view() -> None:
    """Act on the local view when dnd.events was re-created or lost records (see /readyz). Stop the service first."""


@view.command()
@with_settings
@as_json
def republish(settings: Settings, as_json: bool) -> None:
    """Write what the view knows back to dnd.events; it may be the last copy of a hold.

    Original ids, times and actors are kept, so it may be done again, and by several processes. The view stays as it
    is: discard it afterwards, then start the service, which builds a new one.

    \b
    Example:
      sendguard view republish && sendguard view discard
    """
    with stopped_service():
        opened = View.open_existing(view_directory(settings))
    try:
        subjects, events = asyncio.run(_republish(settings, opened))
    finally:
        opened.close()
    if as_json:
        print_json({"subjects": subjects, "events": events})
    else:
        click.echo(f"{events} events of {subjects} subjects written; now `sendguard view discard`")


@view.command()
@with_settings
@as_json
def discard(settings: Settings, as_json: bool) -> None:
    """Put the view away under a dated name; the service builds a new one from dnd.events.

    A hold that only this view knew is not in force any more: republish first unless you are sure.

    \b
    Example:
      sendguard view discard
    """
    with stopped_service():
        aside = operator.discard(view_directory(settings))
    if as_json:
        print_json({"moved_to": None if aside is None else str(aside)})
    else:
        click.echo("there is no view" if aside is None else f"moved to {aside}")


@contextmanager
def stopped_service() -> Iterator[None]:
    """A view that is open elsewhere is refused, in the operator's words."""
    try:
        yield
    except ViewLocked as error:
        raise Failure(f"stop the service first: {error}", REFUSED) from error


async def _republish(settings: Settings, opened: View) -> tuple[int, int]:
    topic = Topics(settings.topics.prefix).dnd_events
    refusals = [each for each in await check_topics(settings) if each.severity is Severity.REFUSE]
    if any(each.topic == topic for each in refusals):
        raise RefusedError(refusals)
    recorded_at = now_ms()
    async with writer(Clients(settings.kafka), topic) as to_log:
        written = await to_log.write(event_record(event, recorded_at) for event in operator.republish(opened))
    return opened.count(), written
