"""Plays a campaign: writes its requests to Kafka at their time, and has happen outside what happens meanwhile."""

from __future__ import annotations

import asyncio
import json
from asyncio import Future
from collections import defaultdict
from typing import Any, assert_never

from gateway.clock import now_ms
from gateway.contract.contacts import contact_key
from gateway.contract.topics import Topics
from gateway.demo.outside import Outside, snapshot
from gateway.demo.setup import DemoError
from gateway.demo.steps import Campaign, Send, SendRaw, Signal, Switched
from gateway.streams.clients import Clients, close

TRACE_HEADER = ("traceparent", b"00-000000000000000000000000000000aa-00000000000000bb-01")
"""A header of the sender's own; it goes through unchanged."""

START_DEADLINE_S = 15.0
"""For the producer's first answer."""

ANSWER_DEADLINE_S = 30.0
"""For one acknowledgement; a healthy local broker takes milliseconds."""

IMPORT_DEADLINE_S = 30.0
"""For the contacts to be known to the API and their old flags to be in force; it takes a second or two."""

LOOK_S = 0.05
"""Between two looks whether they are."""


class Player:
    """`progress` is the part of the campaign that is over, 0 to 1."""

    def __init__(
        self, clients: Clients, topics: Topics, outside: Outside, campaign: Campaign, duration_s: float
    ) -> None:
        self._producer = clients.signal_producer()
        self._topics = topics
        self._outside = outside
        self._campaign = campaign
        self._duration_s = duration_s
        self._sent: list[Future[Any]] = []
        self._turns: dict[str, asyncio.Lock] = defaultdict(asyncio.Lock)
        """Of contacts, by id: what happens about one comes in the campaign's order."""
        self.progress = 0.0

    async def set_up(self) -> None:
        """Import the contacts, and what happened before; returns when all of it is in force. Then `play`, `close`."""
        async with asyncio.timeout(START_DEADLINE_S):
            await self._producer.start()
        for contact in self._campaign.contacts:
            value = json.dumps({**snapshot(contact, self._campaign.legacy), "updated_at": now_ms()}).encode()
            await self._write(self._topics.contacts, contact_key(contact.location.id, contact.id), value, [])
        await self._acknowledged()
        for signal in self._campaign.before:
            await self._outside.happen(signal)
        await self._imported()

    async def play(self) -> None:
        """Returns when Kafka has acknowledged every request, and the service has answered everything else."""
        loop = asyncio.get_running_loop()
        begun = loop.time()
        async with asyncio.TaskGroup() as group:
            for step in self._campaign.steps:
                self.progress = step.at
                await asyncio.sleep(max(0.0, begun + step.at * self._duration_s - loop.time()))
                if isinstance(step, Signal):
                    group.create_task(self._happen(step), name=f"signal {step.number}")
                else:
                    await self._send(step)
        await self._acknowledged()
        self.progress = 1.0

    async def close(self) -> None:
        await close(self._producer)

    async def _imported(self) -> None:
        """The old flags are in force, and what holds an address is seen at its contact: its addresses are known."""
        told = [signal.deed.contact for signal in self._campaign.before if not isinstance(signal.deed, Switched)]
        try:
            async with asyncio.timeout(IMPORT_DEADLINE_S):
                for contact in (*self._campaign.legacy, *told):
                    while (await self._outside.shows(contact))["status"] == "Off":  # noqa: ASYNC110 - over HTTP
                        await asyncio.sleep(LOOK_S)
        except TimeoutError:
            raise DemoError(f"the contacts were not imported within {IMPORT_DEADLINE_S:g} s") from None

    async def _happen(self, signal: Signal) -> None:
        async with self._turns[signal.deed.contact.id]:
            await self._outside.happen(signal)
            if signal.then is not None:
                await self._send(signal.then)

    async def _send(self, step: Send | SendRaw) -> None:
        requests = self._topics.requests
        match step:
            case Send():
                await self._write(requests, _key(step), _request(step, now_ms()), [TRACE_HEADER])
            case SendRaw():
                await self._write(requests, step.key, step.value, [])
            case _:
                assert_never(step)

    async def _write(
        self, topic: str, key: bytes | None, value: bytes | None, headers: list[tuple[str, bytes]]
    ) -> None:
        async with asyncio.timeout(ANSWER_DEADLINE_S):
            self._sent.append(await self._producer.send(topic, value, key, headers=headers))

    async def _acknowledged(self) -> None:
        async with asyncio.timeout(ANSWER_DEADLINE_S):
            await asyncio.gather(*self._sent)
        self._sent.clear()


def _key(step: Send) -> bytes:
    return str(step.body["contact_id"]).encode()


def _request(step: Send, now: int) -> bytes:
    times = {"created_at": now}
    if step.expires_in_ms is not None:
        times["not_after"] = now + step.expires_in_ms
    return json.dumps({**step.body, **times}, ensure_ascii=False).encode()
