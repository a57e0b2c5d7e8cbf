"""Showing how a campaign goes: a live picture on a terminal, else a line every two seconds; and what comes after it."""

from __future__ import annotations

import asyncio
import time
from asyncio import Task
from collections.abc import Callable
from typing import TypeVar

from rich.console import Console
from rich.live import Live
from rich.text import Text

from gateway.contract.receipts import ReceiptOutcome
from gateway.demo.ledger import Told
from gateway.demo.screen import STYLES, Moment, Screen, line

FRAME_S = 0.125
"""Between two pictures."""

LINE_S = 2.0
"""Between two lines where there is no terminal."""

Result = TypeVar("Result")


async def watched(console: Console, moment: Callable[[], Moment], task: Task[Result]) -> Result:
    """The task's result; until it has one, how it goes."""
    if not console.is_terminal:
        while not task.done():
            await asyncio.wait([task], timeout=LINE_S)
            console.print(line(moment()), highlight=False, soft_wrap=True)
        return await task
    with Live(Screen(moment()), console=console, auto_refresh=False) as live:
        while not task.done():
            await asyncio.wait([task], timeout=FRAME_S)
            live.update(Screen(moment()), refresh=True)
    return await task


def tell(console: Console, told: Told) -> None:
    """What became of a request of somebody's own."""
    before = "at dispatch " if told.outcome is ReceiptOutcome.DROPPED else ""
    text = Text.assemble(
        (time.strftime("%H:%M:%S "), "dim"),
        f"{told.request_id}: {told.channel or '?'} to {told.to} {before}",
        ("dropped" if before else told.outcome.value, STYLES[told.outcome]),
        f" {told.why}" if told.why else "",
        f" as {told.message_id}" if told.message_id else "",
        f" without {', '.join(told.removed)}, on hold" if told.removed else "",
    )
    console.print(text, soft_wrap=True)
