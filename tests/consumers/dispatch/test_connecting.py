"""Calls to providers on real sockets: when the recheck runs, and what is known of a call that got no answer."""

from __future__ import annotations

import asyncio
import socket
from dataclasses import dataclass, field

import pytest
from aiohttp.client_proto import ResponseHandler

from consumers.dispatch import connecting as module
from consumers.dispatch.connecting import ANSWER_LIMIT_BYTES, Caller, MaybeWritten, NotWritten, Unwritable
from gateway.providers.sending import Answer, HttpCall
from tests.consumers.dispatch.wire import (
    OK,
    Answering,
    Connection,
    answers,
    answers_and_closes,
    calling,
    listening,
    resets,
    says_nothing,
)
from tests.kafka.outside import until

SOON_S = 0.3
"""A time-out that is to pass."""


def post(url: str, body: bytes = b"To=1", **headers: str) -> HttpCall:
    return HttpCall("POST", url, {"Content-Type": "text/plain", **headers}, body)


class Held(Exception):  # noqa: N818 - what a recheck may say
    """The recipient has opted out meanwhile."""


@dataclass
class Recheck:
    """Waits until it is let go, then says what it is told to."""

    says: Exception | None = None
    waits: bool = False
    begun: int = 0
    go: asyncio.Event = field(default_factory=asyncio.Event)

    async def __call__(self) -> None:
        self.begun += 1
        if self.waits:
            await self.go.wait()
        if self.says is not None:
            raise self.says


@dataclass
class SlowNames:
    """DNS that answers when it is let."""

    go: asyncio.Event = field(default_factory=asyncio.Event)
    asked: int = 0

    async def getaddrinfo(self, host: str, port: int, **_: object) -> list[object]:
        self.asked += 1
        await self.go.wait()
        return [(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP, "", ("127.0.0.1", port))]


@pytest.fixture
async def slow_names(monkeypatch: pytest.MonkeyPatch) -> SlowNames:
    names = SlowNames()
    monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", names.getaddrinfo)
    return names


async def outcome(caller: Caller, call: HttpCall, recheck: Recheck | None = None) -> type[Exception] | int:
    """The kind of what came of it, or the answer's status."""
    try:
        return (await caller.call(call, recheck)).status
    except (NotWritten, MaybeWritten, Held) as error:
        return type(error)


# When the recheck runs


async def test_the_recheck_runs_once_the_connection_is_had_however_long_that_takes(slow_names: SlowNames) -> None:
    recheck = Recheck(waits=True)
    async with listening() as provider, calling() as caller, asyncio.TaskGroup() as group:
        url = f"http://provider.test:{provider.port}/"
        call = group.create_task(caller.call(post(url), recheck), name="call")
        await until(lambda: slow_names.asked)
        assert recheck.begun == 0
        slow_names.go.set()
        await until(lambda: recheck.begun)
        assert (len(provider.connections), provider.requests) == (1, [])
        recheck.go.set()
        assert (await call).status == 200
        assert len(provider.requests) == 1


async def test_the_recheck_runs_for_a_connection_from_the_pool_too() -> None:
    async with listening() as provider, calling() as caller, asyncio.TaskGroup() as group:
        await caller.call(post(provider.url))
        recheck = Recheck(waits=True)
        call = group.create_task(caller.call(post(provider.url), recheck), name="call")
        await until(lambda: recheck.begun)
        assert len(provider.requests) == 1
        recheck.go.set()
        assert (await call).body == b"ok"
        assert (len(provider.connections), len(provider.requests), recheck.begun) == (1, 2, 1)


async def test_calls_at_the_same_time_are_each_rechecked_by_their_own() -> None:
    async with listening() as provider, calling() as caller:
        rechecks = [Recheck(Held() if number % 2 else None) for number in range(20)]
        calls = [outcome(caller, post(provider.url, b"%d" % number), each) for number, each in enumerate(rechecks)]
        assert await asyncio.gather(*calls) == [200, Held] * 10
        assert [recheck.begun for recheck in rechecks] == [1] * 20
        assert sorted(int(request.rpartition(b"\r\n\r\n")[2]) for request in provider.requests) == [*range(0, 20, 2)]


@pytest.mark.parametrize("pooled", [False, True])
async def test_a_recheck_that_raises_writes_nothing_and_leaves_the_connection_usable(*, pooled: bool) -> None:
    """R22."""
    async with listening() as provider, calling() as caller:
        if pooled:
            await caller.call(post(provider.url))
        with pytest.raises(Held):
            await caller.call(post(provider.url, b"to one who is held"), Recheck(Held()))
        assert await outcome(caller, post(provider.url, b"to another"), Recheck()) == 200
        assert len(provider.connections) == 1
        assert not any(b"held" in request for request in provider.requests)


async def test_a_call_that_is_cancelled_in_its_recheck_writes_nothing_and_leaves_the_connection_usable() -> None:
    recheck = Recheck(waits=True)
    async with listening() as provider, calling() as caller:
        call = asyncio.create_task(caller.call(post(provider.url), recheck), name="call")
        await until(lambda: recheck.begun)
        call.cancel()
        await asyncio.wait([call])
        assert call.cancelled()
        assert await outcome(caller, post(provider.url)) == 200
        assert (len(provider.connections), len(provider.requests)) == (1, 1)


async def test_a_connection_that_closes_during_the_recheck_is_replaced_and_the_next_one_rechecked() -> None:
    async with listening() as provider, calling() as caller, asyncio.TaskGroup() as group:
        await caller.call(post(provider.url))
        recheck = Recheck(waits=True)
        call = group.create_task(caller.call(post(provider.url), recheck), name="call")
        await until(lambda: recheck.begun)
        provider.connections[0].writer.close()
        await until(lambda: closed_connections(caller))
        recheck.go.set()
        assert (await call).status == 200
        assert (len(provider.connections), len(provider.requests), recheck.begun) == (2, 2, 2)


async def test_connections_that_all_close_during_the_recheck_end_the_call_unwritten() -> None:
    async def closes(connection: Connection) -> None:
        connection.writer.close()

    class UntilItCloses(Recheck):
        async def __call__(self) -> None:
            await super().__call__()
            await until(lambda: closed_connections(caller))

    async with listening(on_connection=closes) as provider, calling() as caller:
        recheck = UntilItCloses()
        assert await outcome(caller, post(provider.url), recheck) is NotWritten
        assert provider.requests == []
        assert recheck.begun <= module.CONNECTIONS_LIMIT


def connections(caller: Caller) -> list[ResponseHandler]:
    """Those that the caller still has."""
    connector = caller._session.connector if caller._session else None
    assert connector is not None
    pooled = [protocol for waiting in connector._conns.values() for protocol, _ in waiting]
    return [*pooled, *connector._acquired]


def closed_connections(caller: Caller) -> int:
    """How many of them it knows to be closed."""
    return sum(not protocol.is_connected() for protocol in connections(caller))


# What is known of a call without an answer


async def test_a_refused_connection_is_not_written() -> None:
    async with listening() as provider:
        url = provider.url
    async with calling() as caller:
        recheck = Recheck()
        assert await outcome(caller, post(url), recheck) is NotWritten
        assert recheck.begun == 0


async def test_a_name_that_is_not_answered_for_is_not_written(
    slow_names: SlowNames, monkeypatch: pytest.MonkeyPatch
) -> None:
    """DNS counts as connecting: it does not take the time of a whole call."""
    monkeypatch.setattr(module, "CONNECT_TIMEOUT_S", SOON_S)
    async with calling() as caller, asyncio.timeout(module.CALL_TIMEOUT_S / 2):
        assert await outcome(caller, post("http://provider.test/")) is NotWritten
    slow_names.go.set()


HALF_A_HEAD = b"HTTP/1.1 201 Created\r\nContent-Le"
HALF_A_BODY = b"HTTP/1.1 201 Created\r\nContent-Length: 100\r\n\r\n{"
HALF_A_CHUNK = b"HTTP/1.1 201 Created\r\nTransfer-Encoding: chunked\r\n\r\n10\r\n{"


@pytest.mark.parametrize(
    "answering",
    [
        pytest.param(resets, id="reset"),
        pytest.param(answers_and_closes(), id="closed"),
        pytest.param(says_nothing, id="time-out"),
        pytest.param(answers_and_closes(HALF_A_HEAD), id="half a head"),
        pytest.param(answers_and_closes(HALF_A_BODY), id="half a body"),
        pytest.param(answers_and_closes(HALF_A_CHUNK), id="half a chunk"),
        pytest.param(answers(HALF_A_BODY), id="half a body, then time-out"),
        pytest.param(answers_and_closes(b"220 smtp.example.com ESMTP\r\n\r\n"), id="no HTTP"),
        pytest.param(answers_and_closes(b"HTTP/1.1 200 OK\r\nA: " + b"a" * 99_999 + b"\r\n\r\n"), id="endless head"),
    ],
)
async def test_a_request_without_a_whole_answer_may_have_been_written_and_is_written_once(answering: Answering) -> None:
    """On a new connection and on one from the pool."""
    async with listening() as provider, calling(SOON_S) as caller:
        for number in (1, 2):
            provider.answering = answering
            assert await outcome(caller, post(provider.url)) is MaybeWritten
            assert len(provider.requests) == number
            provider.answering = answers(OK)
            assert await outcome(caller, post(provider.url)) == 200
            provider.requests.pop()


async def test_a_connection_that_is_reset_before_it_is_asked_for_costs_nothing() -> None:
    async with listening() as provider, calling() as caller:
        await caller.call(post(provider.url))
        provider.connections[0].reset()
        await until(lambda: closed_connections(caller))
        assert await outcome(caller, post(provider.url)) == 200
        assert (len(provider.connections), len(provider.requests)) == (2, 2)


@pytest.mark.parametrize(
    "call",
    [
        pytest.param(post("http://127.0.0.1/", key="1\r\nX: 2"), id="two headers in one"),
        pytest.param(post("http://127.0.0.1/", key="\ud800"), id="no text"),
        pytest.param(post("http:///"), id="no host"),
        pytest.param(post("mailto:a@example.com"), id="no HTTP"),
        pytest.param(post(f"http://{'a' * 64}.example/"), id="no name"),
    ],
)
async def test_what_http_has_no_words_for_is_unwritable(call: HttpCall) -> None:
    async with calling() as caller:
        assert await outcome(caller, call) is Unwritable


# What goes out, and what comes in


async def test_the_call_goes_out_as_the_adapter_made_it() -> None:
    async with listening() as provider, calling() as caller:
        await caller.call(post(provider.url + "?a=b%26c", b"To=%2B1", Authorization="Basic x"))
        await caller.call(HttpCall("GET", provider.url, {}))
    head, _, body = provider.requests[0].partition(b"\r\n\r\n")
    lines = head.split(b"\r\n")
    assert lines[0] == b"POST /messages?a=b%26c HTTP/1.1"
    assert {b"Content-Type: text/plain", b"Authorization: Basic x", b"User-Agent: sendguard"} <= set(lines)
    assert body == b"To=%2B1"
    assert provider.requests[1].startswith(b"GET /messages HTTP/1.1\r\n")


async def test_a_redirect_is_an_answer_and_is_not_followed() -> None:
    async with listening(answers(b"HTTP/1.1 307 Go\r\nLocation: /elsewhere\r\nContent-Length: 0\r\n\r\n")) as provider:
        async with calling() as caller:
            assert await caller.call(post(provider.url)) == Answer(
                307, {"location": "/elsewhere", "content-length": "0"}, b""
            )
        assert len(provider.requests) == 1


async def test_cookies_are_not_kept(slow_names: SlowNames) -> None:
    slow_names.go.set()
    cookie = b"HTTP/1.1 200 OK\r\nSet-Cookie: a=b\r\nContent-Length: 0\r\n\r\n"
    async with listening(answers(cookie)) as provider, calling() as caller:
        for _ in range(2):
            await caller.call(post(f"http://provider.test:{provider.port}/"))
        assert len(provider.requests) == 2
        assert not any(b"cookie" in request.lower() for request in provider.requests)


async def test_a_proxy_of_the_environment_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    async with listening() as proxy, listening() as provider, calling() as caller:
        monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{proxy.port}")
        assert await outcome(caller, post(provider.url)) == 200
        assert proxy.connections == []


def whole(size: int) -> Answering:
    return answers(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % size, b"x" * size)


async def without_end(connection: Connection) -> None:
    connection.writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
    while True:
        connection.writer.write(b"x" * 65_536)
        await connection.writer.drain()


@pytest.mark.parametrize(
    ("answering", "kept", "connections"),
    [
        pytest.param(whole(ANSWER_LIMIT_BYTES - 1), ANSWER_LIMIT_BYTES - 1, 1, id="below"),
        pytest.param(whole(10_000_000), ANSWER_LIMIT_BYTES, 2, id="large"),
        pytest.param(without_end, ANSWER_LIMIT_BYTES, 2, id="without end"),
    ],
)
async def test_of_a_large_answer_only_the_beginning_is_read(answering: Answering, kept: int, connections: int) -> None:
    """And its connection is given up."""
    async with listening(answering) as provider, calling() as caller:
        assert len((await caller.call(post(provider.url))).body) == kept
        provider.answering = answers(OK)
        assert (await caller.call(post(provider.url))).body == b"ok"
        assert len(provider.connections) == connections


async def test_what_comes_unasked_is_not_taken_for_the_next_answer() -> None:
    """Else every answer would count for the message before. Some servers say 408 on a connection that is idle."""
    async with listening() as provider, calling() as caller:
        await caller.call(post(provider.url))
        provider.connections[0].writer.write(b"HTTP/1.1 408 Request Timeout\r\nContent-Length: 0\r\n\r\n")
        await until(lambda: any(protocol.should_close for protocol in connections(caller)))
        assert (await caller.call(post(provider.url))).body == b"ok"
        assert (len(provider.connections), len(provider.requests)) == (2, 2)


@pytest.mark.parametrize("answering", [resets, says_nothing, answers_and_closes(b"no HTTP\r\n\r\n")])
async def test_the_address_of_a_call_is_not_in_what_is_said_of_its_failure(
    answering: Answering, slow_names: SlowNames, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It may hold a secret, and what is said goes into receipts and logs."""
    monkeypatch.setattr(module, "CONNECT_TIMEOUT_S", SOON_S)
    async with listening(answering) as provider, calling(SOON_S) as caller:
        for url in (provider.url, "http://provider.test/", "http://127.0.0.1:1/", "mailto:a@example.com", "http:///"):
            with pytest.raises((NotWritten, MaybeWritten)) as raised:
                await caller.call(post(f"{url}?token=secret"))
            assert "secret" not in str(raised.value)
            assert str(raised.value)
    slow_names.go.set()
