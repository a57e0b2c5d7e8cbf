"""HTTP to providers: what is written was checked at most CHECK_VALID_S before, however long the connection took.

A try checks and then asks for a connection: one from the pool is there at once, a new one takes a DNS answer, a TCP and
a TLS handshake. So the age is looked at again once the connection is had; between that and the first byte lies one turn
of the event loop, nothing else. aiohttp has a hook for that moment only for new connections; the connector's `connect`
is it for all.

A connection from the pool may be closed by the provider while the recheck waits for its answer. Nothing was written to
it then, and another one is asked for, which is rechecked in its turn.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from contextvars import ContextVar
from typing import TYPE_CHECKING

import aiohttp
from aiohttp.connector import Connection

from gateway.providers.sending import Answer, HttpCall

if TYPE_CHECKING:
    from aiohttp import ClientRequest, ClientTimeout
    from aiohttp.tracing import Trace

ANSWER_LIMIT_BYTES = 64 * 1024
"""Of an answer's body; what providers say of one message takes some hundred bytes."""

CONNECT_TIMEOUT_S = 5.0
"""For DNS, TCP and TLS."""

CALL_TIMEOUT_S = 20.0
"""For a whole call: providers that work answer in under a second, and give up themselves after some 15 s."""

CONNECTIONS_LIMIT = 3
"""Tried for one call when they close while it is rechecked."""

KEEP_ALIVE_S = 15.0
"""An idle connection is closed by us before the provider does it: what is written just then may be lost or not."""

_UNWRITABLE = re.compile("[\\x00-\\x08\\x0a-\\x1f\\x7f\\ud800-\\udfff]")
"""In the value of a header (RFC 9110, 5.5)."""

Recheck = Callable[[], Awaitable[None]]
"""Raises when the call must not be made."""


class NotWritten(Exception):  # noqa: N818 - an outcome, not a fault
    """The request never left: no connection could be had."""


class Unwritable(NotWritten):
    """And never will: HTTP has no such URL or header."""


class MaybeWritten(Exception):  # noqa: N818 - an outcome, not a fault
    """No answer, or half of one: nobody knows whether the provider has the request."""


class _Call:
    """One call under way."""

    def __init__(self, recheck: Recheck | None) -> None:
        self.recheck = recheck
        self.connected = False


_current: ContextVar[_Call | None] = ContextVar("current call", default=None)


class CheckedConnector(aiohttp.TCPConnector):
    """Calls the recheck of the task that asks for a connection, when it has it."""

    async def connect(self, req: ClientRequest, traces: list[Trace], timeout: ClientTimeout) -> Connection:
        call = _current.get()
        for _ in range(CONNECTIONS_LIMIT):
            connection = await super().connect(req, traces, timeout)
            if call is None:
                return connection
            try:
                if call.recheck is not None and _usable(connection):
                    await call.recheck()
            except BaseException:
                connection.release()  # nothing was written: another call may have it
                raise
            if _usable(connection):
                call.connected = True
                return connection
            connection.close()
        raise aiohttp.ClientConnectionError("connections were closed as soon as they were had")


def _usable(connection: Connection) -> bool:
    """Not closed, and no bytes have come unasked: they would be taken for the answer to what is written next."""
    protocol = connection.protocol
    return protocol is not None and protocol.is_connected() and not protocol.should_close


class Caller:
    """Makes calls from any number of tasks, between `open` and `close`.

    No redirects, proxies of the environment, cookies or compressed answers: a call goes where it was sent, once.
    """

    def __init__(self, call_timeout_s: float = CALL_TIMEOUT_S) -> None:
        # `connect` and not `sock_connect`, which leaves DNS out and begins anew with each address.
        self._timeout = aiohttp.ClientTimeout(total=call_timeout_s, connect=min(call_timeout_s, CONNECT_TIMEOUT_S))
        self._session: aiohttp.ClientSession | None = None

    def open(self) -> None:
        """On the loop that the calls are made on."""
        self._session = aiohttp.ClientSession(
            connector=CheckedConnector(limit=0, keepalive_timeout=KEEP_ALIVE_S),  # whoever calls keeps the limits
            timeout=self._timeout,
            trust_env=False,
            auto_decompress=False,
            cookie_jar=aiohttp.DummyCookieJar(),
            headers={"User-Agent": "sendguard", "Accept-Encoding": "identity"},
        )

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()

    async def call(self, call: HttpCall, recheck: Recheck | None = None) -> Answer:
        """The provider's answer. NotWritten (Unwritable), MaybeWritten, and what `recheck` raises."""
        if self._session is None:
            raise RuntimeError("the caller is not open")
        if any(map(_UNWRITABLE.search, call.headers.values())):
            raise Unwritable("a header holds what HTTP has no bytes for")
        current = _Call(recheck)
        token = _current.set(current)
        try:
            async with self._session.request(
                call.method, call.url, headers=call.headers, data=call.body or None, allow_redirects=False
            ) as response:
                headers = {name.lower(): value for name, value in response.headers.items()}
                return Answer(response.status, headers, await _bounded(response))
        except (aiohttp.InvalidURL, aiohttp.NonHttpUrlClientError) as error:
            raise Unwritable(_words(error)) from error
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            raise (MaybeWritten if current.connected else NotWritten)(_words(error)) from error
        except ValueError as error:  # the name of a host that DNS has no bytes for
            raise (MaybeWritten if current.connected else Unwritable)(_words(error)) from error
        finally:
            _current.reset(token)


def _words(error: Exception) -> str:
    """What is said of it in receipts and logs: not the library's text, which may show the URL and with it a secret."""
    said = error.strerror if isinstance(error, OSError) else None
    return f"{type(error).__name__}: {said}" if said else type(error).__name__


async def _bounded(response: aiohttp.ClientResponse) -> bytes:
    """The body; of a longer one its beginning. aiohttp gives up a connection that has not been read to the end."""
    parts: list[bytes] = []
    left = ANSWER_LIMIT_BYTES
    while left > 0 and (part := await response.content.read(left)):
        parts.append(part)
        left -= len(part)
    return b"".join(parts)
