"""`sendguard broker`: a local Kafka in the foreground."""

import json
import signal
import time
from pathlib import Path

import click

from gateway.localkafka.artifacts import kafka_version
from gateway.localkafka.cluster import LocalKafka
from gateway.localkafka.config import Backend, LocalKafkaConfig, LocalKafkaError

LOOK_INTERVAL_S = 1.0
"""How often to look whether the brokers still run."""

STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def run_broker(
    brokers: int, port: int | None, data_dir: Path | None, backend: str | None, *, as_json: bool = False
) -> None:
    """Start, print the bootstrap address as the only line of standard output, and run until Ctrl-C or SIGTERM.

    Returns after an orderly stop. LocalKafkaError: it cannot start, or every broker has ended by itself.
    """
    for number in STOP_SIGNALS:  # Ctrl-C may be ignored in what a shell starts in the background
        signal.signal(number, signal.default_int_handler)
    config = LocalKafkaConfig(
        brokers=brokers, port=port, data_dir=data_dir, backend=None if backend is None else Backend(backend)
    )
    click.echo(f"Starting Apache Kafka {kafka_version()}, brokers: {brokers} ...", err=True)
    try:
        with LocalKafka(config) as kafka:
            click.echo(json.dumps(describe(kafka)) if as_json else kafka.bootstrap_servers)
            click.echo("Ready. Ctrl-C stops it.", err=True)
            _wait_for_the_end(kafka)
    except KeyboardInterrupt:
        click.echo("Stopped.", err=True)


def describe(kafka: LocalKafka) -> dict[str, object]:
    """What a script wants to know."""
    return {
        "bootstrap_servers": kafka.bootstrap_servers,
        "data_dir": str(kafka.data_dir),
        "brokers": [
            {"node_id": broker.node_id, "address": broker.address, "pid": broker.pid} for broker in kafka.brokers
        ],
    }


def _wait_for_the_end(kafka: LocalKafka) -> None:
    """Until a signal. A single broker may be killed and be missing: that is what a cluster is for."""
    while any(broker.is_running() for broker in kafka.brokers):
        time.sleep(LOOK_INTERVAL_S)
    raise LocalKafkaError(f"every broker has ended by itself; see the logs in {kafka.data_dir}")
