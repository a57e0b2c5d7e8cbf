"""Which Java this machine has."""

import os
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

OLDEST_JAVA = 17
"""Kafka 4 brokers need it (KIP-1013)."""

ANSWER_DEADLINE_S = 30
"""`java -version` takes 0.1 s; the stub of macOS ends at once as well."""


@dataclass(frozen=True, slots=True)
class Java:
    """`identity` differs between builds: a class data archive belongs to exactly one."""

    executable: str
    version: int
    identity: str


def find_java() -> Java | None:
    """JAVA_HOME, then PATH; None when neither has Java 17 or newer."""
    home = os.environ.get("JAVA_HOME")
    candidates = [str(Path(home) / "bin" / "java")] if home else []
    on_path = shutil.which("java")
    if on_path is not None:
        candidates.append(on_path)
    for candidate in candidates:
        found = _ask(candidate)
        if found is not None and found.version >= OLDEST_JAVA:
            return found
    return None


def _ask(executable: str) -> Java | None:
    try:
        done = subprocess.run(  # noqa: S603 - asks the user's own Java
            [executable, "-version"], capture_output=True, text=True, timeout=ANSWER_DEADLINE_S, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    found = re.search(r'version "(\d+)', done.stderr)
    if done.returncode != 0 or found is None:
        return None
    return Java(executable, int(found[1]), done.stderr.strip())
