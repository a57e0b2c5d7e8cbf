"""Calls to Mailgun's API over HTTP: one answer for each, within limits.

Redirects are not followed: the key goes to the base URL that was set and nowhere else. The path is sent as it was
encoded, for an address may have a slash in it.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import NamedTuple

import aiohttp
from yarl import URL

from gateway.accounts import MailgunAccount
from gateway.providers.mailgun.suppressions import Call

CALL_DEADLINE_S = 10.0
CONNECT_DEADLINE_S = 3.0
ANSWER_LIMIT_BYTES = 256 * 1024
"""An answer has some hundred bytes."""

USER = "api"
"""Of Mailgun's basic authentication."""


class Answer(NamedTuple):
    status: int
    body: bytes


class Unreachable(Exception):  # noqa: N818 - an outcome: the same call again later
    """No answer; the text says why. The call may have been carried out."""


class MailgunApi:
    """Of one account."""

    def __init__(self, session: aiohttp.ClientSession, account: MailgunAccount) -> None:
        self._session = session
        self._account = account
        credentials = f"{USER}:{account.api_key.reveal()}".encode()
        self._headers = {"Authorization": f"Basic {b64encode(credentials).decode()}"}

    async def call(self, call: Call) -> Answer:
        """Unreachable."""
        url = URL(self._account.api_base + call.path, encoded=True)
        try:
            async with self._session.request(call.method, url, headers=self._headers, allow_redirects=False) as answer:
                body = bytearray()
                while len(body) < ANSWER_LIMIT_BYTES and (chunk := await answer.content.readany()):
                    body += chunk
                return Answer(answer.status, bytes(body))
        except TimeoutError:
            raise Unreachable(f"Mailgun did not answer within {CALL_DEADLINE_S:g} s") from None
        except (aiohttp.ClientError, OSError) as error:
            raise Unreachable(f"Mailgun cannot be reached ({type(error).__name__})") from None


@asynccontextmanager
async def mailgun(account: MailgunAccount) -> AsyncIterator[MailgunApi]:
    """For a few calls."""
    timeout = aiohttp.ClientTimeout(total=CALL_DEADLINE_S, sock_connect=CONNECT_DEADLINE_S)
    async with aiohttp.ClientSession(timeout=timeout, trust_env=False) as session:
        yield MailgunApi(session, account)
