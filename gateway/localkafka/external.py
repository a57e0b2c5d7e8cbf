"""Other people's programs, run to their end."""

import subprocess
from collections.abc import Sequence

from gateway.localkafka.config import LocalKafkaError

OUTPUT_SHOWN_CHARS = 2_000
"""Of a program that failed: the last words name the cause."""


def run_to_end(what: str, command: Sequence[str], deadline_s: float) -> None:
    """Run it; LocalKafkaError with its last words when it fails, hangs or cannot be run. `what` starts the message."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=deadline_s, check=False)  # noqa: S603
    except subprocess.TimeoutExpired as hanging:
        raise LocalKafkaError(f"{what} did not end within {deadline_s:.0f} s") from hanging
    except OSError as missing:
        raise LocalKafkaError(f"{what} cannot be run: {missing}") from missing
    if done.returncode != 0:
        said = (done.stdout + done.stderr).strip()[-OUTPUT_SHOWN_CHARS:]
        raise LocalKafkaError(f"{what} failed with exit code {done.returncode}:\n{said}")
