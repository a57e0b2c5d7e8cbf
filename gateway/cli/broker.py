"""`sendguard broker`: a local Apache Kafka in the foreground."""

from __future__ import annotations

from pathlib import Path

import click

from gateway.cli.failing import expected
from gateway.localkafka import Backend
from gateway.localkafka.command import run_broker


@click.command()
@click.option("--brokers", type=click.Choice(["1", "3"]), default="1", show_default=True, help="Size of the cluster.")
@click.option("--port", type=click.IntRange(1024, 65533), help="Port of the first broker. [default: a free one]")
@click.option(
    "--data-dir",
    type=click.Path(path_type=Path, file_okay=False),
    help="Keep the data there. [default: a temporary folder that goes away]",
)
@click.option(
    "--backend",
    type=click.Choice([backend.value for backend in Backend]),
    help="What runs it. [default: Docker if an engine answers, else Java with jars fetched by Maven]",
)
@click.option("--json", "as_json", is_flag=True, help="Print addresses and process ids as JSON.")
def broker(brokers: str, port: int | None, data_dir: Path | None, backend: str | None, as_json: bool) -> None:
    """Run an Apache Kafka for development; prints its bootstrap address, then runs until Ctrl-C.

    \b
    Example:
      sendguard broker --port 9092
    """
    with expected():
        run_broker(int(brokers), port, data_dir, backend, as_json=as_json)
