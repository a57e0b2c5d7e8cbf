"""The role `receipts` in a process of its own that kills itself: `python -m tests.consumers.receipts_and_die N`.

Settings come from the environment. It dies (SIGKILL) at the N-th moment before or behind a commit of the database.
"""

from __future__ import annotations

import asyncio
import os
import sys

from gateway.app import serve
from gateway.sent import SentWriter
from gateway.settings import load
from tests.consumers.keep_and_die import Fate


def main(dies_at: int) -> None:
    setattr(SentWriter, "keep", Fate(dies_at).around(SentWriter.keep))  # noqa: B010 - mypy takes no assignment to it
    asyncio.run(serve(load(os.environ), ["receipts"], asyncio.Event()))


if __name__ == "__main__":
    main(int(sys.argv[1]))
