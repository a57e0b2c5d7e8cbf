"""Plays a campaign: writes its requests and events to Kafka at their time."""

from __future__ import annotations

import asyncio
import dataclasses
import json
from asyncio import Future
from collections.abc import Sequence
from typing import Any, assert_never

from gateway.clock import now_ms
from gateway.contract.events import encode_event, event_key
from gateway.contract.topics import Topics
from gateway.demo.steps import Campaign, Send, SendRaw, Signal, Step
from gateway.dnd.model import Event, Lift, Place
from gateway.streams.clients import Clients, close

TRACE_HEADER = ("traceparent", b"00-000000000000000000000000000000aa-00000000000000bb-01")
"""A header of the sender's own; it goes through unchanged."""

START_DEADLINE_S = 15.0
"""For the producer's first answer."""

ANSWER_DEADLINE_S = 30.0
"""For one acknowledgement; a healthy local broker takes milliseconds."""


class Player:
    """`progress` is the part of the campaign that is over, 0 to 1."""

    def __init__(self, clients: Clients, topics: Topics, campaign: Campaign, duration_s: float) -> None:
        self._producer = clients.signal_producer()
        self._topics = topics
        self._campaign = campaign
        self._duration_s = duration_s
        self._sent: list[Future[Any]] = []
        self.progress = 0.0

    async def set_up(self) -> None:
        """Place what was held before; returns when Kafka has acknowledged it. Then `play`, then `close`."""
        async with asyncio.timeout(START_DEADLINE_S):
            await self._producer.start()
        await self._write_events(self._campaign.before)

    async def play(self) -> None:
        """Returns when Kafka has acknowledged every request and event."""
        loop = asyncio.get_running_loop()
        begun = loop.time()
        for step in self._campaign.steps:
            self.progress = step.at
            await asyncio.sleep(max(0.0, begun + step.at * self._duration_s - loop.time()))
            await self._take(step)
        await self._acknowledged()
        self.progress = 1.0

    async def close(self) -> None:
        await close(self._producer)

    async def _take(self, step: Step) -> None:
        match step:
            case Send():
                await self._send(_key(step), _request(step, now_ms()), [TRACE_HEADER])
            case SendRaw():
                await self._send(step.key, step.value, [])
            case Signal():
                await self._acknowledged()  # so that the log has the order of the campaign
                await self._write_events(step.events)
            case _:
                assert_never(step)

    async def _send(self, key: bytes | None, value: bytes | None, headers: list[tuple[str, bytes]]) -> None:
        async with asyncio.timeout(ANSWER_DEADLINE_S):
            self._sent.append(await self._producer.send(self._topics.requests, value, key, headers=headers))

    async def _acknowledged(self) -> None:
        async with asyncio.timeout(ANSWER_DEADLINE_S):
            await asyncio.gather(*self._sent)
        self._sent.clear()

    async def _write_events(self, events: Sequence[Event]) -> None:
        """One after another, each acknowledged before the next: no transaction, so each counts at once."""
        for event in events:
            now = now_ms()
            value, key = encode_event(_dated(event, now), now), event_key(event.subject)
            async with asyncio.timeout(ANSWER_DEADLINE_S):
                await self._producer.send_and_wait(self._topics.dnd_events, value, key)


def _key(step: Send) -> bytes:
    return str(step.body["contact_id"]).encode()


def _request(step: Send, now: int) -> bytes:
    times = {"created_at": now}
    if step.expires_in_ms is not None:
        times["not_after"] = now + step.expires_in_ms
    return json.dumps({**step.body, **times}, ensure_ascii=False).encode()


def _dated(event: Event, now: int) -> Event:
    """It happens now."""
    match event:
        case Place():
            return dataclasses.replace(event, at=now)
        case Lift():
            terms = tuple(dataclasses.replace(term, through=now) for term in event.terms)
            return dataclasses.replace(event, terms=terms)
        case _:
            assert_never(event)
