"""Waiting for something that the service may be told to stop before."""

from __future__ import annotations

import asyncio
from typing import Any


async def ended_before_stop(task: asyncio.Task[Any], stop: asyncio.Event) -> bool:
    """Wait until `task` has ended or `stop` is set; whether the task has ended. It is left as it is."""
    stopping = asyncio.create_task(stop.wait(), name="stop signal")
    try:
        await asyncio.wait([task, stopping], return_when=asyncio.FIRST_COMPLETED)
    finally:
        stopping.cancel()
    return task.done()


async def set_before_stop(event: asyncio.Event, stop: asyncio.Event) -> bool:
    """Wait until `event` is set; False when `stop` is set by then."""
    waiting = asyncio.create_task(event.wait(), name="event")
    try:
        await ended_before_stop(waiting, stop)
    finally:
        waiting.cancel()
    return not stop.is_set()
