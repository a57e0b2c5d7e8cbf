"""The door against a real Kafka: what it says of a signal is true, whatever is broken."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from gateway.clock import now_ms
from gateway.dnd.model import Actor, ActorKind, Lift, Subject, SubjectKind
from gateway.dnd.record import EMPTY, fold
from gateway.localkafka import LocalKafka
from gateway.metrics import Metrics
from gateway.settings import Settings
from gateway.signals.door import Accepted, SignalDoor, SpooledReceipt
from gateway.signals.publish import RECORD_LIMIT_BYTES, Publisher, RefusedError
from gateway.signals.resolve import Known
from gateway.signals.spool import Spool, SpoolUnavailable
from gateway.streams.clients import Clients
from tests.kafka.outside import until
from tests.running import sample
from tests.signals.people import PHONE, STOPPED, phone, start, stop
from tests.signals.scene import Knows, KnowsNothing, Log, at_work, door_to, drained, draining, publisher_on

SHORT_S = 0.5
"""A deadline that is to pass."""

SLACK_S = 5.0
"""For a busy machine."""


@asynccontextmanager
async def away(spool: Spool, records: KnowsNothing | None = None) -> AsyncIterator[SignalDoor]:
    """A door to a Kafka that is not there."""
    publisher = Publisher(clients_for_nobody(), "dnd.events", SHORT_S)
    async with at_work(publisher.run()):
        await until(lambda: publisher.problem)
        yield door_to(publisher, spool, records)


def clients_for_nobody() -> Clients:
    return Clients(Settings.of(kafka_bootstrap_servers="127.0.0.1:1").kafka)


# ---- Kafka takes it ----


async def test_accepted_is_in_the_log(kafka: LocalKafka, fresh_name: str, spool: Spool) -> None:
    log = Log.on(kafka, fresh_name)
    async with publisher_on(kafka, log.topic) as publisher:
        assert await door_to(publisher, spool).accept([stop("SM1")], now_ms()) == Accepted(1)
        assert log.holds(PHONE)
        assert await door_to(publisher, spool, Knows(log.record(PHONE))).accept([start("SM2")], now_ms()) == Accepted(1)
        assert not log.holds(PHONE)
        known = Knows(log.record(PHONE))
        assert await door_to(publisher, spool, known).accept([stop("SM1"), start("SM2")], now_ms()) == Accepted(0)
    assert spool.count == 0


async def test_of_one_call_every_signal_is_written_and_each_subject_in_order(
    kafka: LocalKafka, fresh_name: str, spool: Spool
) -> None:
    log = Log.on(kafka, fresh_name)
    signals = [stop(f"e{number}", phone(number % 70)) for number in range(300)]
    async with publisher_on(kafka, log.topic) as publisher:
        door = door_to(publisher, spool)
        assert await door.accept(signals, now_ms()) == Accepted(300)
        assert await door.accept([], now_ms()) == Accepted(0)
    assert log.ids() == {phone(rest): [f"e{number}" for number in range(rest, 300, 70)] for rest in range(70)}


async def test_signals_of_one_subject_take_turns(kafka: LocalKafka, fresh_name: str, spool: Spool) -> None:
    """A signal that waits for its barrier is not overtaken by one that need not wait; other subjects' go on."""
    log = Log.on(kafka, fresh_name)
    gate, first = asyncio.Event(), [PHONE]

    class Gated(KnowsNothing):
        async def known(self, subject: Subject) -> Known:
            if subject in first:
                first.clear()
                await gate.wait()
            return await super().known(subject)

    async with publisher_on(kafka, log.topic) as publisher:
        door = door_to(publisher, spool, Gated())
        waiting = [asyncio.create_task(door.accept([stop(f"e{number}")], now_ms())) for number in range(20)]
        assert await door.accept([stop("other", phone(1))], now_ms()) == Accepted(1)
        for number in range(20):  # far more time than those behind the first would need
            assert await door.accept([stop(f"other {number}", phone(1))], now_ms()) == Accepted(1)
        assert not any(task.done() for task in waiting)
        gate.set()
        await asyncio.gather(*waiting)
    assert log.ids()[PHONE] == [f"e{number}" for number in range(20)]
    assert not door._turns._locks


# ---- Kafka does not take it ----


async def test_without_kafka_a_signal_is_spooled_at_once(spool: Spool) -> None:
    async with away(spool) as door:
        begun = time.monotonic()
        assert await door.accept([stop("e0"), stop("e1", phone(1))], 5_000) == SpooledReceipt(2)
        assert time.monotonic() - begun < SLACK_S
    assert {each.signal.event_id for each in await spool.first(10)} == {"e0", "e1"}
    assert {each.row.received_at for each in await spool.first(10)} == {5_000}


async def test_a_signal_that_kafka_did_not_acknowledge_in_time_is_spooled_and_counts_once(
    breakable: LocalKafka, fresh_name: str, spool: Spool
) -> None:
    """K15. The frozen broker takes the record when it thaws, after the signal was spooled: both are in the log."""
    log = Log.on(breakable, fresh_name)
    async with publisher_on(breakable, log.topic, SHORT_S) as publisher:
        door = door_to(publisher, spool)
        await until_accepted(door)
        received_at = now_ms()
        breakable.brokers[0].freeze()
        begun = time.monotonic()
        assert await door.accept([stop("SM1")], received_at) == SpooledReceipt(1)
        assert time.monotonic() - begun < SHORT_S + SLACK_S
        assert await door.accept([start("SM2")], received_at + 6_000) == SpooledReceipt(1)
        breakable.brokers[0].thaw()
    await drained(breakable, log.topic, spool)
    written = [event.event_id for event, _ in log.events() if event.subject == PHONE]
    assert list(dict.fromkeys(written)) == ["SM1", "SM2"]
    late = [event for event, _ in log.events() if event.event_id == "SM1"]
    # In whatever order the two copies of SM1 came, and wherever START came between them.
    start_event = next(event for event, _ in log.events() if isinstance(event, Lift))
    for copies in (late, late[::-1]):
        record = EMPTY
        for event in (*copies, start_event, *copies):
            record = fold(record, event, received_at + 20_000).record
        assert not record.registers[STOPPED].in_force
    assert not log.holds(PHONE)


async def until_accepted(door: SignalDoor) -> None:
    """The publisher has its producer."""
    for number in range(100):
        if isinstance(await door.accept([stop(f"warm {number}", phone(9_000 + number))], 1), Accepted):
            return
    raise AssertionError("Kafka takes nothing")


async def test_later_signals_of_a_spooled_subject_queue_behind_it(
    kafka: LocalKafka, fresh_name: str, spool: Spool
) -> None:
    """Also when Kafka is back; other subjects do not wait."""
    log = Log.on(kafka, fresh_name)
    async with away(spool) as door:
        await door.accept([stop("e0", phone(1)), stop("e1")], 1_000)
    async with publisher_on(kafka, log.topic) as publisher:
        door = door_to(publisher, spool)
        assert await door.accept([start("e2")], 2_000) == SpooledReceipt(1)
        assert await door.accept([stop("e3", phone(2)), stop("e4")], 3_000) == SpooledReceipt(1)
        assert log.ids() == {phone(2): ["e3"]}
        await drained(kafka, log.topic, spool)
        assert await door.accept([start("e5")], now_ms()) == Accepted(1)
    assert log.ids() == {phone(1): ["e0"], phone(2): ["e3"], PHONE: ["e1", "e2", "e4", "e5"]}


async def test_a_spooled_stop_outlasts_a_lift_that_a_slow_clock_had_seen(
    kafka: LocalKafka, fresh_name: str, spool: Spool
) -> None:
    """START through a gateway with the right time, then Kafka goes away, then STOP through one three hours slow."""
    log = Log.on(kafka, fresh_name)
    async with publisher_on(kafka, log.topic) as publisher:
        await door_to(publisher, spool).accept([stop("SM1")], now_ms())
        await door_to(publisher, spool, Knows(log.record(PHONE))).accept([start("SM2")], now_ms())
    assert not log.holds(PHONE)
    async with away(spool, Knows(log.record(PHONE), fresh=False)) as door:
        await door.accept([stop("SM3")], now_ms() - 3 * 3_600_000)
    await drained(kafka, log.topic, spool)
    assert log.holds(PHONE)


async def test_neither_kafka_nor_disk_is_said(tmp_path: Path) -> None:
    """The webhook answers 503. Of a call that tells of many, all are tried."""
    spool = Spool(tmp_path)
    async with away(spool) as door:
        for signals in ([stop("e0")], [stop("e0"), stop("e1", phone(1))]):
            with pytest.raises(SpoolUnavailable):
                await door.accept(signals, 1_000)
    await spool.close()


async def test_kafka_alone_is_enough(kafka: LocalKafka, fresh_name: str, tmp_path: Path) -> None:
    spool = Spool(tmp_path)
    log = Log.on(kafka, fresh_name)
    async with publisher_on(kafka, log.topic) as publisher:
        assert await door_to(publisher, spool).accept([stop("e0")], 1_000) == Accepted(1)
    await spool.close()


@pytest.mark.parametrize("kafka_is", ["away", "there"])
async def test_what_can_never_be_written_is_refused_and_not_spooled(
    kafka: LocalKafka, fresh_name: str, spool: Spool, kafka_is: str
) -> None:
    """Its size is looked at before it takes room on the disk. The others of its call are safe."""
    large = PHONE._replace(kind=SubjectKind.GMB, id="g" * 200, location_id="l" * RECORD_LIMIT_BYTES)
    log = Log.on(kafka, fresh_name)
    async with publisher_on(kafka, log.topic) as publisher, away(spool) as nowhere:
        door = nowhere if kafka_is == "away" else door_to(publisher, spool)
        with pytest.raises(RefusedError):
            await door.accept([stop("e0", large), stop("e1", phone(1))], 1_000)
    kept = [each.signal.event_id for each in await spool.first(10)] if kafka_is == "away" else log.ids()[phone(1)]
    assert kept == ["e1"]


async def test_what_queues_behind_a_spooled_signal_is_refused_when_it_can_never_be_written(spool: Spool) -> None:
    """It must not take room on the disk only to be set aside later."""
    async with away(spool) as door:
        await door.accept([stop("e0")], 1_000)
        with pytest.raises(RefusedError):
            await door.accept([replace(stop("e1"), actor=Actor(ActorKind.CONTACT, "x" * RECORD_LIMIT_BYTES))], 1_000)
    assert spool.count == 1


async def test_an_outage_while_signals_arrive_loses_none_and_keeps_each_subjects_order(
    breakable: LocalKafka, fresh_name: str, spool: Spool
) -> None:
    """Guarantee 3: the broker is stopped and started while people write STOP and START."""
    log = Log.on(breakable, fresh_name)
    outcomes: set[type] = set()
    told: dict[Subject, list[str]] = {phone(number): [] for number in range(5)}
    over = asyncio.Event()

    async def people(door: SignalDoor) -> None:
        number = 0
        while not over.is_set():
            subject = phone(number % 5)
            signal = stop(f"e{number}", subject) if number % 3 else start(f"e{number}", subject)
            outcomes.add(type(await door.accept([signal], now_ms())))
            told[subject].append(signal.event_id)
            number += 1
            await asyncio.sleep(0.005)  # people take their time

    async with (
        publisher_on(breakable, log.topic, SHORT_S) as publisher,
        draining(breakable, log.topic, spool, deadline_s=2.0) as drainer,
        asyncio.TaskGroup() as group,
    ):
        door = door_to(publisher, spool)
        await until_accepted(door)
        group.create_task(people(door))
        await until(lambda: Accepted in outcomes)
        await asyncio.to_thread(breakable.stop_all)
        await until(lambda: spool.count > 50, lambda: spool.count)
        await asyncio.to_thread(breakable.start_all)
        await until(lambda: not spool.count, lambda: drainer.problem)
        over.set()
        await until(lambda: not spool.count, lambda: drainer.problem)
    assert outcomes == {Accepted, SpooledReceipt}
    found = log.ids()
    assert {subject: found[subject] for subject in told} == told


async def test_what_happened_is_counted(kafka: LocalKafka, fresh_name: str, spool: Spool) -> None:
    log = Log.on(kafka, fresh_name)
    metrics = Metrics("test")
    async with publisher_on(kafka, log.topic) as publisher:
        await SignalDoor(KnowsNothing(), publisher, spool, metrics).accept([stop("e0")], 1)
    publisher = Publisher(clients_for_nobody(), log.topic, 0.01)
    await SignalDoor(KnowsNothing(), publisher, spool, metrics).accept([stop("e1")], 1)
    text = metrics.exposition().decode()
    assert sample(text, "sendguard_signals_published_total") == 1
    assert sample(text, "sendguard_signals_spooled_total") == 1
