"""A PostgreSQL of its own for the rival that looks holds up there."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

_WHERE = (Path("/usr/lib/postgresql"), Path("/opt/homebrew/opt"), Path("/usr/local/opt"))


def _program(name: str) -> str | None:
    """`initdb` and `pg_ctl` are often not on the path."""
    if found := shutil.which(name):
        return found
    candidates = sorted(path for where in _WHERE if where.is_dir() for path in where.glob(f"*/bin/{name}"))
    return str(candidates[-1]) if candidates else None


@contextlib.contextmanager
def postgres(directory: Path) -> Iterator[str | None]:
    """A running server's URL, None when there are no server programs. Removed at the end with its directory."""
    initdb, pg_ctl = _program("initdb"), _program("pg_ctl")
    if initdb is None or pg_ctl is None:
        yield None
        return
    directory.mkdir(parents=True)
    run_as: dict[str, str] = {}
    if os.geteuid() == 0:  # the server refuses to run as root
        shutil.chown(directory, "postgres")
        for parent in directory.parents:
            if parent.owner() == "root" and parent.name.startswith("sendguard-bench-"):
                parent.chmod(0o755)
        run_as = {"user": "postgres"}
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    data = str(directory / "data")
    options = f"-p {port} -c listen_addresses=127.0.0.1 -k {directory} -c fsync=off"
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    subprocess.run([initdb, "-D", data, "-U", "bench", "-A", "trust"], check=True, **quiet, **run_as)  # type: ignore[call-overload]  # options by name
    subprocess.run([pg_ctl, "-D", data, "-w", "-o", options, "start"], check=True, **quiet, **run_as)  # type: ignore[call-overload]  # as above
    try:
        yield f"postgresql://bench@127.0.0.1:{port}/postgres"
    finally:
        subprocess.run([pg_ctl, "-D", data, "-m", "immediate", "stop"], check=False, **quiet, **run_as)  # type: ignore[call-overload]  # as above
