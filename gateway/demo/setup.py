"""Where a demo lives: its folder, its settings, and the files that another terminal can use."""

from __future__ import annotations

import logging
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from gateway.settings import Settings, load

HTTP_HOST = "127.0.0.1"

USUAL_PORT = 8080
"""Where the service listens by default."""

REQUEST_PARTITIONS, OTHER_PARTITIONS = 4, 3
"""Small: one process on a laptop, three clients per partition of requests."""

LOG_LINES_SHOWN = 15
"""Of the service's log when something breaks."""


class DemoError(Exception):
    """The demo cannot start, or stopped; the message says why."""


@dataclass(frozen=True, slots=True)
class Options:
    """What the caller chose. `port` None = the usual one if it is free, `keep` None = a temporary folder."""

    once: bool
    seed: int
    duration_s: float
    port: int | None = None
    keep: Path | None = None


@dataclass(frozen=True, slots=True)
class Place:
    """The demo's files."""

    folder: Path

    @property
    def config(self) -> Path:
        return self.folder / "sendguard.toml"

    @property
    def accounts(self) -> Path:
        return self.folder / "accounts.toml"

    @property
    def calls(self) -> Path:
        return self.folder / "provider-calls.ndjson"

    @property
    def log(self) -> Path:
        return self.folder / "sendguard.log"

    def log_tail(self) -> str:
        """The last lines of the service's log."""
        if not self.log.exists():
            return ""
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-LOG_LINES_SHOWN:])


def make_place(folder: Path, bootstrap_servers: str) -> Place:
    """Write the settings another terminal needs to work with this demo; the accounts file they name comes later."""
    folder.mkdir(parents=True, exist_ok=True)
    place = Place(folder)
    place.config.write_text(
        f'kafka_bootstrap_servers = "{bootstrap_servers}"\n'
        "replication_factor = 1\n"
        f"request_partitions = {REQUEST_PARTITIONS}\n"
        f"event_partitions = {OTHER_PARTITIONS}\n"
        f"other_partitions = {OTHER_PARTITIONS}\n"
        f'accounts = "{place.accounts}"\n'
        f'data_dir = "{place.folder / "data"}"\n'
    )
    return place


def service_settings(place: Place, port: int) -> Settings:
    """For the service of the demo; whatever SENDGUARD_* variables the caller has are for something else."""
    return load(
        {
            "SENDGUARD_HTTP_HOST": HTTP_HOST,
            "SENDGUARD_HTTP_PORT": str(port),
            "SENDGUARD_INSTANCE_ID": "demo",
        },
        place.config,
    )


@contextmanager
def log_to(place: Place) -> Iterator[None]:
    """The service's lines into a file, so that they do not run through the picture."""
    handler = logging.FileHandler(place.log)
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    root = logging.getLogger()
    root.addHandler(handler)
    root.setLevel(logging.INFO)
    logging.getLogger("aiokafka").setLevel(logging.WARNING)
    try:
        yield
    finally:
        root.removeHandler(handler)
        handler.close()


def choose_port(wanted: int | None) -> int:
    """The one that is wanted (DemoError when it is in use), else the usual one if it is free, else 0 = any."""
    port = USUAL_PORT if wanted is None else wanted
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as the server does
        try:
            probe.bind((HTTP_HOST, port))
        except OSError as error:
            if wanted is None:
                return 0
            raise DemoError(f"port {port} is in use ({error.strerror}): choose another --port") from error
    return port
