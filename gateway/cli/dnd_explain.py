"""`sendguard dnd explain`: what the guard would decide of a request now, through the API or on dnd.events itself."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, BinaryIO

import click
import msgspec

from gateway.accounts import Accounts
from gateway.cli import dnd_api
from gateway.cli.failing import REFUSED, Failure
from gateway.cli.options import as_json, print_json, with_settings
from gateway.cli.records import records_of
from gateway.clock import now_ms
from gateway.contacts.explain import OtherLocation, explanation
from gateway.contract.events import event_key
from gateway.contract.requests import VALUE_LIMIT_BYTES
from gateway.contract.topics import Topics
from gateway.dnd.model import Subject
from gateway.dnd.record import EMPTY, Record
from gateway.guard.reading import read_batch
from gateway.settings import Settings
from gateway.streams.clients import Clients
from gateway.web.api import shown


@click.command()
@click.argument("location")
@click.argument("file", type=click.File("rb"))
@with_settings
@as_json
def explain(settings: Settings, location: str, file: BinaryIO, as_json: bool) -> None:
    """Say what the guard would decide of one request (JSON, from FILE or -) now, and why; nothing is sent.

    Exit code 0 when it would be forwarded, 1 when not. Channels that are not connected are known to the API only.

    \b
    Example:
      sendguard dnd explain loc1 request.json
    """
    request = file.read(VALUE_LIMIT_BYTES + 1)
    if settings.api.url is not None:
        found = dnd_api.explain(settings.api, location, request)
    else:
        found = asyncio.run(_explained(settings, location, request))
    if as_json:
        print_json(found)
    else:
        click.echo(str(found["outcome"]))
        for reason in found["reasons"]:
            who = ", ".join(each["actor"] for each in reason["lifted_by"])
            click.echo(f"{reason['held_on']}: {reason['channel']} {reason['cause']}, may be lifted by {who}")
        if found["fault"] is not None:
            click.echo(f"{found['fault']['field']}: expected {found['fault']['expected']}")
    if found["outcome"] != "forwarded":
        raise Failure(f"the request would not be forwarded: {found['outcome']}", REFUSED)


async def _explained(settings: Settings, location: str, request: bytes) -> Any:
    """In the words of the API."""
    region = Accounts.load_without_secrets(settings.accounts).default_region
    keys = read_batch([_Asked(request)], region).keys
    subjects = [msgspec.json.decode(key, type=Subject) for key in keys]
    records = await records_of(Clients(settings.kafka), Topics(settings.topics.prefix).dnd_events, subjects)
    try:
        told = explanation(location, request, _Records(records), region, now_ms())
    except OtherLocation as error:
        raise Failure(str(error), REFUSED) from error
    return msgspec.to_builtins(shown.explained(told))


@dataclass(slots=True)
class _Asked:
    """A record that is in no topic."""

    value: bytes | None
    offset: int = 0
    key: bytes | None = None
    headers: Sequence[tuple[str, bytes]] = ()


class _Records:
    """A few records, where a view is expected."""

    def __init__(self, records: Mapping[Subject, Record]) -> None:
        self._records = {event_key(subject): record for subject, record in records.items()}

    def get(self, subject: Subject) -> Record:
        return self._records.get(event_key(subject), EMPTY)

    def lookup(self, keys: Sequence[bytes]) -> Sequence[Record | None]:
        return [self._records.get(key) for key in keys]

    def positions(self) -> Sequence[int]:
        return ()
