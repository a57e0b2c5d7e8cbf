"""The demo on a running Kafka: topics, providers, service, campaign, audit; then it stays up.

Steps: 1 topics -> 2 providers, and the accounts file that names them -> 3 service and ledger, each a task of its own ->
4 contacts and what was held before -> 5 the campaign, shown live -> 6 the audit -> 7 until somebody stops it. Stop,
also in the middle: whatever step it is at is cancelled, then the ledger, then the service ends in its own order, and
the providers last, so that a call of its last moment is answered.
"""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable, Iterable

from rich.console import Console
from rich.text import Text

from gateway.demo.accounts_file import Keys, accounts_toml
from gateway.demo.audit.faults import Report
from gateway.demo.people import LOCATIONS
from gateway.demo.providers.accounts import make_accounts
from gateway.demo.providers.request_log import RequestLog
from gateway.demo.providers.sandbox import SandboxProviders
from gateway.demo.setup import DemoError, Options, Place
from gateway.demo.stage import Stage
from gateway.demo.summary import summary
from gateway.demo.watching import tell
from gateway.settings import Settings
from gateway.streams.topics import apply

PUBLIC_URL = "https://sendguard.example.com"
"""Where the providers believe the service to be: they sign for it, as they do for a proxy's address."""

LATENCY_S = 0.03
"""Until a provider answers: about what the real ones take at their fastest."""

After = Callable[[str], Iterable[Text]]
"""What is printed when the campaign is over; given the base URL of the providers."""


class Show:
    """One run. `report` is set once the campaign is through."""

    def __init__(self, options: Options, place: Place, settings: Settings, console: Console) -> None:
        self._options = options
        self._place = place
        self._settings = settings
        self._console = console
        self.report: Report | None = None

    async def run(self, after: After) -> None:
        """Until it is through (`once`) or SIGINT or SIGTERM comes. DemoError; what the service raises."""
        interrupted = _interrupted()
        await self._apply_topics()  # 1
        accounts, keys = make_accounts([each.id for each in LOCATIONS], PUBLIC_URL), Keys.new()
        sandbox = SandboxProviders(accounts, RequestLog(self._place.calls), LATENCY_S)
        async with sandbox.served() as providers:  # 2
            toml = accounts_toml(LOCATIONS, accounts, providers.url, keys, self._options.duration_s)
            self._place.accounts.write_text(toml)
            stage = Stage(self._options, self._settings, self._console, providers, keys)
            await self._on(stage, interrupted, after(providers.url))

    async def _on(self, stage: Stage, interrupted: asyncio.Event, after: Iterable[Text]) -> None:
        stop = asyncio.Event()
        service = asyncio.create_task(stage.service.run(stop), name="service")  # 3
        ledger = asyncio.create_task(stage.ledger.run(), name="ledger")
        work = asyncio.create_task(self._work(stage, after), name="demo")
        signalled = asyncio.create_task(interrupted.wait(), name="signal")
        try:
            await asyncio.wait([service, work, signalled, ledger], return_when=asyncio.FIRST_COMPLETED)
        finally:
            ended = [task for task in (work, ledger) if task.done()]
            for task in (work, signalled, ledger):
                task.cancel()
            await asyncio.gather(work, signalled, ledger, return_exceptions=True)
            stop.set()
            await service
        for task in ended:
            task.result()

    async def _work(self, stage: Stage, after: Iterable[Text]) -> None:
        console = self._console
        self.report = await stage.play()  # 4, 5, 6
        console.print()
        console.print(summary(self.report, *stage.honour_times()))
        if not self._options.once:
            console.print()
            for text in after:
                console.print(text, soft_wrap=True)
            stage.ledger.shown = lambda told: tell(console, told)
            await asyncio.Event().wait()  # 7

    async def _apply_topics(self) -> None:
        report = await apply(self._settings)
        if report.failed or report.differences:
            raise DemoError("\n".join([*report.failed.values(), *map(str, report.differences)]))


def _interrupted() -> asyncio.Event:
    """Set by the first SIGINT or SIGTERM; the second ends the process at once, and Kafka's watchdog cleans up."""
    event = asyncio.Event()
    loop = asyncio.get_running_loop()
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

    def first() -> None:
        event.set()
        for number in numbers:
            loop.remove_signal_handler(number)
            signal.signal(number, signal.SIG_DFL)

    for number in numbers:
        loop.add_signal_handler(number, first)
    return event
