"""The role `reconcile` in a process of its own that kills itself: `python -m ...reconcile_and_die N`.

Settings come from the environment. It dies (SIGKILL) at the N-th moment before or behind an acknowledgement of Kafka or
a commit of the database.
"""

from __future__ import annotations

import asyncio
import os
import sys

from gateway.app import serve
from gateway.drift import DriftStore
from gateway.settings import load
from gateway.signals.publish import Publisher
from tests.consumers.keep_and_die import Fate


def main(dies_at: int) -> None:
    fate = Fate(dies_at)
    for owner, name in ((Publisher, "publish"), (DriftStore, "keep"), (DriftStore, "finish")):
        setattr(owner, name, fate.around(getattr(owner, name)))
    asyncio.run(serve(load(os.environ), ["reconcile"], asyncio.Event()))


if __name__ == "__main__":
    main(int(sys.argv[1]))
