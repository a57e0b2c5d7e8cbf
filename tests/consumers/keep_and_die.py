"""The role `directory` in a process of its own that kills itself: `python -m tests.consumers.keep_and_die N`.

Settings come from the environment. It dies (SIGKILL) at the N-th moment between two effects: before or behind a commit
of the database, before or behind what Kafka acknowledges. N = 0: it lives.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Awaitable, Callable
from typing import ParamSpec, TypeVar

from gateway.app import serve
from gateway.directory.writer import DirectoryWriter
from gateway.settings import load
from gateway.signals.publish import Publisher

P = ParamSpec("P")
R = TypeVar("R")


class Fate:
    def __init__(self, dies_at: int) -> None:
        self._left = dies_at

    def moment(self) -> None:
        self._left -= 1
        if self._left == 0:
            os.kill(os.getpid(), signal.SIGKILL)

    def around(self, effect: Callable[P, Awaitable[R]]) -> Callable[P, Awaitable[R]]:
        async def mortal(*args: P.args, **kwargs: P.kwargs) -> R:
            self.moment()
            done = await effect(*args, **kwargs)
            self.moment()
            return done

        return mortal


def main(dies_at: int) -> None:
    fate = Fate(dies_at)
    for owner, name in ((DirectoryWriter, "apply"), (Publisher, "write"), (DirectoryWriter, "acknowledged")):
        setattr(owner, name, fate.around(getattr(owner, name)))
    asyncio.run(serve(load(os.environ), ["directory"], asyncio.Event()))


if __name__ == "__main__":
    main(int(sys.argv[1]))
