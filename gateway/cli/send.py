"""`sendguard send`: requests from a file to Kafka, checked as the guard will check them."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import BinaryIO

import click
import msgspec

from gateway.accounts import Accounts
from gateway.cli.failing import REFUSED, Failure
from gateway.cli.options import as_json, print_json, with_settings
from gateway.contract.requests import InvalidRequestError
from gateway.contract.topics import Topics
from gateway.guard.reading import DefaultRegion, read_batch
from gateway.settings import Settings
from gateway.streams.clients import Clients
from gateway.streams.writing import TooLargeError, Unwritten, writer

SHOWN_LIMIT = 20
"""Invalid lines named; somebody with more has the wrong file."""


@dataclass(slots=True)
class Line:
    """One request of the file, as the guard's reader takes a record. `offset` is its line number, from 1."""

    offset: int
    value: bytes | None
    key: bytes | None = None
    headers: Sequence[tuple[str, bytes]] = ()


class _ContactId(msgspec.Struct):
    contact_id: str


@click.command()
@click.argument("file", type=click.File("rb"))
@click.option("--force", is_flag=True, help="Send invalid lines too, to see what the guard makes of them.")
@with_settings
@as_json
def send(settings: Settings, file: BinaryIO, force: bool, as_json: bool) -> None:
    """Check requests (one JSON object a line) and write them to outbound.requests, in order, keyed by contact_id.

    FILE may be - for standard input. When a line is invalid nothing is sent: each is named with its field and what was
    expected, and the exit code is 1. The count printed is what Kafka has acknowledged.

    \b
    Example:
      echo '{"request_id":"r-1","location_id":"loc1","contact_id":"c1","channel":"SMS","to":"+14155552671"}' \\
        | sendguard send -
    """
    lines = [Line(number, text.rstrip(b"\r\n")) for number, text in enumerate(file, start=1) if text.strip()]
    problems = keyed(lines, Accounts.load_without_secrets(settings.accounts).default_region)
    for number, problem in problems[:SHOWN_LIMIT]:
        click.echo(f"line {number}: {problem}", err=True)
    if len(problems) > SHOWN_LIMIT:
        click.echo(f"... and {len(problems) - SHOWN_LIMIT} more", err=True)
    if problems and not force:
        raise Failure(f"{len(problems)} of {len(lines)} requests are invalid, nothing was sent (--force)", REFUSED)
    sent = asyncio.run(_send(settings, lines))
    if as_json:
        print_json({"sent": sent, "invalid": len(problems)})
    else:
        click.echo(f"{sent} requests sent" + (f", {len(problems)} of them invalid" if problems else ""))


def keyed(lines: Sequence[Line], default_region: DefaultRegion) -> list[tuple[int, InvalidRequestError]]:
    """Give every line that names a contact its key; the lines that are invalid, by number."""
    batch = read_batch(lines, default_region)
    for line, request in zip(lines, batch.requests, strict=True):
        line.key = _key_of_invalid(line.value or b"") if request is None else request.contact_id.encode()
    return [(lines[index].offset, problem) for index, problem in batch.refused.items()]


def _key_of_invalid(value: bytes) -> bytes | None:
    try:
        return msgspec.json.decode(value, type=_ContactId).contact_id.encode()
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        return None


async def _send(settings: Settings, lines: Sequence[Line]) -> int:
    topic = Topics(settings.topics.prefix).requests
    async with writer(Clients(settings.kafka), topic) as to_requests:
        try:
            return await to_requests.write(Unwritten(line.key, line.value or b"") for line in lines)
        except TooLargeError as error:
            raise Failure(
                f"line {lines[error.index].offset}: {error}; {error.index} requests before it were sent", REFUSED
            ) from error
