"""From the spool to a real Kafka: order, acknowledgement before removal, crashes and outages in between."""

from __future__ import annotations

import asyncio
import random
import sqlite3
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from gateway.dnd.model import Place
from gateway.localkafka import LocalKafka
from gateway.signals import drain
from gateway.signals.drain import Drainer
from gateway.signals.publish import NotAcknowledgedError, Publisher
from gateway.signals.spool import FILE_NAME, Spool
from gateway.streams.writing import Unwritten
from tests.kafka.outside import until
from tests.signals.people import PHONE, STOPPED, phone, start, stop
from tests.signals.scene import Log, at_work, drained, draining, publisher_on, spool_in
from tests.signals.spool_and_die import SUBJECTS

KILLS = 6


class Quits(Publisher):
    """Fails behind so many records: before they are written, or after."""

    def __init__(self, publisher: Publisher, behind: int, *, written: bool) -> None:
        self._publisher, self._left, self._written = publisher, behind, written
        self.brokers = publisher.brokers

    async def write(self, records: Sequence[Unwritten]) -> Mapping[int, int]:
        self._left -= len(records)
        if self._left >= 0:
            return await self._publisher.write(records)
        if self._written:
            await self._publisher.write(records)
        raise NotAcknowledgedError("no answer came")


async def test_what_was_spooled_comes_into_the_log_in_order(
    kafka: LocalKafka, fresh_name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(drain, "BATCH_SIGNALS", 7)
    log = Log.on(kafka, fresh_name)
    async with spool_in(tmp_path) as spool:
        for number in range(40):
            await spool.put(stop(f"e{number}", phone(number % 3)), 1_000 + number)
        await drained(kafka, log.topic, spool)
        assert (spool.count, spool.unreadable) == (0, 0)
        assert not spool.holds_subject(phone(0))
    assert log.ids() == {phone(rest): [f"e{number}" for number in range(rest, 40, 3)] for rest in range(3)}
    assert len(log.events()) == 40
    for event, _ in log.events():
        assert isinstance(event, Place)
        assert event.at == 1_000 + int(event.event_id[1:]) + 5_000


async def test_the_drainer_hears_of_a_new_signal(kafka: LocalKafka, fresh_name: str, tmp_path: Path) -> None:
    log = Log.on(kafka, fresh_name)
    async with spool_in(tmp_path) as spool, draining(kafka, log.topic, spool):
        for number in range(3):
            await spool.put(stop(f"e{number}"), 1)
            await until(lambda: not spool.count)
    assert log.ids() == {PHONE: ["e0", "e1", "e2"]}


@pytest.mark.parametrize("written", [True, False], ids=["acknowledgement lost", "never written"])
async def test_nothing_is_removed_that_was_not_acknowledged(
    kafka: LocalKafka, fresh_name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, written: bool
) -> None:
    monkeypatch.setattr(drain, "BATCH_SIGNALS", 2)
    log = Log.on(kafka, fresh_name)
    async with spool_in(tmp_path) as spool:
        for number in range(8):
            await spool.put(stop(f"e{number}"), 1)
        async with publisher_on(kafka, log.topic) as publisher:
            drainer = Drainer(spool, Quits(publisher, 4, written=written))
            async with at_work(drainer.run()):
                await until(lambda: drainer.problem)
        assert [each.signal.event_id for each in await spool.first(10)] == ["e4", "e5", "e6", "e7"]
        await drained(kafka, log.topic, spool)
    assert log.ids() == {PHONE: [f"e{number}" for number in range(8)]}


async def test_repeated_publication_changes_nothing(kafka: LocalKafka, fresh_name: str, tmp_path: Path) -> None:
    """A crash between acknowledgement and removal, with a START that was published in between."""
    log = Log.on(kafka, fresh_name)
    async with spool_in(tmp_path) as spool:
        await spool.put(stop("SM1"), 1_000)
        (row,) = await spool.first(1)
        await drained(kafka, log.topic, spool)
        for signal, received_at in ((start("SM2"), 60_000), (stop("SM1"), row.row.received_at)):
            await spool.put(signal, received_at)
        await drained(kafka, log.topic, spool)
    assert [event.event_id for event, _ in log.events()] == ["SM1", "SM2", "SM1"]
    assert not log.record(PHONE).registers[STOPPED].in_force


async def test_a_row_that_cannot_be_read_or_written_holds_up_nobody(
    kafka: LocalKafka, fresh_name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Unreadable bytes, also a whole batch of them; and what is larger than the topic takes, as only a broker knows."""
    monkeypatch.setattr(drain, "BATCH_SIGNALS", 3)
    log = Log.on(kafka, fresh_name, max_message_bytes=2_000)
    large = replace(stop("large"), evidence={"text": random.Random(4).randbytes(3_000).hex()})
    async with spool_in(tmp_path) as spool:
        for signal in (stop("e0"), large, stop("e2"), *(stop(f"e{number}") for number in range(3, 8))):
            await spool.put(signal, 1)
        damage(tmp_path, "UPDATE signals SET signal = '{' WHERE id IN (4, 5, 6)")
        await drained(kafka, log.topic, spool)
        assert spool.unreadable == 4
    assert log.ids() == {PHONE: ["e0", "e2", "e6", "e7"]}


def damage(directory: Path, statement: str) -> None:
    file = sqlite3.connect(directory / FILE_NAME)
    with file:
        file.execute(statement)
    file.close()


async def test_a_spool_that_cannot_be_opened_is_opened_when_it_can(
    kafka: LocalKafka, fresh_name: str, tmp_path: Path
) -> None:
    """As when the process before this one has not ended yet."""
    log = Log.on(kafka, fresh_name)
    spool = Spool(tmp_path)
    async with spool_in(tmp_path) as former:
        await former.put(stop("e0"), 1)
        async with draining(kafka, log.topic, spool) as drainer:
            await until(lambda: drainer.problem)
            assert not spool.is_open
            await former.close()
            await until(lambda: spool.is_open and not spool.count, lambda: drainer.problem)
            await until(lambda: drainer.problem is None)
    await spool.close()
    assert log.ids() == {PHONE: ["e0"]}


async def test_r22_kill_9_between_spool_and_drain_loses_nothing(
    kafka: LocalKafka, fresh_name: str, tmp_path: Path
) -> None:
    """Guarantee 3: at random moments of spooling and draining; what was said to be on disk is in the log, in order."""
    seed = random.randrange(2**32)
    print(f"seed {seed}")
    chance = random.Random(seed)
    log = Log.on(kafka, fresh_name)
    safe: list[str] = []
    for run in range(KILLS):
        safe += [f"{run}-{number}" for number in await _spool_and_die(kafka, log.topic, tmp_path, run, chance)]
    assert len(safe) > KILLS
    async with spool_in(tmp_path) as spool:
        await drained(kafka, log.topic, spool)
        assert (spool.count, spool.unreadable) == (0, 0)
    found = log.ids()
    for number in range(SUBJECTS):
        expected = [event_id for event_id in safe if int(event_id.split("-")[1]) % SUBJECTS == number]
        # One more of each run may be on disk without having been said to be.
        assert [event_id for event_id in found[phone(number)] if event_id in set(safe)] == expected


async def _spool_and_die(kafka: LocalKafka, topic: str, directory: Path, run: int, chance: random.Random) -> list[str]:
    """The numbers of the signals that the process has called safe before it was killed."""
    command = ["-m", "tests.signals.spool_and_die", str(directory), kafka.bootstrap_servers, topic, str(run)]
    process = await asyncio.create_subprocess_exec(
        sys.executable, *command, stdout=subprocess.PIPE, cwd=Path(__file__).parents[2]
    )
    assert process.stdout is not None
    said = [await process.stdout.readline() for _ in range(chance.randrange(1, 60))]
    assert said[0], "it has not begun"
    process.kill()
    said += (await process.stdout.read()).splitlines()
    await process.wait()
    return [line.decode().strip() for line in said]


async def test_an_outage_of_kafka_delays_and_loses_nothing(
    breakable: LocalKafka, fresh_name: str, tmp_path: Path
) -> None:
    log = Log.on(breakable, fresh_name)
    async with spool_in(tmp_path) as spool, draining(breakable, log.topic, spool, deadline_s=2.0) as drainer:
        await spool.put(stop("e0"), 1)
        await until(lambda: not spool.count)
        await asyncio.to_thread(breakable.stop_all)
        for number in range(1, 20):
            await spool.put(stop(f"e{number}"), 1)
        await until(lambda: drainer.problem)
        assert spool.count == 19
        await asyncio.to_thread(breakable.start_all)
        await until(lambda: not spool.count, lambda: drainer.problem)
    assert log.ids() == {PHONE: [f"e{number}" for number in range(20)]}
