"""The demo on a running Kafka: topics, service, provider, campaign, audit; then it stays up.

Steps: 1 topics -> 2 service, provider and ledger, each a task of its own -> 3 what was held before -> 4 the campaign,
shown live -> 5 the audit -> 6 until somebody stops it. Stop, also in the middle: whatever step it is at is cancelled,
then provider and ledger, then the service ends in its own order.
"""

from __future__ import annotations

import asyncio
import signal
import time
from collections.abc import Iterable

from rich.console import Console
from rich.live import Live
from rich.text import Text

from gateway.accounts import Accounts
from gateway.app import Service
from gateway.contract.topics import Topics
from gateway.demo.audit import Report, audit
from gateway.demo.calls import CallLog
from gateway.demo.campaign import make_campaign
from gateway.demo.honour import honour_times
from gateway.demo.ledger import Decided, Ledger
from gateway.demo.player import Player
from gateway.demo.reading import read_history
from gateway.demo.sandbox import SandboxProvider
from gateway.demo.screen import STYLES, Moment, Screen, line
from gateway.demo.setup import HTTP_HOST, DemoError, Options, Place
from gateway.demo.summary import busy, summary
from gateway.settings import Settings
from gateway.streams.clients import Clients
from gateway.streams.topics import apply

FRAME_S = 0.125
"""Between two pictures."""

LINE_S = 2.0
"""Between two lines where there is no terminal."""

READY_DEADLINE_S = 60.0
"""The service needs one or two seconds."""

READY_PAUSE_S = 0.05
"""Between two looks whether it is ready."""

SETTLE_DEADLINE_S = 20.0
"""For the last requests to be decided and sent; longer, and something is wrong."""

SETTLE_PAUSE_S = 0.3
"""Between two audits."""


class Show:
    """One run. `report` is set once the campaign is through."""

    def __init__(self, options: Options, place: Place, settings: Settings, console: Console) -> None:
        self._options = options
        self._settings = settings
        self._console = console
        self._topics = Topics(settings.topics.prefix)
        self._clients = Clients(settings.kafka, "sendguard-demo")
        self._service = Service(settings)
        self._calls = CallLog(place.calls)
        self._provider = SandboxProvider(self._clients, self._topics, self._calls)
        self._ledger = Ledger(self._clients, self._topics)
        self._begun: float | None = None
        self.report: Report | None = None

    async def run(self, after: Iterable[Text]) -> None:
        """Until it is through (`once`) or SIGINT or SIGTERM comes. `after` is printed when the campaign is over.

        DemoError; what the service raises.
        """
        interrupted = _interrupted()
        await self._apply_topics()  # 1
        stop = asyncio.Event()
        service = asyncio.create_task(self._service.run(stop), name="service")  # 2
        background = [
            asyncio.create_task(self._provider.run(), name="sandbox provider"),
            asyncio.create_task(self._ledger.run(), name="ledger"),
        ]
        work = asyncio.create_task(self._work(after), name="demo")
        signalled = asyncio.create_task(interrupted.wait(), name="signal")
        try:
            await asyncio.wait([service, work, signalled, *background], return_when=asyncio.FIRST_COMPLETED)
        finally:
            ended = [task for task in (work, *background) if task.done()]
            for task in (work, signalled, *background):
                task.cancel()
            await asyncio.gather(work, signalled, *background, return_exceptions=True)
            stop.set()
            await service
        for task in ended:
            task.result()

    async def _work(self, after: Iterable[Text]) -> None:
        await self._until_ready()
        player = Player(self._clients, self._topics, make_campaign(self._options.seed), self._options.duration_s)
        try:
            await player.set_up()  # 3
            self.report = await self._watched(player)  # 4, 5
        finally:
            await player.close()
        p50, p99 = honour_times(self._service.metrics, 0.5, 0.99)
        self._console.print()
        self._console.print(summary(self.report, p50, p99))
        if not self._options.once:
            self._console.print()
            for text in after:
                self._console.print(text, soft_wrap=True)
            self._ledger.shown = self._tell
            await asyncio.Event().wait()  # 6

    async def _apply_topics(self) -> None:
        report = await apply(self._settings)
        if report.failed or report.differences:
            raise DemoError("\n".join([*report.failed.values(), *map(str, report.differences)]))

    async def _until_ready(self) -> None:
        with busy(self._console, "Starting the service ..."):
            try:
                async with asyncio.timeout(READY_DEADLINE_S):
                    while self._service.problems():  # noqa: ASYNC110 - readiness is asked for, as /readyz does
                        await asyncio.sleep(READY_PAUSE_S)
            except TimeoutError:
                reasons = "; ".join(problem.reason for problem in self._service.problems())
                raise DemoError(f"the service is not ready: {reasons}") from None
        health = f"http://{HTTP_HOST}:{self._service.port}"
        ready = f"Service ready, {health}/readyz and /metrics, all roles in one process"
        self._console.print(ready, highlight=False, soft_wrap=True)

    async def _watched(self, player: Player) -> Report:
        """Play the campaign and audit it, and show how it goes."""
        playing = asyncio.create_task(self._played(player), name="campaign")
        try:
            if self._console.is_terminal:
                with Live(self._picture(player), console=self._console, auto_refresh=False) as live:
                    while not playing.done():
                        await asyncio.wait([playing], timeout=FRAME_S)
                        live.update(self._picture(player), refresh=True)
            else:
                while not playing.done():
                    await asyncio.wait([playing], timeout=LINE_S)
                    self._console.print(line(self._moment(player)), highlight=False, soft_wrap=True)
            return await playing
        finally:
            playing.cancel()
            await asyncio.gather(playing, return_exceptions=True)

    async def _played(self, player: Player) -> Report:
        self._begun = time.monotonic()
        await player.play()
        return await self._settled()

    def _picture(self, player: Player) -> Screen:
        return Screen(self._moment(player))

    def _moment(self, player: Player) -> Moment:
        p50, p99 = honour_times(self._service.metrics, 0.5, 0.99)
        return Moment(
            title=f"Kafka {self._settings.kafka.bootstrap_servers}  http://{HTTP_HOST}:{self._service.port}",
            progress=player.progress,
            elapsed_s=0.0 if self._begun is None else time.monotonic() - self._begun,
            figures=self._ledger.figures,
            rate=self._ledger.rate(),
            honour_p50_s=p50,
            honour_p99_s=p99,
            provider_calls=self._provider.count,
            calls=list(self._provider.latest),
            refused=list(self._ledger.latest),
            problems=[problem.reason for problem in self._service.problems()],
        )

    async def _settled(self) -> Report:
        """The audit, again and again while something may still be on its way."""
        region = Accounts.load(self._settings.accounts).default_region
        deadline = time.monotonic() + SETTLE_DEADLINE_S
        while True:
            report = audit(await read_history(self._clients, self._topics, self._calls), region)
            if report.is_settled or time.monotonic() > deadline:
                return report
            await asyncio.sleep(SETTLE_PAUSE_S)

    def _tell(self, decided: Decided) -> None:
        """A request of somebody's own."""
        style = STYLES[decided.outcome]
        text = Text.assemble(
            (time.strftime("%H:%M:%S "), "dim"),
            f"{decided.request_id}: {decided.channel or '?'} to {decided.to} ",
            (decided.outcome, style),
            f" {decided.why}" if decided.why else "",
            f" without {', '.join(decided.removed)}, on hold" if decided.removed else "",
        )
        self._console.print(text, soft_wrap=True)


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
