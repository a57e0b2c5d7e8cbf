"""A provider on a socket: what it does with a connection is up to the test, byte by byte."""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from consumers.dispatch.connecting import CALL_TIMEOUT_S, Caller

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


@dataclass
class Connection:
    """One that was accepted."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    def reset(self) -> None:
        """RST instead of FIN."""
        raw: socket.socket = self.writer.get_extra_info("socket")
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.writer.transport.abort()


Answering = Callable[[Connection], Awaitable[None]]


async def answers_ok(connection: Connection) -> None:
    connection.writer.write(OK)


def answers(*parts: bytes) -> Answering:
    async def write(connection: Connection) -> None:
        connection.writer.write(b"".join(parts))

    return write


def answers_and_closes(*parts: bytes) -> Answering:
    async def write(connection: Connection) -> None:
        connection.writer.write(b"".join(parts))
        connection.writer.close()

    return write


async def resets(connection: Connection) -> None:
    connection.reset()


async def says_nothing(connection: Connection) -> None:
    await connection.reader.read()


@dataclass
class Provider:
    """`requests` are whole, in the order in which they came; `on_connection` runs before anything is read."""

    port: int = 0
    answering: Answering = answers_ok
    on_connection: Answering | None = None
    connections: list[Connection] = field(default_factory=list)
    requests: list[bytes] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/messages"

    async def accepted(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connection = Connection(reader, writer)
        self.connections.append(connection)
        try:
            if self.on_connection is not None:
                await self.on_connection(connection)
            while (request := await _request(reader)) is not None:
                self.requests.append(request)
                await self.answering(connection)
        except ConnectionError:
            return  # the client has had enough
        finally:
            writer.close()


async def _request(reader: asyncio.StreamReader) -> bytes | None:
    try:
        head = await reader.readuntil(b"\r\n\r\n")
    except asyncio.IncompleteReadError:
        return None
    length = next((int(line[15:]) for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")), 0)
    return head + await reader.readexactly(length)


@asynccontextmanager
async def listening(
    answering: Answering = answers_ok, on_connection: Answering | None = None
) -> AsyncIterator[Provider]:
    provider = Provider(answering=answering, on_connection=on_connection)
    server = await asyncio.start_server(provider.accepted, "127.0.0.1", 0)
    provider.port = server.sockets[0].getsockname()[1]
    try:
        yield provider
    finally:
        server.close()
        for connection in provider.connections:
            connection.writer.transport.abort()
        await server.wait_closed()


@asynccontextmanager
async def calling(call_timeout_s: float = CALL_TIMEOUT_S) -> AsyncIterator[Caller]:
    caller = Caller(call_timeout_s)
    caller.open()
    try:
        yield caller
    finally:
        await caller.close()
