"""`sendguard` on a machine whose clock is wrong: `python -m tests.web.webhooks.clock_off HOURS PATIENCE run ...`.

Everything else is as users run it, but that the door waits for Kafka for PATIENCE seconds: on a busy machine long, and
where there is no Kafka not at all.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable

HOUR_NS = 3_600_000_000_000


def off_by(hours: float, clock: Callable[[], int]) -> Callable[[], int]:
    return lambda: clock() + round(hours * HOUR_NS)


def main(hours: float, patience_s: float, arguments: list[str]) -> None:
    nanoseconds = off_by(hours, time.time_ns)
    time.time_ns = nanoseconds  # before anything of ours has it
    time.time = lambda: nanoseconds() / 1e9
    import gateway.signals.known
    import gateway.signals.service
    from gateway.cli import main as sendguard

    gateway.signals.known.BARRIER_DEADLINE_S = patience_s
    vars(gateway.signals.service)["PUBLISH_DEADLINE_S"] = patience_s  # imported there, and not for others
    sendguard(arguments)


if __name__ == "__main__":
    main(float(sys.argv[1]), float(sys.argv[2]), sys.argv[3:])
