"""Topics of one test and what they hold at the end: the common ground of the scenarios and of the smaller proofs."""

from __future__ import annotations

import asyncio
import itertools
import json
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from confluent_kafka import KafkaError, Message, Producer

from gateway.localkafka import LocalKafka
from gateway.settings import Settings
from gateway.streams import topics as topic_admin
from tests.faults.admin import Admin
from tests.faults.checker import Report, check
from tests.faults.driver import event_key, event_value
from tests.faults.history import REQUEST_ID, Action, Expected, History, Record, Sent, SentEvent, SentRequest, Subject
from tests.faults.people import CHANNELS
from tests.faults.reading import Tail, end_offsets, read_topics, wait_answering
from tests.faults.sending import sending_options

DECIDED_S = 60.0
"""For all requests of a small proof to be decided."""

ACKNOWLEDGED_S = 60.0

REQUESTS = 40
"""In one batch of a small proof."""

AT = 1_763_900_000_000
"""When the first hold was placed (ms); each later one is a millisecond later."""


class Stage:
    """Topics of its own on a running Kafka. `open` and `close` them; `settings` are those of a guard on them."""

    def __init__(self, kafka: LocalKafka, name: str, directory: Path, **settings: object) -> None:
        self.bootstrap = kafka.bootstrap_servers
        self.prefix = f"{name}."
        self.admin = Admin(self.bootstrap)
        self._replicas = len(kafka.brokers)
        self.settings = Settings.of(
            **{
                "kafka_bootstrap_servers": self.bootstrap,
                "topic_prefix": self.prefix,
                "replication_factor": len(kafka.brokers),
                "data_dir": directory / "data",
                "instance_id": "tester",
                "request_partitions": 1,
                "event_partitions": 1,
                "other_partitions": 1,
                "barrier_deadline_ms": 5_000,  # a busy machine is no fault
            }
            | settings
        )
        self.sent = Sent()
        self._steps = itertools.count(1)

    def open(self) -> None:
        """Create the topics, and wait until an independent client can work with each partition's leader."""
        report = asyncio.run(topic_admin.apply(self.settings))
        assert not report.differences, report.differences
        self.admin.wait_in_sync(self._replicas)
        wait_answering(self.bootstrap, [self.topic(name) for name in names()])

    def close(self) -> None:
        self.admin.delete_topics([self.prefix + name for name in names()])

    def topic(self, name: str) -> str:
        return self.prefix + name

    def request_ends(self) -> dict[int, int]:
        """Behind the last request, by partition."""
        return self.ends("outbound.requests")

    def ends(self, name: str) -> dict[int, int]:
        """High watermarks of a topic by partition: open transactions and markers count."""
        return end_offsets(self.bootstrap, self.topic(name))

    def wait_all_decided(self) -> None:
        ends = self.request_ends()
        tail = Tail(self.bootstrap, self.topic("outbound.decisions"))
        try:
            tail.wait(lambda: all(tail.through[number] >= end for number, end in ends.items()), DECIDED_S)
        finally:
            tail.close()

    def history(self, sent: Sent | None = None, deleted: Sequence[Record] = (), lost: Sequence[Record] = ()) -> History:
        """What the topics hold. `deleted` requests and `lost` events were read before they were deleted."""
        found = read_topics(self.bootstrap, [self.topic(name) for name in names()])
        requests = {str(record): record for record in [*deleted, *found[self.topic("outbound.requests")]]}
        return History(
            self.sent if sent is None else sent,
            list(requests.values()),
            found[self.topic("outbound.decisions")],
            {channel: found[self.topic(output(channel))] for channel in CHANNELS},
            found[self.topic("outbound.dead")],
            [*lost, *found[self.topic("dnd.events")]],
        )

    def read(self, name: str) -> list[Record]:
        """Everything committed in one topic."""
        topic = self.topic(name)
        return read_topics(self.bootstrap, [topic])[topic]

    def create_anew(self, name: str) -> None:
        """Delete a topic and create it again, as the contract says."""
        self.admin.delete_topics([self.topic(name)])
        asyncio.run(topic_admin.apply(self.settings))

    def sender(self) -> Sender:
        return Sender(self.bootstrap, self.prefix, self.sent, self._steps)


def output(channel: str) -> str:
    return f"outbound.{channel.lower()}"


def names() -> list[str]:
    """Topics the checker reads."""
    return [
        "outbound.requests",
        "outbound.decisions",
        "outbound.dead",
        "dnd.events",
        *[output(channel) for channel in CHANNELS],
    ]


def contacts(start: int = 0) -> list[str]:
    return [f"c{number}" for number in range(start, start + REQUESTS)]


def judged(stage: Stage) -> Report:
    report = check(stage.history())
    print(report)
    return report


class Sender:
    """Sends SMS requests and holds one by one or in order, each acknowledged before the call returns, and logs them."""

    def __init__(self, bootstrap: str, prefix: str, sent: Sent, steps: Iterable[int]) -> None:
        common = {**sending_options(bootstrap), "linger.ms": 0}
        self._events = Producer(common)
        self._requests = Producer(common)
        self._prefix = prefix
        self._sent = sent
        self._steps = iter(steps)

    def hold(self, *contacts: str) -> None:
        for contact in contacts:
            number = len(self._sent.events)
            subject = Subject("loc1", "contact", contact)
            event = SentEvent(f"e{number}", Action.PLACE, subject, "SMS", "manual", AT + number, next(self._steps))
            self._sent.events[event.event_id] = event
            self._events.produce(
                f"{self._prefix}dnd.events",
                event_value(event),
                event_key(event),
                on_delivery=self._noting(self._sent.events_acknowledged, event.event_id),
            )
        assert self._events.flush(ACKNOWLEDGED_S) == 0

    def request(
        self, *contacts: str, body: str = "Hello", expected: Expected = Expected.VALID, wait: bool = True
    ) -> None:
        """`wait` False: only handed to the client; a later call waits for them too."""
        for contact in contacts:
            request_id, address = f"r{len(self._sent.requests)}", Subject("loc1", "phone", "+14155550100")
            value = {
                "request_id": request_id,
                "location_id": "loc1",
                "contact_id": contact,
                "channel": "SMS",
                "to": address.id,
                "body": body,
            }
            subjects = (Subject("loc1", "contact", contact), address)
            self._sent.requests[request_id] = SentRequest(request_id, expected, "SMS", subjects, next(self._steps))
            self._requests.produce(
                f"{self._prefix}outbound.requests",
                json.dumps(value).encode(),
                contact.encode(),
                headers={REQUEST_ID: request_id.encode()},
                on_delivery=self._noting(self._sent.requests_acknowledged, request_id),
            )
        self._requests.poll(0)
        if wait:
            assert self._requests.flush(ACKNOWLEDGED_S) == 0

    def _noting(self, acknowledged: dict[str, int], name: str) -> Callable[[KafkaError | None, Message], None]:
        def noted(error: KafkaError | None, _: Message) -> None:
            assert error is None, error
            acknowledged[name] = next(self._steps)

        return noted
