"""The wall clock. Where a decision rests on the time, it comes in as an argument instead."""

from __future__ import annotations

import time


def now_ms() -> int:
    """Milliseconds since the epoch."""
    return time.time_ns() // 1_000_000
