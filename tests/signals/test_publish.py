"""Publishing against a real broker: what an acknowledgement is worth, and what becomes of a producer that failed."""

from __future__ import annotations

import asyncio
import time
from dataclasses import replace
from random import Random

import pytest

from gateway.contract.events import event_key
from gateway.dnd.model import Event
from gateway.localkafka import LocalKafka
from gateway.settings import Settings
from gateway.signals.publish import RECORD_LIMIT_BYTES, NotAcknowledgedError, Publisher, RefusedError
from gateway.signals.resolve import resolve_spooled
from gateway.streams.clients import Clients
from tests.kafka.outside import clients_for, until
from tests.signals.people import PHONE, phone, stop
from tests.signals.scene import Log, at_work, publisher_on

SHORT_S = 0.5
"""A deadline that is to pass."""

SLACK_S = 5.0
"""For a busy machine."""


def place(event_id: str, number: int = 0) -> Event:
    (event,) = resolve_spooled(stop(event_id, phone(number)), 1_000)
    return event


async def published(publisher: Publisher, event: Event) -> None:
    """Try until Kafka has it, as the drainer does."""
    deadline = time.monotonic() + 60
    while True:
        try:
            await publisher.publish([event])
        except NotAcknowledgedError:
            assert time.monotonic() < deadline
            await asyncio.sleep(0.05)
        else:
            return


async def test_what_was_acknowledged_is_in_the_log_under_its_subjects_key(kafka: LocalKafka, fresh_name: str) -> None:
    log = Log.on(kafka, fresh_name)
    events = [place(f"e{number}", number % 5) for number in range(40)]
    async with publisher_on(kafka, log.topic) as publisher:
        ends = await publisher.publish(events)
        assert await publisher.publish([]) == {}
    assert dict(ends) == {partition: log.outsider.end(log.topic, partition) for partition in (0, 1)}
    found = [event for event, _ in log.events()]
    assert sorted(found, key=lambda event: event.event_id) == sorted(events, key=lambda event: event.event_id)
    keys = {record.key() for record in log.outsider.read(log.topic)}
    assert keys == {event_key(event.subject) for event in events}
    assert log.ids()[phone(3)] == [f"e{number}" for number in range(3, 40, 5)]


async def test_many_callers_share_one_producer(kafka: LocalKafka, fresh_name: str) -> None:
    log = Log.on(kafka, fresh_name)
    async with publisher_on(kafka, log.topic) as publisher:
        await asyncio.gather(*(publisher.publish([place(f"e{number}", number)]) for number in range(500)))
    assert len(log.ids()) == 500


async def test_a_frozen_broker_costs_a_caller_its_deadline_and_no_more(breakable: LocalKafka, fresh_name: str) -> None:
    """K13, K15: nothing is said to be acknowledged that is not, nobody waits for ever, and it goes on afterwards."""
    log = Log.on(breakable, fresh_name)
    async with publisher_on(breakable, log.topic, SHORT_S) as publisher:
        await published(publisher, place("before"))
        breakable.brokers[0].freeze()
        begun = time.monotonic()
        with pytest.raises(NotAcknowledgedError):
            await publisher.publish([place("frozen")])
        assert time.monotonic() - begun < SHORT_S + SLACK_S
        breakable.brokers[0].thaw()
        await published(publisher, place("frozen"))
        await published(publisher, place("after"))
    # The first try may have come through late; its event id counts once.
    assert log.ids()[phone(0)] == ["before", "frozen", "after"]


async def test_while_no_broker_answers_callers_are_told_at_once(breakable: LocalKafka, fresh_name: str) -> None:
    log = Log.on(breakable, fresh_name)
    async with publisher_on(breakable, log.topic, 3.0) as publisher:
        await published(publisher, place("before"))
        await asyncio.to_thread(breakable.stop_all)
        with pytest.raises(NotAcknowledgedError):
            await publisher.publish([place("stopped")])
        await until(lambda: publisher.problem)
        begun = time.monotonic()
        with pytest.raises(NotAcknowledgedError):
            await publisher.publish([place("stopped")])
        assert time.monotonic() - begun < 1.5
        await asyncio.to_thread(breakable.start_all)
        await published(publisher, place("after"))
        assert publisher.problem is None
    assert log.ids()[phone(0)][-1] == "after"


async def test_k15_a_sender_that_died_silently_is_replaced(kafka: LocalKafka, fresh_name: str) -> None:
    log = Log.on(kafka, fresh_name)
    async with publisher_on(kafka, log.topic, SHORT_S) as publisher:
        await published(publisher, place("before"))
        turn = publisher._producer._turn
        assert turn is not None
        sender = turn.producer._sender.sender_task
        sender.remove_done_callback(turn.producer._sender._fail_all)  # as if its loop had got stuck
        sender.cancel()
        with pytest.raises(NotAcknowledgedError):
            await publisher.publish([place("lost")])
        await published(publisher, place("after"))
    assert log.ids()[phone(0)][-1] == "after"


async def test_a_caller_that_gives_up_disturbs_nobody(kafka: LocalKafka, fresh_name: str) -> None:
    log = Log.on(kafka, fresh_name)
    async with publisher_on(kafka, log.topic) as publisher:
        calls = [asyncio.create_task(publisher.publish([place(f"e{number}", number)])) for number in range(50)]
        await asyncio.sleep(0)
        for call in calls[::2]:
            call.cancel()
        await asyncio.gather(*calls[1::2])
        await publisher.publish([place("after")])
    ids = log.ids()
    assert {phone(number) for number in range(1, 50, 2)} <= ids.keys()
    assert ids[phone(0)][-1] == "after"


async def test_it_ends_although_a_broker_is_frozen(breakable: LocalKafka, fresh_name: str) -> None:
    log = Log.on(breakable, fresh_name)
    publisher = Publisher(clients_for(breakable), log.topic, SHORT_S)
    begun = 0.0
    async with at_work(publisher.run()):
        await published(publisher, place("before"))
        breakable.brokers[0].freeze()
        with pytest.raises(NotAcknowledgedError):
            await publisher.publish([place("frozen")])
        begun = time.monotonic()
    assert time.monotonic() - begun < SLACK_S + 10.0


# ---- what can never be written ----


@pytest.mark.parametrize(
    "event",
    [
        replace(place("e"), subject=PHONE._replace(id="+1" + "4" * RECORD_LIMIT_BYTES)),
        replace(place("e"), evidence={"text": "\ud800"}),
        replace(place("e"), evidence={"text": object()}),
        replace(place("\ud800")),
    ],
    ids=["too large", "half a character", "no JSON", "in the id"],
)
async def test_what_can_never_be_written_is_refused_before_it_is_tried(event: Event) -> None:
    """Without a broker, and without waiting for one."""
    publisher = Publisher(Clients(Settings.of(kafka_bootstrap_servers="127.0.0.1:1").kafka), "dnd.events", 60.0)
    with pytest.raises(RefusedError):
        await publisher.publish([event])


async def test_what_the_topic_does_not_take_is_refused_and_the_next_is_written(
    kafka: LocalKafka, fresh_name: str
) -> None:
    log = Log.on(kafka, fresh_name, max_message_bytes=2_000)
    noise = Random(4).randbytes(3_000).hex()  # zstd cannot make it small enough
    async with publisher_on(kafka, log.topic) as publisher:
        await publisher.publish([place("before")])
        with pytest.raises(RefusedError):
            await publisher.publish([replace(place("large"), evidence={"text": noise})])
        await published(publisher, place("after"))
    assert log.ids()[phone(0)] == ["before", "after"]
