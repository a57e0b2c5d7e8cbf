"""What every variant works on: the same requests, known subjects, held subjects and hold changes."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

import orjson
from confluent_kafka import Producer

from gateway.contract.events import encode_event, event_key
from gateway.contract.topics import Topics
from gateway.dnd.model import Actor, ActorKind, Cause, Event, Lift, LiftTerm, Place, Scope, Subject, SubjectKind

LOCATION = "loc1"
HELD_SHARE = 0.08
CHANGES_PER_S = 200
SEED = 20_261_123
FIRST_NUMBER = 2_000_000
HELD_SINCE_MS = 1_763_900_000_000

_ACTOR = Actor(ActorKind.CONTACT, "bench")
_BODY = "Hi Maria, your appointment is on Tuesday at 10:30. Reply C to confirm or R to choose another time."


@dataclass(frozen=True, slots=True)
class Load:
    """How much. `event_partitions` and `partitions` are those of `dnd.events` and of requests and outputs."""

    requests: int
    subjects: int
    partitions: int = 4
    event_partitions: int = 6


def phone(number: int) -> str:
    """The number of a known subject."""
    return f"+1415{FIRST_NUMBER + number:07d}"


def is_held(number: int) -> bool:
    """Whether a known subject is held before the run: every 25th and its neighbour, 8 %."""
    return number % 25 < 2


def subject(number: int) -> Subject:
    return Subject(LOCATION, SubjectKind.PHONE, phone(number))


def request_value(request_id: str, number: int) -> bytes:
    """A request as a workflow sends it, about 380 bytes."""
    return orjson.dumps(
        {
            "request_id": request_id,
            "location_id": LOCATION,
            "contact_id": f"c{number}",
            "channel": "SMS",
            "to": phone(number),
            "from": "+14155550100",
            "body": _BODY,
            "subject": None,
            "html": None,
            "attachments": [],
            "source": "workflow",
            "workflow_id": "w1",
            "user_id": None,
            "created_at": 1_763_900_000_000,
            "not_after": 4_102_444_800_000,
            "metadata": {},
        }
    )


def hold(number: int, event_id: str, at: int = HELD_SINCE_MS) -> Place:
    return Place(event_id, subject(number), (Scope.SMS,), (Cause.KEYWORD_OPT_OUT,), at, _ACTOR)


def lift(number: int, event_id: str, through: int) -> Lift:
    return Lift(event_id, subject(number), (LiftTerm(Scope.SMS, Cause.KEYWORD_OPT_OUT, through),), _ACTOR)


def now_ms() -> int:
    return time.time_ns() // 1_000_000


def producer(bootstrap: str) -> Producer:
    """A producer that is never what is measured."""
    return Producer(
        {
            "bootstrap.servers": bootstrap,
            "acks": "all",
            "linger.ms": 20,
            "compression.type": "zstd",
            "batch.size": 512 * 1024,
            "queue.buffering.max.messages": 1_000_000,
        }
    )


def produce_requests(bootstrap: str, topics: Topics, load: Load) -> None:
    """All requests, evenly over the partitions, to subjects drawn at random."""
    random_numbers = random.Random(SEED)
    to_kafka = producer(bootstrap)
    for index in range(load.requests):
        number = random_numbers.randrange(load.subjects)
        value = request_value(f"r-{index}", number)
        to_kafka.produce(topics.requests, value, f"c{number}".encode(), partition=index % load.partitions)
        if index % 10_000 == 0:
            to_kafka.poll(0)
    to_kafka.flush()


def send_event(to_kafka: Producer, topic: str, event: Event, acknowledged: Callable[..., None] | None = None) -> None:
    to_kafka.produce(topic, encode_event(event, now_ms()), event_key(event.subject), on_delivery=acknowledged)


def produce_holds(bootstrap: str, topics: Topics, count: int, spread: int = 1) -> None:
    """Holds on the first subjects: of every 25 the first two (`spread` 1), or on all of them (`spread` 0)."""
    to_kafka = producer(bootstrap)
    placed = number = 0
    while placed < count:
        if spread == 0 or is_held(number):
            send_event(to_kafka, topics.dnd_events, hold(number, f"held-{number}"))
            placed += 1
            if placed % 10_000 == 0:
                to_kafka.poll(0)
        number += 1
    to_kafka.flush()


class HoldChanges:
    """Places and lifts holds on random known subjects at a steady rate, from a thread, while a variant runs."""

    def __init__(self, bootstrap: str, topics: Topics, load: Load) -> None:
        self._topic = topics.dnd_events
        self._producer = producer(bootstrap)
        self._subjects = load.subjects
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="hold changes", daemon=True)

    def __enter__(self) -> HoldChanges:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()
        self._producer.flush()

    def _run(self) -> None:
        random_numbers = random.Random(SEED + 1)
        due, count = time.monotonic(), 0
        while not self._stop.wait(max(0.0, due - time.monotonic())):
            number, at = random_numbers.randrange(self._subjects), now_ms()
            event_id = f"change-{at}-{count}"
            event: Event = hold(number, event_id, at) if count % 2 else lift(number, event_id, at)
            send_event(self._producer, self._topic, event)
            self._producer.poll(0)
            due, count = due + 1 / CHANGES_PER_S, count + 1
