"""A process of its own that spools and drains: `python -m tests.signals.spool_and_die DIRECTORY BOOTSTRAP TOPIC RUN`.

It writes the number of each signal to standard output once it is on disk, and drains at the same time. It never ends
by itself, so that it can be killed at any moment.
"""

from __future__ import annotations

import asyncio
import itertools
import sys
from pathlib import Path

from gateway.settings import Settings
from gateway.signals.drain import Drainer
from gateway.signals.publish import DRAIN_DEADLINE_S, Publisher
from gateway.signals.spool import Spool
from gateway.streams.clients import Clients
from tests.signals.people import phone, stop

SUBJECTS = 5


async def main(directory: str, bootstrap: str, topic: str, run: str) -> None:
    spool = Spool(Path(directory))
    publisher = Publisher(Clients(Settings.of(kafka_bootstrap_servers=bootstrap).kafka), topic, DRAIN_DEADLINE_S)
    await spool.open()
    async with asyncio.TaskGroup() as group:
        group.create_task(publisher.run())
        group.create_task(Drainer(spool, publisher).run())
        for number in itertools.count():
            await spool.put(stop(f"{run}-{number}", phone(number % SUBJECTS)), number)
            sys.stdout.write(f"{number}\n")
            sys.stdout.flush()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
