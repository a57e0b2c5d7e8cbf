"""`sendguard demo`: from starting a Kafka to removing everything it left."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.text import Text

from gateway.demo.next_steps import Surroundings, command_as_started, next_steps
from gateway.demo.setup import DemoError, Options, Place, choose_port, log_to, make_place, service_settings
from gateway.demo.show import Show
from gateway.demo.summary import busy
from gateway.localkafka import LocalKafka, LocalKafkaConfig
from gateway.localkafka.artifacts import kafka_version
from gateway.settings import Settings

STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def run_demo(options: Options, started_as: str, console: Console) -> bool:
    """Run it; False when the campaign did not add up. True also when it was stopped before it could tell.

    `started_as` is how this process was called. DemoError, LocalKafkaError, and what the service raises.
    """
    for number in STOP_SIGNALS:  # Ctrl-C may be ignored in what a shell starts in the background
        signal.signal(number, signal.default_int_handler)
    try:
        port = choose_port(options.port)
        if options.keep is not None and options.keep.is_dir() and any(options.keep.iterdir()):
            raise DemoError(f"{options.keep} is not empty: --keep needs a new or an empty folder")
        with _kafka(options, console) as kafka:
            # Inside the cluster's own folder, if that is a temporary one: it goes away even after a crash.
            folder = kafka.data_dir / "demo" if options.keep is None else options.keep.resolve()
            place = make_place(folder, kafka.bootstrap_servers)
            with log_to(place):
                return _show(options, place, service_settings(place, port), started_as, console)
    except KeyboardInterrupt:
        console.print("Stopped.")
        return True


@contextmanager
def _kafka(options: Options, console: Console) -> Iterator[LocalKafka]:
    kafka = LocalKafka(LocalKafkaConfig(data_dir=None if options.keep is None else options.keep / "kafka"))
    with busy(console, f"Starting Apache Kafka {kafka_version()} (fetched at first use) ..."):
        kafka.start()
    try:
        console.print(f"Apache Kafka {kafka_version()} on {kafka.bootstrap_servers}", highlight=False)
        yield kafka
    finally:
        with busy(console, "Stopping ..."):
            kafka.stop()
        if options.keep is not None:
            console.print(f"Kept in {options.keep}", highlight=False)


def _show(options: Options, place: Place, settings: Settings, started_as: str, console: Console) -> bool:
    show = Show(options, place, settings, console)
    command, servers = command_as_started(started_as), settings.kafka.bootstrap_servers

    def after(providers_url: str) -> Iterator[Text]:
        return next_steps(Surroundings(command, servers, place.config, place.calls, providers_url))

    try:
        asyncio.run(show.run(after))
    except Exception:
        console.print(place.log_tail(), style="dim", markup=False, highlight=False)  # the file may be gone soon
        raise
    return show.report is None or show.report.balances
