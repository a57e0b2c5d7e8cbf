"""One provider account: its rate, calls under way, circuit breaker, and the lines that are sent through it.

Theory of operation. Each account has a task of its own, the *pump*, which takes messages from the account's lines in
turn and starts their tries; so an account that is slow, throttled or dead holds up nothing but its own messages. What
it learns from a try:

* it works: the breaker is closed;
* it fails (no connection, 503, time-out): the breaker counts, and opens for a while;
* throttled: the account pauses for as long as the provider asks; the breaker has nothing to do with it;
* broken (it does not know us any more): nothing is sent until it does (`mending`).
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Protocol

from aiolimiter import AsyncLimiter

from consumers.dispatch.breaker import Breaker
from consumers.dispatch.connecting import Caller
from consumers.dispatch.item import Item, LineId
from consumers.dispatch.line import Line
from consumers.dispatch.mending import Announce, Health
from consumers.dispatch.retrying import FIRST_THROTTLED_S, LONGEST_THROTTLED_S, asked_s, pause_s
from consumers.dispatch.trying import Learnt, Tried, Trier
from gateway.clock import now_ms
from gateway.providers.sending import Sender
from gateway.providers.signals import OptOut

FLIGHT_LIMIT = 64
"""Calls of one account under way: also how many of its messages can have been sent without a receipt at a crash."""

FLIGHT_SHARE = 4
"""So many an account may always have, however many the others have."""

FLIGHTS_LIMIT = 512
"""Calls of all accounts under way."""

BURST_S = 0.1
"""How much of a second's messages may go at once."""

LOOK_S = 1.0
"""How often the messages of an account that cannot send are looked at for what has expired."""

CONGESTED_S = 0.02
"""Until the next look whether receipts are committed."""


class Publish(Protocol):
    """Makes opt-outs last; returns when Kafka has acknowledged them, however long that takes."""

    async def __call__(self, provider: str, opt_outs: tuple[OptOut, ...]) -> None: ...


class Flights:
    """Calls under way, of all accounts."""

    def __init__(self) -> None:
        self.count = 0


@dataclass(frozen=True, slots=True)
class Means:
    """What all accounts of a process share. `observe`: gets every try that has ended; `connected`: whether a line is,
    as far as anybody has said."""

    group: asyncio.TaskGroup
    trier: Trier
    caller: Caller
    publish: Publish
    announce: Announce
    observe: Callable[[LineId, Tried], None]
    connected: Callable[[LineId], bool]
    flights: Flights


class Account:
    """Made when its first line is attached; ended when it has none."""

    def __init__(self, name: str, means: Means) -> None:
        self.name = name
        self._means = means
        self._lines: deque[Line] = deque()
        self._senders: dict[LineId, Sender] = {}
        self._clock = asyncio.get_running_loop().time
        self._wake = asyncio.Event()
        self._limiter = AsyncLimiter(1, 1)
        self._rate = 0.0
        self._throttles = 0
        self._paused_until = 0.0
        self._looked_at = 0.0
        self._tries: set[asyncio.Task[None]] = set()
        self.breaker = Breaker()
        self.health = Health(
            name, self._senders, self._waiting, means.group, means.caller, means.announce, self._wake.set
        )
        self._pump = means.group.create_task(self._run(), name=f"account {name}")

    @property
    def lines(self) -> Mapping[LineId, Sender]:
        return self._senders

    @property
    def flying(self) -> int:
        """Tries under way."""
        return len(self._tries)

    def attach(self, line: Line, sender: Sender, max_per_second: float) -> None:
        """Send the line's messages; the account's rate is then this one."""
        if line.identity not in self._senders:
            self._lines.append(line)
        self._senders[line.identity] = sender
        if max_per_second != self._rate:
            self._rate = max_per_second
            burst = max(1.0, max_per_second * BURST_S)
            self._limiter = AsyncLimiter(burst, burst / max_per_second)
        self._wake.set()

    def detach(self, line: Line) -> None:
        self._lines.remove(line)
        del self._senders[line.identity]

    def wake(self) -> None:
        """A line has something new."""
        self._wake.set()

    def end(self) -> None:
        """It has no lines any more, or the process ends."""
        self._pump.cancel()
        self.health.end()
        for each in self._tries:
            each.cancel()

    def _waiting(self) -> bool:
        return any(len(line) for line in self._lines)

    async def _run(self) -> None:
        while True:
            self._wake.clear()
            wait = self._blocked_s()
            taken = self._next() if wait == 0.0 else None
            if taken is None:
                self._expire()
                await self._woken(min(wait or self._soonest_s(), LOOK_S))
                continue
            line, item = taken
            try:
                await self._limiter.acquire()
            except asyncio.CancelledError:
                line.take_back(item)
                raise
            if item.withdrawn:
                continue
            if item.origin.congested or self._blocked_s():
                line.take_back(item)
                await asyncio.sleep(CONGESTED_S)
                continue
            self._start(line, item)

    async def _woken(self, seconds: float) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._wake.wait()

    def _blocked_s(self) -> float:
        """For how long nothing may be started; 0 = now."""
        probing = self.health.probing
        if self.health.broken is not None and not probing:
            return LOOK_S
        limit = self.breaker.limit(1 if probing else FLIGHT_LIMIT)
        if self.flying >= limit or (self.flying >= FLIGHT_SHARE and self._means.flights.count >= FLIGHTS_LIMIT):
            return LOOK_S  # whatever lands wakes us
        return max(0.0, max(self._paused_until, self.breaker.until) - self._clock())

    def _next(self) -> tuple[Line, Item] | None:
        """From the lines in turn."""
        now = self._clock()
        for _ in range(len(self._lines)):
            line = self._lines[0]
            self._lines.rotate(-1)
            if self._may_send(line) and (item := line.take(now)) is not None:
                return line, item
        return None

    def _may_send(self, line: Line) -> bool:
        """A channel that is not connected must not use up the account's rate."""
        return self.health.probing or self._means.connected(line.identity)

    def _soonest_s(self) -> float:
        times = [at for line in self._lines if self._may_send(line) and (at := line.soonest()) is not None]
        return max(0.001, min(times, default=float("inf")) - self._clock())

    def _expire(self) -> None:
        if self._clock() - self._looked_at < LOOK_S:
            return
        self._looked_at = self._clock()
        for line in self._lines:
            expire(line, now_ms())

    def _start(self, line: Line, item: Item) -> None:
        sender = self._senders.get(line.identity)
        if sender is None:
            line.take_back(item)  # the line has another account now
            return
        as_probe, self.health.probing = self.health.probing, False
        self._means.flights.count += 1
        item.origin.took_off()
        trying = self._means.group.create_task(self._try(line, item, sender, as_probe=as_probe), name="try")
        self._tries.add(trying)
        trying.add_done_callback(lambda done: self._landed(item, done))

    def _landed(self, item: Item, trying: asyncio.Task[None]) -> None:
        self._tries.discard(trying)
        self._means.flights.count -= 1
        item.origin.landed()
        self._wake.set()

    async def _try(self, line: Line, item: Item, sender: Sender, *, as_probe: bool) -> None:
        tried = await self._means.trier.attempt(item, sender, as_probe=as_probe)
        if tried.opt_outs:
            await self._means.publish(sender.provider, tried.opt_outs)
        self._learn(tried)
        self._means.observe(line.identity, tried)
        if tried.receipt is not None:
            item.origin.settle(item, tried.receipt)
            line.finish(item)
        else:
            left_s = max(0.0, (item.not_after - now_ms()) / 1000)
            line.again(item, self._clock() + min(tried.wait_s, left_s))

    def _learn(self, tried: Tried) -> None:
        now = self._clock()
        match tried.learnt:
            case Learnt.WORKS:
                self._throttles = 0
                self.breaker.worked()
                self.health.works()
            case Learnt.FAILS:
                self.breaker.failed(now)
            case Learnt.THROTTLED:
                self.breaker.worked()
                self._throttles += 1
                pause = asked_s(tried.after_s, pause_s(self._throttles, FIRST_THROTTLED_S, LONGEST_THROTTLED_S))
                self._paused_until = max(self._paused_until, now + pause)
            case Learnt.BROKEN:
                self.health.breaks(tried.why)
            case Learnt.NOTHING:
                pass


def expire(line: Line, now: int) -> None:
    """Give up what waits and is past its time. `now` in ms."""
    for item in [item for item in line.waiting() if item.not_after < now and not item.withdrawn]:
        line.drop(item)
        item.origin.settle(item, item.expired(now))
        line.finish(item)
