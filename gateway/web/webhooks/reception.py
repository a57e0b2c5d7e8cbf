"""What the webhooks of all providers share: from the first byte of a call to the answer.

The order of effects; nothing is changed before the signature is known to be good, and nothing is answered with 2xx
before it is safe:

1. Limits. More calls at once than `Limits.calls`: 503, come again. Never 429, which providers do not come again for.
2. Read the raw body: at most `Limits.body_bytes` (413), within BODY_DEADLINE_S (408).
3. Verify the signature, over the raw bytes. Bad, missing, or of a location without an account there: 403, which are not
   told apart, so that nobody finds out which locations there are.
4. Parse. Signed, but in no shape we can read: 200, counted. The same bytes would come again, and would read no better.
5. Tell the door: when it returns, what was said is in Kafka or on local disk. Neither: 503, come again.
6. Answer 200, also when the call means nothing to us.

A call that the provider may have signed for another body counts once (`Told.once`, see `replays`).
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

import aiohttp
from aiohttp import web

from gateway.clock import now_ms
from gateway.metrics import WEBHOOK_SECONDS, WEBHOOKS, WEBHOOKS_REFUSED, Metrics
from gateway.providers.signals import BadSignature, Parsed, Signal, Unparsable
from gateway.signals.door import Accepted, Receipt, RefusedError, SpoolUnavailable
from gateway.signals.service import count_parsed
from gateway.web.problems import problem
from gateway.web.webhooks.replays import Replays, Turn

log = logging.getLogger(__name__)

BODY_DEADLINE_S = 5.0
"""For the whole body. Providers send it in one go and wait 10 to 15 s for the answer, of which Kafka and the disk may
need 6."""

COME_AGAIN_S = 5
"""Asked for with a 503: an election of leaders is over then."""

SAID_EVERY_S = 60.0
"""The same trouble is logged at most so often; each call is counted."""


class Result(StrEnum):
    """How a call ended."""

    ACCEPTED = "accepted"  # Kafka has all it said, which may be nothing
    SPOOLED = "spooled"  # on local disk
    REPEATED = "repeated"  # it had been told before
    UNPARSABLE = "unparsable"  # signed, but it cannot be read, or not be written as an event
    UNSIGNED = "unsigned"
    REFUSED = "refused"  # against a limit: too large, too slow, cut short, too many at a time
    UNSAFE = "unsafe"  # neither Kafka nor the disk took it


@dataclass(frozen=True, slots=True)
class Limits:
    """`calls`: at a time, so that their bodies together stay within tens of MiB."""

    body_bytes: int
    calls: int


@dataclass(frozen=True, slots=True)
class Told:
    """What a verified call says. `once`: it counts for one call with this text alone."""

    parsed: Parsed
    once: str | None = None


Read = Callable[[bytes], Told]
"""Steps 3 and 4, by the provider's rules. BadSignature, Unparsable."""


class Door(Protocol):
    """What keeps signals; `SignalDoor`."""

    async def accept(self, signals: Sequence[Signal], received_at: int) -> Receipt: ...


class _RefusedCall(Exception):  # noqa: N818 - an outcome
    def __init__(self, status: int, detail: str) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail


class Reception:
    """Of one provider in one process."""

    def __init__(self, provider: str, limits: Limits, door: Door, metrics: Metrics) -> None:
        self._provider = provider
        self._limits = limits
        self._door = door
        self._metrics = metrics
        self._replays = Replays()
        self._calls = 0
        self._said: dict[tuple[Result, str], float] = {}
        """When a trouble of a location was logged."""

    async def receive(
        self, request: web.Request, location: str, read: Read, answer: Callable[[], web.Response]
    ) -> web.Response:
        """The answer to a call. `location`: one that has an account with the provider, else empty; `answer`: a new one
        for all that went well."""
        began = time.perf_counter()
        refusal: web.Response | None
        if self._calls >= self._limits.calls:  # 1
            result, refusal = Result.REFUSED, _come_again("too many calls at a time")
        else:
            self._calls += 1
            try:
                result, refusal = await self._outcome(request, location, read)
            finally:
                self._calls -= 1
        self._metrics.count(WEBHOOKS, labels=(self._provider, result.value))
        self._metrics.observe(WEBHOOK_SECONDS, time.perf_counter() - began)
        if refusal is None:
            return answer()  # 6
        self._metrics.count(WEBHOOKS_REFUSED, labels=(self._provider, location, str(refusal.status)))
        return refusal

    async def _outcome(self, request: web.Request, location: str, read: Read) -> tuple[Result, web.Response | None]:
        """Steps 2 to 5: how it ended, and the answer if it did not end well."""
        received_at = now_ms()
        try:
            told = read(await self._body(request))  # 2, 3, 4
        except _RefusedCall as refused:
            answer = problem(refused.status, refused.detail)
            answer.force_close()  # the rest of the body would be taken for the next call
            return Result.REFUSED, answer
        except BadSignature as bad:
            self._say(Result.UNSIGNED, location, bad)
            return Result.UNSIGNED, problem(403, "the call is not signed as it must be")
        except Unparsable as odd:
            self._say(Result.UNPARSABLE, location, odd)
            return Result.UNPARSABLE, None
        return await self._told(told, received_at, location)

    async def _body(self, request: web.Request) -> bytes:
        limit, content = self._limits.body_bytes, request.content
        if (request.content_length or 0) > limit:
            raise _too_large(limit)
        try:
            # It came with its head, as almost all do: nothing to wait for.
            body = content.read_nowait() if content.is_eof() else await _awaited(content, limit)
        except TimeoutError:
            raise _RefusedCall(408, f"the body was not complete within {BODY_DEADLINE_S:g} s") from None
        except (web.RequestPayloadError, ConnectionError):
            raise _RefusedCall(400, "the body was cut short, or is not encoded as HTTP says") from None
        if len(body) > limit:
            raise _too_large(limit)
        return body

    async def _told(self, told: Told, received_at: int, location: str) -> tuple[Result, web.Response | None]:
        match Turn.FIRST if told.once is None else self._replays.begin(told.once):
            case Turn.SEEN:
                return Result.REPEATED, None
            case Turn.UNDER_WAY:
                return Result.REPEATED, _come_again("the same call is being handled")
            case Turn.FIRST:
                pass
        try:
            result = await self._safe(told.parsed, received_at)  # 5
            if told.once is not None:
                self._replays.told(told.once)
        except SpoolUnavailable as error:
            self._say(Result.UNSAFE, location, error)
            return Result.UNSAFE, _come_again("it cannot be kept at present")
        finally:
            if told.once is not None:
                self._replays.failed(told.once)
        count_parsed(self._metrics, self._provider, told.parsed)
        return result, None

    async def _safe(self, parsed: Parsed, received_at: int) -> Result:
        if not parsed.signals:
            return Result.ACCEPTED
        try:
            receipt = await self._door.accept(parsed.signals, received_at)
        except RefusedError as error:
            log.error("something that %s told can never be an event: %s", self._provider, error)  # noqa: TRY400
            return Result.UNPARSABLE
        return Result.ACCEPTED if isinstance(receipt, Accepted) else Result.SPOOLED

    def _say(self, result: Result, location: str, why: Exception) -> None:
        """Not of locations that have no account: anybody can make up as many as he likes."""
        now = time.monotonic()
        if location and now - self._said.get((result, location), -SAID_EVERY_S) >= SAID_EVERY_S:
            self._said[result, location] = now
            log.warning("a call of %s for %s is %s: %s", self._provider, location, result, why)


async def _awaited(content: aiohttp.StreamReader, limit: int) -> bytes:
    """The body, or as much of it as shows that it is larger."""
    body = bytearray()
    async with asyncio.timeout(BODY_DEADLINE_S):
        while len(body) <= limit and (chunk := await content.readany()):
            body += chunk
    return bytes(body)


def _too_large(limit: int) -> _RefusedCall:
    return _RefusedCall(413, f"the body is larger than {limit} bytes")


def _come_again(detail: str) -> web.Response:
    return problem(503, detail, {"Retry-After": str(COME_AGAIN_S)})
