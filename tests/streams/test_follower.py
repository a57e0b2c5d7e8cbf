"""Following a log on a real broker: from any position to its end, and never into another log."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest
from aiokafka import AIOKafkaConsumer

from gateway.localkafka import LocalKafka, LocalKafkaConfig
from gateway.streams import follower as module
from gateway.streams.follower import Follower, FollowerState
from gateway.streams.quorum import NotFreshError
from tests.kafka.outside import DEADLINE_S, Outsider, clients_for, until
from tests.streams.following import applied, following
from tests.streams.misnaming import send_misnamed
from tests.streams.tables import ListTable


@pytest.fixture
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    """Short pauses and little patience, so that tests do not wait for them."""
    monkeypatch.setattr(module, "MISMATCH_PAUSE_S", 0.1)
    monkeypatch.setattr(module, "LONGEST_PAUSE_S", 0.1)
    monkeypatch.setattr(module, "SILENCE_LIMIT_S", 1.0)


@pytest.fixture
def outsider(kafka: LocalKafka) -> Outsider:
    return Outsider.of(kafka)


async def test_from_an_empty_table_everything_is_applied_in_order_and_then_what_comes(
    kafka: LocalKafka, outsider: Outsider, fresh_name: str
) -> None:
    outsider.create(fresh_name, 3)
    for number in range(3):
        outsider.produce(fresh_name, [b"%d" % number] * number, number)
    table = ListTable(3)
    async with following(kafka, fresh_name, table) as follower:
        states = [follower.state]
        await applied(follower, outsider, fresh_name, 3)
        assert [table.values(number) for number in range(3)] == [[], [b"1"], [b"2"] * 2]
        assert [*states, follower.state] == [FollowerState.LOADING, FollowerState.FOLLOWING]
        outsider.produce(fresh_name, [b"later", b"still later"])
        await applied(follower, outsider, fresh_name, 3)
        assert table.values(0) == [b"later", b"still later"]


async def test_a_table_that_knows_the_beginning_goes_on_from_there(
    kafka: LocalKafka, outsider: Outsider, fresh_name: str
) -> None:
    outsider.create(fresh_name, 2)
    outsider.produce(fresh_name, [b"1", b"2"])
    table = ListTable(2)
    async with following(kafka, fresh_name, table) as follower:
        await applied(follower, outsider, fresh_name, 2)
    outsider.produce(fresh_name, [b"3"])
    outsider.produce(fresh_name, [b"other"], 1)
    async with following(kafka, fresh_name, table) as follower:
        await applied(follower, outsider, fresh_name, 2)
    assert [table.values(number) for number in range(2)] == [[b"1", b"2", b"3"], [b"other"]]


async def test_a_large_backlog_is_applied_in_portions_with_turns_for_others_in_between(
    kafka: LocalKafka, outsider: Outsider, fresh_name: str
) -> None:
    outsider.create(fresh_name, 2)
    for number in range(2):
        outsider.produce(fresh_name, [b"%d" % index for index in range(20_000)], number)
    table, turns, portions = ListTable(2), 0, []
    table.applying = lambda: portions.append(turns)
    async with following(kafka, fresh_name, table) as follower:
        ends = {0: 20_000, 1: 20_000}
        while table.positions() != [20_000, 20_000]:
            turns += 1
            await asyncio.sleep(0)
        await follower.wait_applied(ends)
    for number in range(2):
        assert table.values(number) == [b"%d" % index for index in range(20_000)]
    assert len(set(portions)) > 40_000 / module.BATCH_RECORDS / 2


async def test_whoever_waits_is_woken_when_the_end_is_reached_and_not_before(
    kafka: LocalKafka, outsider: Outsider, fresh_name: str
) -> None:
    outsider.create(fresh_name)
    outsider.produce(fresh_name, [b"1"])
    async with following(kafka, fresh_name, ListTable()) as follower:
        await applied(follower, outsider, fresh_name)
        waiters = [asyncio.create_task(follower.wait_applied({0: end})) for end in (1, 2, 4)]
        outsider.produce(fresh_name, [b"2", b"3"])
        await asyncio.wait_for(asyncio.gather(*waiters[:2]), DEADLINE_S)
        assert not waiters[2].done()
        waiters[2].cancel()
        await asyncio.gather(waiters[2], return_exceptions=True)
        outsider.produce(fresh_name, [b"4"])
        await applied(follower, outsider, fresh_name)


async def test_before_the_log_was_compared_nothing_is_vouched_for(kafka: LocalKafka, fresh_name: str) -> None:
    follower = Follower(clients_for(kafka), fresh_name, ListTable())
    with pytest.raises(NotFreshError, match="not been compared"):
        await follower.wait_applied({0: 0})


async def test_markers_of_a_transaction_are_stepped_over(
    kafka: LocalKafka, outsider: Outsider, fresh_name: str
) -> None:
    """Events are written without transactions; whoever does it otherwise must not hold up everything for ever."""
    outsider.create(fresh_name, 2)
    table = ListTable(2)
    async with following(kafka, fresh_name, table) as follower:
        transaction = outsider.open_transaction(fresh_name, [b"1"], fresh_name)
        await applied(follower, outsider, fresh_name, 2)
        assert table.values() == [b"1"], "it counts from the moment it was acknowledged"
        await asyncio.to_thread(transaction.commit_transaction, DEADLINE_S)
        await until(lambda: outsider.end(fresh_name) == 2)
        await applied(follower, outsider, fresh_name, 2)
        assert table.positions() == [2, 0]
    outsider.produce(fresh_name, [b"2"])
    async with following(kafka, fresh_name, table) as follower:
        await applied(follower, outsider, fresh_name, 2)
    assert table.values() == [b"1", b"2"]


async def test_a_dead_fetch_task_is_noticed(
    kafka: LocalKafka, outsider: Outsider, fresh_name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """K15."""
    monkeypatch.setattr(module, "SILENCE_LIMIT_S", 0.3)
    outsider.create(fresh_name)
    clients, table = clients_for(kafka), ListTable()
    consumers: list[Any] = []
    build = clients.state_follower

    def noted() -> AIOKafkaConsumer:
        consumers.append(build())
        last: AIOKafkaConsumer = consumers[-1]
        return last

    monkeypatch.setattr(clients, "state_follower", noted)
    follower = Follower(clients, fresh_name, table)
    task = asyncio.create_task(follower.run())
    try:
        await applied(follower, outsider, fresh_name)
        consumers[-1]._fetcher._fetch_task.cancel()
        outsider.produce(fresh_name, [b"1"])
        await until(lambda: table.values() == [b"1"])
        assert len(consumers) == 2
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


@pytest.fixture
def mortal() -> Iterator[LocalKafka]:
    """A broker of this test alone."""
    with LocalKafka(LocalKafkaConfig()) as running:
        yield running


@pytest.mark.usefixtures("hasty")
async def test_it_goes_on_by_itself_after_the_broker_was_away_and_while_it_was_away_at_start(
    mortal: LocalKafka, fresh_name: str
) -> None:
    outsider, table = Outsider.of(mortal), ListTable()
    outsider.create(fresh_name)
    outsider.produce(fresh_name, [b"1"])
    async with following(mortal, fresh_name, table) as follower:
        await applied(follower, outsider, fresh_name)
        await asyncio.to_thread(mortal.brokers[0].kill)
        await until(lambda: follower.problem)
        with pytest.raises(NotFreshError):
            await follower.wait_applied({0: 1})
        await asyncio.to_thread(mortal.brokers[0].start)
        outsider.produce(fresh_name, [b"2"])
        await applied(follower, outsider, fresh_name)
    await asyncio.to_thread(mortal.brokers[0].stop)
    async with following(mortal, fresh_name, table) as follower:
        await until(lambda: follower.problem)
        await asyncio.to_thread(mortal.brokers[0].start)
        outsider.produce(fresh_name, [b"3"])
        await applied(follower, outsider, fresh_name)
    assert table.values() == [b"1", b"2", b"3"]


async def test_records_with_header_names_that_are_not_utf_8_are_applied_like_others(
    kafka: LocalKafka, outsider: Outsider, fresh_name: str
) -> None:
    """Nothing of what was read beside them from other partitions gets lost with the error."""
    outsider.create(fresh_name, 4)
    table = ListTable(4)
    expected = []
    for number in range(4):
        outsider.produce(fresh_name, [b"before"] * number, number)
        await send_misnamed(
            kafka.bootstrap_servers, fresh_name, [(b"%d" % number, "caf\xe9"), (b"next", "fine")], number
        )
        outsider.produce(fresh_name, [b"after"], number)
        expected.append([*[b"before"] * number, b"%d" % number, b"next", b"after"])
    async with following(kafka, fresh_name, table) as follower:
        await applied(follower, outsider, fresh_name, 4)
        outsider.produce(fresh_name, [b"later"])
        await applied(follower, outsider, fresh_name, 4)
    expected[0].append(b"later")
    assert [table.values(number) for number in range(4)] == expected
    await send_misnamed(kafka.bootstrap_servers, fresh_name, [(b"the last one applied", "caf\xe9")])
    async with following(kafka, fresh_name, table) as follower:
        await applied(follower, outsider, fresh_name, 4)
    async with following(kafka, fresh_name, table) as follower:
        await applied(follower, outsider, fresh_name, 4)
    assert table.values(0)[-1] == b"the last one applied"
