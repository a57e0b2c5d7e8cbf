"""The freshness barrier against one real broker. What leaders that move and thaw do to it: `test_stale_leader`."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator, Mapping

import pytest

from gateway.localkafka import LocalKafka, LocalKafkaConfig
from gateway.streams import barrier as module
from gateway.streams.barrier import Barrier
from gateway.streams.quorum import NotFreshError, RoundEnd
from tests.kafka.outside import DEADLINE_S, Outsider, clients_for, started, until
from tests.streams.freshness import EverythingApplied, Gated, at_work, barrier_on, fresh, passes
from tests.streams.tables import ListTable

ROUNDS = 1_000


@pytest.fixture
def quiet(monkeypatch: pytest.MonkeyPatch) -> None:
    """No rounds but those that are asked for, and the first."""
    monkeypatch.setattr(module, "IDLE_ROUND_EVERY_S", 3_600.0)
    monkeypatch.setattr(module, "HOLDING_ROUND_EVERY_S", 3_600.0)


@pytest.fixture
def topic(kafka: LocalKafka, fresh_name: str) -> str:
    return Outsider.of(kafka).create(fresh_name)


async def missed_in(kafka: LocalKafka, topic: str, table: ListTable, barrier: Barrier | None) -> int:
    """How many holds the table lacked right after they were acknowledged (and the barrier had passed)."""
    producer, missed = clients_for(kafka).signal_producer(), 0
    async with started(producer):
        for number in range(ROUNDS):
            sent = await producer.send_and_wait(topic, b"hold %d" % number)
            if barrier is not None:
                await barrier.passed()
            missed += table.positions()[sent.partition] <= sent.offset
    return missed


async def test_what_was_acknowledged_before_the_call_is_applied_when_it_passes_every_time(
    kafka: LocalKafka, fresh_name: str
) -> None:
    """Guarantee 1."""
    Outsider.of(kafka).create(fresh_name, 3)
    table = ListTable(3)
    async with fresh(kafka, fresh_name, table) as barrier:
        assert await missed_in(kafka, fresh_name, table, barrier) == 0


async def test_without_the_barrier_hundreds_of_holds_are_missed(kafka: LocalKafka, fresh_name: str) -> None:
    """The mechanism switched off: so the test above can fail."""
    Outsider.of(kafka).create(fresh_name, 3)
    table = ListTable(3)
    async with fresh(kafka, fresh_name, table):
        assert await missed_in(kafka, fresh_name, table, None) > 100


async def test_an_open_transaction_hides_no_acknowledged_hold(kafka: LocalKafka, topic: str) -> None:
    """K2."""
    outsider, table = Outsider.of(kafka), ListTable()
    async with fresh(kafka, topic, table) as barrier:
        transaction = outsider.open_transaction(topic, [b"open"], topic)
        outsider.produce(topic, [b"hold"])
        await passes(barrier)
        assert table.values()[-1] == b"hold"
        await asyncio.to_thread(transaction.abort_transaction, DEADLINE_S)
        await passes(barrier)


@pytest.mark.usefixtures("quiet")
async def test_all_who_came_before_a_round_began_share_it(kafka: LocalKafka, topic: str) -> None:
    ends: list[RoundEnd] = []
    async with barrier_on(kafka, topic, EverythingApplied(), observe=lambda end, _: ends.append(end)) as barrier:
        await passes(barrier)
        ends.clear()
        await asyncio.gather(*(barrier.passed() for _ in range(100)))
        assert ends == [RoundEnd.PASSED]


@pytest.mark.usefixtures("quiet")
async def test_who_comes_after_a_round_began_gets_another_one(kafka: LocalKafka, topic: str) -> None:
    log = Gated()
    async with barrier_on(kafka, topic, log) as barrier:
        await until(lambda: log.waiting == 1)  # the round that every barrier begins with
        second = asyncio.create_task(barrier.passed())
        third = asyncio.create_task(barrier.passed())
        log.gate.set()
        await until(lambda: log.waiting == 2)
        await asyncio.gather(second, third)
        assert log.waiting == 2

        log.gate.clear()
        early = asyncio.create_task(barrier.passed())
        await until(lambda: log.waiting == 3)  # its round has its answers
        late = asyncio.create_task(barrier.passed())
        await asyncio.sleep(0)
        log.gate.set()
        await early
        assert not late.done()
        await late
        assert log.waiting == 4


@pytest.mark.usefixtures("quiet")
async def test_a_caller_that_gives_up_takes_the_round_from_nobody(kafka: LocalKafka, topic: str) -> None:
    log = Gated()
    async with barrier_on(kafka, topic, log) as barrier:
        await until(lambda: log.waiting == 1)
        stays, leaves = (asyncio.create_task(barrier.passed()) for _ in range(2))
        await asyncio.sleep(0)
        leaves.cancel()
        log.gate.set()
        await stays
        assert leaves.cancelled()


class Late(EverythingApplied):
    """A follower that keeps the whole process from running: as if it had been frozen."""

    def __init__(self, seconds: float) -> None:
        super().__init__()
        self.seconds = seconds

    async def wait_applied(self, ends: Mapping[int, int]) -> None:
        time.sleep(self.seconds)  # noqa: ASYNC251 - that is the point


async def test_what_comes_after_the_deadline_is_thrown_away(kafka: LocalKafka, topic: str) -> None:
    """This process may have been frozen itself."""
    log = Late(0.0)
    async with barrier_on(kafka, topic, log, deadline_s=1.0) as barrier:
        await passes(barrier)
        log.seconds = 1.2
        with pytest.raises(NotFreshError):
            await barrier.passed()
        log.seconds = 0.0
        await passes(barrier)


async def test_a_view_that_does_not_get_there_in_time_is_said_to_be_behind(kafka: LocalKafka, topic: str) -> None:
    Outsider.of(kafka).produce(topic, [b"1", b"2", b"3"])
    ends: list[RoundEnd] = []
    log = Gated()
    async with barrier_on(kafka, topic, log, deadline_s=0.5, observe=lambda end, _: ends.append(end)) as barrier:
        with pytest.raises(NotFreshError):
            await barrier.passed()
        await until(lambda: RoundEnd.BEHIND in ends)
        await until(lambda: "3 events behind" in str(barrier.holding))
        log.gate.set()
        await passes(barrier)
        assert barrier.holding is None


async def test_another_number_of_partitions_than_expected_holds(kafka: LocalKafka, fresh_name: str) -> None:
    Outsider.of(kafka).create(fresh_name, 2)
    async with barrier_on(kafka, fresh_name, EverythingApplied(), partitions=3) as barrier:
        with pytest.raises(NotFreshError, match="2 partitions, not 3"):
            await barrier.passed()


async def test_partitions_that_are_added_hold_it_from_then_on(kafka: LocalKafka, topic: str) -> None:
    async with barrier_on(kafka, topic, EverythingApplied()) as barrier:
        await passes(barrier)
        Outsider.of(kafka).grow(topic, 2)
        for _ in range(3):
            with pytest.raises(NotFreshError, match="2 partitions, not 1"):
                await barrier.passed()


async def test_a_topic_that_was_re_created_is_known_by_its_id_whatever_it_holds(kafka: LocalKafka, topic: str) -> None:
    outsider, log = Outsider.of(kafka), EverythingApplied()
    async with barrier_on(kafka, topic, log) as barrier:
        await passes(barrier)
        outsider.delete(topic)
        with pytest.raises(NotFreshError):
            await barrier.passed()
        outsider.create(topic)
        for _ in range(3):
            with pytest.raises(NotFreshError):
                await barrier.passed()
        await until(lambda: log.suspicions)
    assert "was re-created: its topic id is" in log.suspicions[0]


async def test_an_end_below_what_was_applied_holds_and_is_told(kafka: LocalKafka, topic: str) -> None:
    log = EverythingApplied(position=0)
    Outsider.of(kafka).produce(topic, [b"1", b"2"])
    async with barrier_on(kafka, topic, log) as barrier:
        await passes(barrier)
        log.position = 3
        with pytest.raises(NotFreshError, match="ends at 2, but was applied up to 3"):
            await barrier.passed()
        log.position = 2
        await passes(barrier)
    assert "ends at 2" in log.suspicions[0]


async def test_a_topic_that_does_not_exist_yet_holds_until_it_does(kafka: LocalKafka, fresh_name: str) -> None:
    async with at_work(Barrier(clients_for(kafka), fresh_name, 1, EverythingApplied(), 20.0)) as barrier:
        await until(lambda: "UnknownTopicOrPartition" in str(barrier.holding), lambda: barrier.holding)
        Outsider.of(kafka).create(fresh_name)
        await passes(barrier)


@pytest.mark.usefixtures("quiet")
async def test_one_that_was_never_started_holds_and_says_why(kafka: LocalKafka, topic: str) -> None:
    barrier = Barrier(clients_for(kafka), topic, 1, EverythingApplied(), 20.0)
    with pytest.raises(NotFreshError, match="have not been read yet"):
        await barrier.passed()


@pytest.mark.usefixtures("quiet")
async def test_those_who_wait_when_it_ends_hear_that_it_is_not_fresh(kafka: LocalKafka, topic: str) -> None:
    """A caller that was not cancelled itself must not be told so."""
    before = asyncio.all_tasks()
    log = Gated()
    async with barrier_on(kafka, topic, log) as barrier:
        await until(lambda: log.waiting == 1)
        waiting = [asyncio.create_task(barrier.passed())]
        await asyncio.sleep(0)
    waiting.append(asyncio.create_task(barrier.passed()))
    for outcome in await asyncio.gather(*waiting, return_exceptions=True):
        assert isinstance(outcome, NotFreshError)
    await until(lambda: asyncio.all_tasks() == before)


async def test_rounds_go_on_without_callers(kafka: LocalKafka, topic: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """So that readiness is true while nothing is decided."""
    monkeypatch.setattr(module, "IDLE_ROUND_EVERY_S", 0.01)
    ends: list[RoundEnd] = []
    async with barrier_on(kafka, topic, EverythingApplied(), observe=lambda end, _: ends.append(end)):
        await until(lambda: ends.count(RoundEnd.PASSED) > 3)


@pytest.fixture(scope="module")
def own_kafka() -> Iterator[LocalKafka]:
    """A broker that may be frozen and killed without disturbing the tests of other modules."""
    with LocalKafka(LocalKafkaConfig()) as running:
        yield running


async def test_a_broker_that_does_not_answer_holds_it_for_no_longer_than_that(
    own_kafka: LocalKafka, fresh_name: str
) -> None:
    Outsider.of(own_kafka).create(fresh_name)
    broker, deadline_s = own_kafka.brokers[0], 1.0
    ends: list[RoundEnd] = []
    async with barrier_on(
        own_kafka, fresh_name, EverythingApplied(), deadline_s=deadline_s, observe=lambda end, _: ends.append(end)
    ) as barrier:
        await passes(barrier)
        broker.freeze()
        try:
            began = time.monotonic()
            with pytest.raises(NotFreshError):
                await barrier.passed()
            assert time.monotonic() - began < 2 * deadline_s + 5, "two rounds, and a busy machine"
            await until(lambda: RoundEnd.NO_ANSWER in ends)
            with pytest.raises(NotFreshError):
                await barrier.passed()
        finally:
            broker.thaw()
        await until(lambda: barrier.holding is None, lambda: barrier.holding)


async def test_it_goes_on_by_itself_after_the_broker_was_away(own_kafka: LocalKafka, fresh_name: str) -> None:
    Outsider.of(own_kafka).create(fresh_name)
    table = ListTable()
    async with fresh(own_kafka, fresh_name, table) as barrier:
        await asyncio.to_thread(own_kafka.brokers[0].kill)
        await until(lambda: barrier.holding)
        await asyncio.to_thread(own_kafka.brokers[0].start)
        await until(lambda: barrier.holding is None, lambda: barrier.holding)
        Outsider.of(own_kafka).produce(fresh_name, [b"1"])
        await passes(barrier)
        assert table.values() == [b"1"]
