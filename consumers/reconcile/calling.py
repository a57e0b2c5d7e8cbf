"""One page from an account's API: so many calls a second, tried again with growing pauses, and as `Retry-After` says.

Redirects are not followed: the key goes to the base URL that was set and nowhere else.
"""

from __future__ import annotations

import asyncio
import random
from base64 import b64encode
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

import aiohttp
from aiolimiter import AsyncLimiter
from yarl import URL

from gateway.metrics import RECONCILE_CALLS, Metrics
from gateway.providers.reading import answered_object, shown, text

CALL_DEADLINE_S = 60.0
CONNECT_DEADLINE_S = 5.0
"""A page of a thousand entries takes Mailgun and Twilio some seconds."""

ANSWER_LIMIT_BYTES = 16 * 1024 * 1024
"""A thousand messages of 1,600 characters, as JSON, with all their fields."""

TRIES = 6
FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.5, 15.0
"""Between two tries, doubling, each between a half and the whole of it, so that processes do not keep step."""

LONGEST_WAIT_S = 300.0
"""Asked for by `Retry-After` and waited for at the call; who asks for more is asked again in a later turn."""

FORGOTTEN_WAIT_S = 24 * 3_600.0
"""Nobody is left alone for longer: the next answer says it again."""

BUSY = frozenset({408, 425, 429, 500, 502, 503, 504})
"""The same call again later. Anything else but 200 will not get better by itself."""


CLOSED = frozenset({401, 429})
"""The whole account is meant, whatever was asked: it is not asked again in this turn."""


class GaveUp(Exception):  # noqa: N818 - an outcome: the same page again later
    """The provider cannot be asked at present. The text says why, without secrets. `wait_s`: what it asks for."""

    def __init__(self, why: str, wait_s: float = 0.0) -> None:
        super().__init__(why)
        self.wait_s = wait_s


class Refused(Exception):  # noqa: N818 - an outcome: the same page will be refused again
    """The provider does not give this page."""


class Caller:
    """Of one account, for one turn. One call at a time."""

    def __init__(
        self, session: aiohttp.ClientSession, base: str, user: str, key: str, per_second: int, metrics: Metrics
    ) -> None:
        self._session = session
        self._base = base
        self._headers = {"Authorization": f"Basic {b64encode(f'{user}:{key}'.encode()).decode()}"}
        # One in each n-th of a second: a whole second's calls at once is not what an account's limit means.
        self._limiter = AsyncLimiter(1, 1 / per_second)
        self._metrics = metrics
        self._closed: tuple[str, float] | None = None
        """Why the account is not asked any more, and how long it wants to be left alone (s)."""

    async def get(self, path: str, provider: str) -> bytes:
        """The body of a 200. GaveUp, Refused."""
        if self._closed is not None:
            raise GaveUp(*self._closed)
        pause, why, status, asked_s = FIRST_PAUSE_S, "", 0, 0.0
        for tried in range(TRIES):
            if tried:
                await asyncio.sleep(max(asked_s, pause * random.uniform(0.5, 1)))  # noqa: S311 - no secret
                pause = min(pause * 2, LONGEST_PAUSE_S)
            await self._limiter.acquire()
            try:
                status, body, asked_s = await self._called(path)
            except (aiohttp.ClientError, OSError, TimeoutError) as error:
                why, status, asked_s = f"no answer ({type(error).__name__})", 0, 0.0
                self._metrics.count(RECONCILE_CALLS, labels=(provider, "none"))
                continue
            self._metrics.count(RECONCILE_CALLS, labels=(provider, str(status)))
            if status == 200:
                return body
            said = shown(text(answered_object(body), "message"))
            why = f"answered {status}" + (f": {said}" if said else "")
            if status not in BUSY | CLOSED:
                raise Refused(why)
            if status not in BUSY:
                raise self._given_up(status, why)
            if asked_s > LONGEST_WAIT_S:
                raise self._given_up(status, f"{why}; it asks to wait for {asked_s:.0f} s", asked_s)
        raise self._given_up(status, f"{why}, {TRIES} times", asked_s)

    def _given_up(self, status: int, why: str, wait_s: float = 0.0) -> GaveUp:
        wait_s = min(wait_s, FORGOTTEN_WAIT_S)
        if status in CLOSED or wait_s:
            self._closed = why, wait_s
        return GaveUp(why, wait_s)

    async def _called(self, path: str) -> tuple[int, bytes, float]:
        url = URL(self._base + path, encoded=True)
        async with self._session.get(url, headers=self._headers, allow_redirects=False) as answer:
            body = bytearray()
            while chunk := await answer.content.readany():
                body += chunk
                if len(body) > ANSWER_LIMIT_BYTES:
                    raise aiohttp.ClientPayloadError(f"more than {ANSWER_LIMIT_BYTES} bytes")
            return answer.status, bytes(body), _asked_to_wait(answer.headers.get("Retry-After", ""))


def new_session(accounts: int) -> aiohttp.ClientSession:
    """`accounts`: asked at a time. Somebody closes it."""
    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=accounts),
        cookie_jar=aiohttp.DummyCookieJar(),
        timeout=aiohttp.ClientTimeout(total=CALL_DEADLINE_S, sock_connect=CONNECT_DEADLINE_S),
        trust_env=False,
    )


def _asked_to_wait(retry_after: str) -> float:
    """Seconds, or a date (RFC 9110); 0 = neither."""
    if retry_after.isascii() and retry_after.isdigit():
        return float(retry_after[:9])
    try:
        date = parsedate_to_datetime(retry_after)
    except ValueError:
        return 0.0
    return max(0.0, ((date if date.tzinfo else date.replace(tzinfo=UTC)) - datetime.now(UTC)).total_seconds())
