"""The sandbox provider: in the place of Twilio, Mailgun and Meta, it writes down what it would have sent.

It reads the channel topics as every channel worker should, committed records only, and calls nobody. Dispatch to real
providers takes its place.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

from gateway.clock import now_ms
from gateway.contract.requests import channel_of, read_request
from gateway.contract.topics import Topics
from gateway.demo.audit import decision_id
from gateway.demo.calls import Call, CallLog, recipients
from gateway.streams.clients import Clients
from gateway.streams.tap import Tapped, tap

SHOWN_LIMIT = 20
"""Calls kept for the screen."""


class SandboxProvider:
    """Every channel's provider. `count` calls so far, the `latest` of them last."""

    def __init__(self, clients: Clients, topics: Topics, log: CallLog) -> None:
        self._clients = clients
        self._topics = topics
        self._log = log
        self.count = 0
        self.latest: deque[Call] = deque(maxlen=SHOWN_LIMIT)

    async def run(self) -> None:
        """Until cancelled. KafkaUnreachableError."""
        async with tap(self._clients, self._topics.outputs) as forwarded:
            while True:
                self._send(await forwarded.read())

    def _send(self, records: Sequence[Tapped]) -> None:
        calls = [_call(record, now_ms()) for record in records]
        self._log.append(calls)
        self.count += len(calls)
        self.latest.extend(calls)


def _call(record: Tapped, now: int) -> Call:
    """What the provider would be asked; the guard has checked the request, so nothing in it can be wrong."""
    request = read_request(record.value)
    return Call(
        decision_id=decision_id(record),
        location_id=request.location_id,
        contact_id=request.contact_id,
        channel=channel_of(request),
        to=recipients(request),
        text=request.body or request.subject or "",
        at=now,
    )
