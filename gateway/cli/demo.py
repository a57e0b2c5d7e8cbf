"""`sendguard demo`: see it work."""

from __future__ import annotations

import sys
from pathlib import Path

import click
from rich.console import Console

from gateway.cli.failing import REFUSED, Failure, expected
from gateway.demo.run import run_demo
from gateway.demo.setup import DemoError, Options

LONG_S, SHORT_S = 16.0, 8.0
"""How long the campaign takes: to be watched, and with --once."""


@click.command()
@click.option("--once", is_flag=True, help="End by itself after the summary; exit code 1 when it does not add up.")
@click.option("--seed", default=1, show_default=True, help="Of the campaign: the same seed gives the same campaign.")
@click.option(
    "--seconds",
    type=click.FloatRange(1, 600),
    help=f"How long the campaign takes. [default: {LONG_S:g}, with --once {SHORT_S:g}]",
)
@click.option("--port", type=click.IntRange(0, 65_535), help="Of the HTTP server. [default: 8080 if it is free]")
@click.option(
    "--keep",
    type=click.Path(path_type=Path, file_okay=False),
    metavar="DIR",
    help="Keep Kafka's data, the view, the logs and the provider's calls there. [default: a temporary folder]",
)
def demo(once: bool, seed: int, seconds: float | None, port: int | None, keep: Path | None) -> None:
    """Start a local Kafka and the service, and play a campaign in which contacts opt out.

    Sandbox providers take what is sent, by their real HTTP, and tell by signed webhooks what people and carriers do. At
    the end everything is read back from the topics and the providers' request log, and checked. Then it stays up for
    your own requests until Ctrl-C.

    \b
    Example:
      sendguard demo --once
    """
    options = Options(once=once, seed=seed, duration_s=seconds or (SHORT_S if once else LONG_S), port=port, keep=keep)
    with expected():
        try:
            adds_up = run_demo(options, sys.argv[0], Console())
        except DemoError as error:
            raise Failure(str(error), REFUSED) from error
    if not adds_up:
        raise Failure("the campaign does not add up", REFUSED)
