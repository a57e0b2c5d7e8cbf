"""Sends requests, holds and lifts at a steady rate through outages, and keeps an exact log of what it knows.

Theory of operation. One thread does everything: it hands records to the two clients (one for requests, one for events)
and serves their acknowledgements, so that "acknowledged before it was sent" is a matter of one counter, `step`.
The clients retry by themselves, idempotently and for minutes. What fails after all may or may not be in its topic, and
is noted as of unknown fate. The person of such an event is left alone from then on.

People are of three kinds: never held; held once, for ever; held and freed again and again. As soon as an event is
acknowledged a request to the same person follows: it is the one that a stale guard would decide wrongly.
"""

from __future__ import annotations

import itertools
import json
import random
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

from tests.faults.history import REQUEST_ID, Action, Expected, Sent, SentEvent, SentRequest, Subject
from tests.faults.people import CHANNELS, People, Person, broken_value, request_value
from tests.faults.sending import Sending

DELIVERY_MS = 240_000
"""Longer than any outage of a test: nothing is given up."""

WAITING_RECORDS = 1_000_000
"""More than wait in the longest outage."""

FLUSH_S = 120.0
TICK_S = 0.005
"""Records are handed over in portions of so much time."""

BIG_BYTES = 100_000
"""Of a request that is too large for its output topic, where the test has made that small; does not compress well."""

BIG_CHANNELS = ("SMS", "Email")
"""Those whose topics the test makes small."""


@dataclass(frozen=True, slots=True)
class Load:
    """Per second, while it runs. `invalid` is a part of the requests.

    One request in `big_every`, beginning with the first, is too large where the test has made the output small; every
    second of those is to somebody who is never held, so that it cannot be dropped. 0 = none.
    """

    requests: float = 120.0
    events: float = 25.0
    people: int = 200
    invalid: float = 0.03
    big_every: int = 0


class Driver:
    """`start`, then `pause_events`, `resume_events` as wanted, then `finish`. `close` in any case."""

    def __init__(
        self, bootstrap: str, prefix: str, load: Load, seed: int, given: Mapping[str, str | int | bool] | None = None
    ) -> None:
        """`given`: more options of the client that sends the requests."""
        self.sent = Sent()
        self.produced = 0
        """Requests handed over so far."""
        self._load = load
        self._rng = random.Random(seed)
        self._people = People(load.people, self._rng)
        self._requests_topic = f"{prefix}outbound.requests"
        self._events_topic = f"{prefix}dnd.events"
        common = {"message.timeout.ms": DELIVERY_MS, "queue.buffering.max.messages": WAITING_RECORDS}
        requests = {**common, "linger.ms": 2, "compression.type": "lz4", **(given or {})}
        self._requests = Sending(bootstrap, requests)
        self._events = Sending(bootstrap, {**common, "linger.ms": 0})
        self._steps = itertools.count(1)
        self._hot: list[Person] = []
        self._stopping = threading.Event()
        self._events_allowed = threading.Event()
        self._events_allowed.set()
        self._events_paused = False
        self._events_in_flight = 0
        self._thread = ThreadPoolExecutor(1, "driver")
        self._running: Future[None] | None = None

    def start(self) -> None:
        self._running = self._thread.submit(self._run)

    def pause_events(self) -> None:
        """Returns when every event sent so far is acknowledged or given up."""
        self._events_allowed.clear()
        self.wait(lambda: self._events_paused and self._events_in_flight == 0)

    def resume_events(self) -> None:
        self._events_paused = False
        self._events_allowed.set()

    def wait(self, condition: Callable[[], bool], patience_s: float = FLUSH_S) -> None:
        """Until the condition holds, while it goes on sending."""
        deadline = time.monotonic() + patience_s
        while not condition():
            if self._running is not None and self._running.done():
                self._running.result()
            if time.monotonic() > deadline:
                raise AssertionError(f"the driver did not get there; {self.produced} requests sent")
            time.sleep(TICK_S)

    def wait_produced(self, more: int) -> None:
        """Until so many more requests were handed over: a moment in time that needs no clock."""
        until = self.produced + more
        self.wait(lambda: self.produced >= until)

    @property
    def replaced(self) -> int:
        """Clients that broke for good, and had to be replaced."""
        return self._requests.replaced + self._events.replaced

    def finish(self) -> Sent:
        """Stop, and wait until the fate of every record is known, or known to be unknown."""
        self.close()
        if self._running is not None:
            self._running.result()
        left = self._requests.flush(FLUSH_S) + self._events.flush(FLUSH_S)
        if left:
            raise AssertionError(f"of {left} records nothing was ever heard")
        return self.sent

    def close(self) -> None:
        self._stopping.set()
        self._thread.shutdown()

    def _run(self) -> None:
        began = time.monotonic()
        events = 0.0
        while not self._stopping.is_set():
            elapsed = time.monotonic() - began
            while self.produced < elapsed * self._load.requests and not self._stopping.is_set():
                self._send_request(self._hot.pop() if self._hot else self._people.any())
            self._events_paused = not self._events_allowed.is_set()
            if self._events_paused:
                events = elapsed * self._load.events
            while events < elapsed * self._load.events:
                events += 1
                self._send_event()
            self._events.poll(0)
            self._requests.poll(TICK_S)

    def _send_request(self, person: Person) -> None:
        request_id, every = f"r{self.produced}", self._load.big_every
        big = every > 0 and self.produced % every == 0
        if big and self.produced // every % 2 == 0:
            person = self._people.never_held()
        channel = person.hot_channel or self._rng.choice(BIG_CHANNELS if big else CHANNELS)
        person.hot_channel = None
        big = big and channel in BIG_CHANNELS
        subjects: tuple[Subject, ...] = ()
        value: bytes | None
        if not big and self._rng.random() < self._load.invalid:
            expected, value = Expected.INVALID, broken_value(self._rng, request_id, person)
        else:
            expected = Expected.UNWRITABLE if big else Expected.VALID
            body = self._rng.randbytes(BIG_BYTES // 2).hex() if big else "Hello, your appointment is tomorrow"
            subjects, value = person.subjects(channel), request_value(request_id, person, channel, body)

        def told(unknown: str | None) -> None:
            if unknown is None:
                self.sent.requests_acknowledged[request_id] = next(self._steps)
            else:
                self.sent.requests_unknown[request_id] = unknown

        headers: list[tuple[str, str | bytes | None]] = [(REQUEST_ID, request_id.encode())]
        if self._rng.random() < 0.5:
            headers.append(("trace", self._rng.randbytes(8)))
        self.sent.requests[request_id] = SentRequest(request_id, expected, channel, subjects, next(self._steps))
        self.produced += 1
        key = None if self._rng.random() < 0.1 else person.contact.id.encode()
        self._requests.send(self._requests_topic, value, key, headers, told)

    def _send_event(self) -> None:
        person = self._people.to_change()
        if person is None:
            return
        event = person.next_event(len(self.sent.events), next(self._steps), self._rng)
        self.sent.events[event.event_id] = event

        def told(unknown: str | None) -> None:
            self._events_in_flight -= 1
            if unknown is None:
                self.sent.events_acknowledged[event.event_id] = next(self._steps)
                person.changed(event)
                self._hot.append(person)
            else:
                self.sent.events_unknown[event.event_id] = unknown

        self._events_in_flight += 1
        self._events.send(self._events_topic, event_value(event), event_key(event), (), told)


def event_key(event: SentEvent) -> bytes:
    return json.dumps(event.subject, separators=(",", ":"), ensure_ascii=False).encode()


def event_value(event: SentEvent) -> bytes:
    """As in the contract."""
    value: dict[str, object] = {"v": 1, "event_id": event.event_id, "type": event.action, "subject": event.subject}
    if event.action is Action.PLACE:
        value |= {"channels": [event.scope], "causes": [event.cause], "at": event.time}
    else:
        value["lifts"] = [{"channel": event.scope, "cause": event.cause, "through": event.time}]
    value |= {"recorded_at": event.time, "actor": {"kind": "user", "id": "u1"}, "evidence": {}}
    return json.dumps(value, separators=(",", ":")).encode()
