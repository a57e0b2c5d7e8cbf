"""Does a Docker engine answer?

Asked in three steps, each only when the one before leaves the question open, because the libraries take half a second
to import and the Docker client leaves a socket open when nobody answers: is an engine configured or at its usual
place; can it be connected to; does it answer a ping. Where the engine is, testcontainers says (its own properties,
DOCKER_HOST, the current Docker context, the usual socket), since it is what will start the containers.
"""

import os
import socket
from pathlib import Path
from urllib.parse import urlsplit

USUAL_SOCKET = Path("/var/run/docker.sock")

ANSWER_DEADLINE_S = 2.0
"""A local engine answers within some ms; somebody without one should not wait long for the other backend."""


def engine_answers() -> bool:
    """Whether containers can be started."""
    return _may_exist() and _accepts_connections() and _answers_ping()


def _may_exist() -> bool:
    settings = ("DOCKER_HOST", "DOCKER_CONTEXT", "TESTCONTAINERS_HOST_OVERRIDE")
    files = (USUAL_SOCKET, Path.home() / ".testcontainers.properties", Path.home() / ".docker" / "config.json")
    return any(os.environ.get(setting) for setting in settings) or any(file.exists() for file in files)


def _accepts_connections() -> bool:
    from testcontainers.core.docker_client import get_docker_host

    address = urlsplit(get_docker_host() or f"unix://{USUAL_SOCKET}")
    try:
        match address.scheme:
            case "unix":
                with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
                    connection.settimeout(ANSWER_DEADLINE_S)
                    connection.connect(address.path)
            case "tcp" | "http" | "https" if address.hostname and address.port:
                socket.create_connection((address.hostname, address.port), ANSWER_DEADLINE_S).close()
    except OSError:
        return False
    return True  # other schemes (ssh) are left to the ping


def _answers_ping() -> bool:
    from docker.errors import DockerException  # type: ignore[import-untyped]  # ships no types
    from testcontainers.core.docker_client import DockerClient

    try:
        client = DockerClient(timeout=ANSWER_DEADLINE_S).client
        try:
            return bool(client.ping())
        finally:
            client.close()
    except (DockerException, OSError):
        return False
