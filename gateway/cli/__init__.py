"""`sendguard`: the command line. One file per group of commands; `failing` says what exit codes mean."""

from __future__ import annotations

import click

from gateway.cli.broker import broker
from gateway.cli.demo import demo
from gateway.cli.dnd import dnd
from gateway.cli.logs import be_quiet
from gateway.cli.reconcile import reconcile
from gateway.cli.run import run
from gateway.cli.send import send
from gateway.cli.settings import settings
from gateway.cli.skip import skip
from gateway.cli.topics import topics
from gateway.cli.view import view

COMMANDS: tuple[click.Command, ...] = (run, demo, broker, topics, send, dnd, view, skip, reconcile, settings)


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="sendguard")
def main() -> None:
    """Forwards or drops outbound messages by the contact's live Do-Not-Disturb state, exactly once, on Apache Kafka.

    Exit codes: 0 done, 1 refused or something differs, 2 usage or settings, 3 a system could not be reached.
    """
    be_quiet()


for command in COMMANDS:
    main.add_command(command)
