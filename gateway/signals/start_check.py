"""Which of two opposite replies a person wrote last, asked from Twilio: the hook `StartCheck`.

Theory of operation. STOP and START of one person a few seconds apart may overtake one another on their way to us, and
the webhooks carry no time. Twilio knows when it took in each. Both messages are asked for at once, from the account of
the location, with the first of its tokens; the webhook waits for it, so there is one short deadline for all. Only a
START that is known to be later counts. Of messages of the same second, of one that is not found, and without an answer
the person stays held, and can say START again.

That Twilio does not answer is counted each time, and logged once for an account and once when it is over.
"""

from __future__ import annotations

import asyncio
import logging
from base64 import b64encode
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

import aiohttp
from yarl import URL

from gateway.accounts import Lookups, TwilioAccount
from gateway.dnd.record import Mark
from gateway.metrics import START_CHECKS, Metrics
from gateway.providers.signals import OptIn
from gateway.providers.twilio.messages import Answered, FetchedMessage, message_path, read_message

log = logging.getLogger(__name__)

ASK_DEADLINE_S = 1.5
"""For connecting and both answers; Twilio's take 100 to 300 ms. The webhook is answered when Kafka has the event after
it, within the 15 s that Twilio waits."""

ANSWER_LIMIT_BYTES = 64 * 1024
"""A message of 1,600 characters has a few KiB."""

CONNECTIONS = 20
"""At a time: a START close behind a STOP is rare."""

_RESULTS: Mapping[bool | None, str] = {True: "later", False: "not_later", None: "unknown"}


class TwilioStartCheck:
    """Answers while `opened`; before and after it nothing is known."""

    def __init__(self, accounts: Lookups, metrics: Metrics) -> None:
        self._accounts = accounts
        self._metrics = metrics
        self._session: aiohttp.ClientSession | None = None
        self._silent: set[str] = set()
        """Accounts of which it is logged that they do not answer."""

    @asynccontextmanager
    async def opened(self) -> AsyncIterator[None]:
        """Its connections live as long; somebody who still waits for an answer gets none."""
        session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=CONNECTIONS),
            cookie_jar=aiohttp.DummyCookieJar(),
            timeout=aiohttp.ClientTimeout(total=ASK_DEADLINE_S),
            trust_env=False,
        )
        async with session:
            self._session = session
            try:
                yield
            finally:
                self._session = None

    def window_ms(self, location_id: str) -> int:
        return round(self._accounts.location(location_id).start_check_window_s * 1000)

    async def sent_after(self, start: OptIn, stop: Mark) -> bool | None:
        """Within ASK_DEADLINE_S; does not raise."""
        found = await self._compared(start, stop)
        self._metrics.count(START_CHECKS, labels=(_RESULTS[found],))
        return found

    async def _compared(self, start: OptIn, stop: Mark) -> bool | None:
        session, account = self._session, self._accounts.twilio(start.subject.location_id)
        started, stopped = _message_sid(start.evidence), _message_sid(stop.evidence)
        if session is None or account is None or started is None or stopped is None:
            return None
        async with asyncio.TaskGroup() as group:
            asking = [
                group.create_task(_asked(session, account, sid), name="ask Twilio for a message")
                for sid in (stopped, started)
            ]
        first, second = (asked.result() for asked in asking)
        self._say(account, first if first.created_at is None else second)
        if first.created_at is None or second.created_at is None:
            return None
        return second.created_at > first.created_at

    def _say(self, account: TwilioAccount, found: FetchedMessage) -> None:
        sid = account.account_sid
        if found.answered is Answered.DONE and sid in self._silent:
            self._silent.discard(sid)
            log.info("Twilio account %s says again when messages came", sid)
        elif found.answered is not Answered.DONE and sid not in self._silent:
            self._silent.add(sid)
            log.warning(
                "Twilio account %s does not say when messages came, so a START close behind a STOP ends nothing: %s",
                sid,
                found.why,
            )


async def _asked(session: aiohttp.ClientSession, account: TwilioAccount, message_sid: str) -> FetchedMessage:
    url = URL(account.api_base + message_path(account.account_sid, message_sid), encoded=True)
    credentials = f"{account.account_sid}:{account.auth_tokens[0].reveal()}".encode()
    headers = {"Authorization": f"Basic {b64encode(credentials).decode()}"}
    try:
        # The token goes to the base URL that was set and nowhere else.
        async with session.get(url, headers=headers, allow_redirects=False) as answer:
            body = bytearray()
            while len(body) < ANSWER_LIMIT_BYTES and (chunk := await answer.content.readany()):
                body += chunk
            return read_message(answer.status, bytes(body), message_sid)
    except TimeoutError:
        return FetchedMessage(Answered.BUSY, f"no answer within {ASK_DEADLINE_S:g} s")
    except (aiohttp.ClientError, OSError, RuntimeError) as error:  # RuntimeError: the session is closed
        return FetchedMessage(Answered.BUSY, f"no answer ({type(error).__name__})")


def _message_sid(evidence: Mapping[str, object]) -> str | None:
    """The id of the message that is told of, if it came through Twilio."""
    sid = evidence.get("message_sid")
    return sid if evidence.get("provider") == "twilio" and isinstance(sid, str) and sid else None
