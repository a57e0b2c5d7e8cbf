"""Formatted data directories.

Kafka's StorageTool formats one directory per user and version; the data directories are copies of it. What a copy must
not share are the ids in `meta.properties`, a text of four lines; the rest, whose names differ between Kafka's versions,
holds only feature levels.
"""

import base64
import shutil
import uuid
from pathlib import Path

from gateway.localkafka.artifacts import cache_lock
from gateway.localkafka.config import LOOPBACK, LocalKafkaConfig, SecurityProtocol
from gateway.localkafka.external import run_to_end
from gateway.localkafka.java import Java
from gateway.localkafka.properties import Endpoint, Listener, NodeLayout, render, server_properties

STORAGE_TOOL = "kafka.tools.StorageTool"

FORMAT_DEADLINE_S = 60
"""1 s when nothing else runs."""

META = "meta.properties"


def new_id() -> str:
    """A random id as Kafka writes them."""
    while True:
        text = base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")
        if not text.startswith("-"):  # would read as an option on a command line
            return text


def format_directory(directory: Path, template: Path, cluster_id: str, node_id: int) -> None:
    """Make `directory` an empty storage of this node; one that is formatted already keeps its data."""
    if (directory / META).exists():
        return
    shutil.copytree(template, directory, ignore=shutil.ignore_patterns(META), dirs_exist_ok=True)
    meta = f"version=1\ncluster.id={cluster_id}\nnode.id={node_id}\ndirectory.id={new_id()}\n"
    (directory / META).write_text(meta)


def template_directory(cache: Path, java: Java, class_path: str) -> Path:
    """A directory formatted by StorageTool, made at the first use."""
    template = cache / "formatted"
    if not template.is_dir():
        with cache_lock(cache):
            if not template.is_dir():
                _make_template(cache, template, java, class_path)
    return template


def _make_template(cache: Path, template: Path, java: Java, class_path: str) -> None:
    staging = cache / "formatting"
    shutil.rmtree(staging, ignore_errors=True)
    staging.mkdir()
    clients, controller = Endpoint(LOOPBACK, 1), Endpoint(LOOPBACK, 2)  # formatting opens no connection
    layout = NodeLayout(
        node_id=1,
        listeners=(Listener("PLAINTEXT", SecurityProtocol.PLAINTEXT, clients, clients),),
        controller_bind=controller,
        voters={1: controller},
        log_dir=str(staging / "data"),
    )
    properties = staging / "server.properties"
    properties.write_text(render(server_properties(LocalKafkaConfig(), layout)))
    run_to_end(
        "Kafka's StorageTool",
        [java.executable, "-cp", class_path, STORAGE_TOOL, "format", "-t", new_id(), "-c", str(properties)],
        FORMAT_DEADLINE_S,
    )
    (staging / "data").rename(template)
    shutil.rmtree(staging)
