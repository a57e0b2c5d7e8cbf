"""Closing a Kafka client without waiting for a broker that does not answer (K23), and giving up its start.

aiokafka's own `stop()` flushes, leaves the group and waits for tasks that retry as long as their request time-out, and
it takes no deadline; cancelled half-way it leaves tasks and sockets behind. So it runs in a task of its own, and what
has not ended by the deadline is cut: sockets closed, pending batches failed, background tasks cancelled. Nothing is
lost by that: an acknowledged record is Kafka's, and an open transaction is ended by the next owner's fencing.
Calls in other tasks that wait for the client end with an error; one that is just connecting, by its own time-out.

A `start()` or `bootstrap()` that is cancelled forgets the connection over which it has just asked for the cluster's
brokers: nobody closes that any more. So it runs in a task of its own too (`start`), and gets a moment to end by itself.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.client import AIOKafkaClient
from aiokafka.conn import CloseReason
from aiokafka.errors import ProducerClosed

log = logging.getLogger(__name__)

CLOSE_DEADLINE_S = 3.0
"""A healthy client closes in milliseconds; three seconds is one slow broker."""

CUTS = 3
"""How often the remains are cut: a task cancelled once may first finish, or connect, for the sake of another."""

CUT_GRACE_S = 0.5
"""How long what was cut gets to end."""

GIVEN_UP_START_S = 1.0
"""What a start that nobody waits for any more gets to end: a broker answers in milliseconds, and whoever gave it up
may hold up a rebalance."""

Client = AIOKafkaConsumer | AIOKafkaProducer | AIOKafkaAdminClient | AIOKafkaClient


async def close(client: Client, timeout: float = CLOSE_DEADLINE_S) -> None:
    """Close any client of ours within `timeout` seconds plus CUTS * CUT_GRACE_S. Its own errors are not raised."""
    kind = type(client).__name__
    stopping = asyncio.create_task(_stop(client), name=f"close {kind}")
    try:
        await asyncio.wait({stopping}, timeout=timeout)
        for _ in range(CUTS):
            if not (remains := _cut(client, stopping)):
                break
            await asyncio.wait(remains, timeout=CUT_GRACE_S)
    finally:
        _cut(client, stopping)  # also when we are cancelled ourselves: no task and no socket outlives this call
        if isinstance(client, AIOKafkaProducer):
            _failures_seen(client)
    if not stopping.done():
        log.warning("%s did not close within %g s and was abandoned", kind, timeout)
    elif not stopping.cancelled() and (error := stopping.exception()) is not None:
        log.info("%s ended with %r while it was closed", kind, error)


async def start(*clients: Client) -> None:
    """Start them all at once. Given up (cancelled, a deadline), this takes at most GIVEN_UP_START_S longer; when one
    fails, it waits for the others. `close` every one of them then. The first error of theirs.
    """
    starting = [asyncio.create_task(_start(client), name=f"start {type(client).__name__}") for client in clients]
    for each in starting:
        each.add_done_callback(_outcome_seen)
    try:
        await asyncio.wait(starting)
    except asyncio.CancelledError:
        await asyncio.wait(starting, timeout=GIVEN_UP_START_S)
        raise
    finally:
        for each in starting:
            each.cancel()
    for each in starting:
        each.result()


async def _start(client: Client) -> None:
    begin: Callable[[], Awaitable[None]] = client.bootstrap if isinstance(client, AIOKafkaClient) else client.start
    await begin()


async def _stop(client: Client) -> None:
    match client:
        case AIOKafkaConsumer():
            await client.stop()
        case AIOKafkaProducer():
            await client.stop()
        case AIOKafkaAdminClient():
            await client.close()
        case AIOKafkaClient():
            await client.close()


def _connections(client: Client) -> AIOKafkaClient:
    if isinstance(client, AIOKafkaClient):
        return client
    return client.client if isinstance(client, AIOKafkaProducer) else client._client


def _tasks(client: Client) -> Iterator[asyncio.Task[Any]]:
    """The background tasks aiokafka 0.14 starts; it has no list of them itself."""
    owners: list[tuple[object, tuple[str, ...]]] = [(_connections(client), ("_sync_task",))]
    if isinstance(client, AIOKafkaProducer):
        owners.append((client._sender, ("_sender_task",)))
    elif isinstance(client, AIOKafkaConsumer):
        coordination = ("_coordination_task", "_heartbeat_task", "_commit_refresh_task", "_reset_committed_task")
        owners += [(client._fetcher, ("_fetch_task",)), (client._coordinator, coordination)]
    for owner, names in owners:
        for name in names:
            task = getattr(owner, name, None)
            if isinstance(task, asyncio.Task):
                yield task


def _cut(client: Client, stopping: asyncio.Task[None]) -> set[asyncio.Task[Any]]:
    """Cancel and close whatever is left; the tasks that have not ended yet."""
    remains: set[asyncio.Task[Any]] = {task for task in (stopping, *_tasks(client)) if not task.done()}
    if remains and isinstance(client, AIOKafkaProducer):
        _fail_calls(client)
    for task in remains:
        task.add_done_callback(_outcome_seen)
        task.cancel()
    for connection in list(_connections(client)._conns.values()):
        connection.close(reason=CloseReason.SHUTDOWN)
    return remains


def _fail_calls(producer: AIOKafkaProducer) -> None:
    """End what waits for the producer: its flush, sends, and a commit. None of them can be answered any more."""
    closed = ProducerClosed()
    sender = producer._sender
    if sender.sender_task is not None:
        # It would do the same, but fails itself for a producer without transactions.
        sender.sender_task.remove_done_callback(sender._fail_all)
    producer._message_accumulator.fail_all(closed)
    manager = producer._txn_manager
    waiting = (
        [] if manager is None else [manager._transaction_waiter, *(end for *_, end in manager._pending_txn_offsets)]
    )
    for future in waiting:
        if future is not None and not future.done():
            future.set_exception(closed)
            future.exception()  # seen: somebody may wait for it, or nobody


def _failures_seen(producer: AIOKafkaProducer) -> None:
    """Whoever used the producer has heard of its failure; aiokafka leaves it in futures that nobody asks any more."""
    batches = [batch for waiting in producer._message_accumulator._batches.values() for batch in waiting]
    left = [batch._drain_waiter for batch in batches]
    if producer._txn_manager is not None:
        left.append(producer._txn_manager._transaction_waiter)
    for future in left:
        if future is not None and future.done() and not future.cancelled():
            future.exception()


def _outcome_seen(task: asyncio.Task[Any]) -> None:
    """What a task of a client that is thrown away ended with means nothing; asyncio would log it as never retrieved."""
    if not task.cancelled():
        task.exception()
