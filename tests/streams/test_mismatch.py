"""A log that is not the one the table was built from: nothing of it is applied, and an operator is asked."""

from __future__ import annotations

import asyncio

import pytest

from gateway.localkafka import LocalKafka
from gateway.streams import follower as module
from gateway.streams.follower import Follower, FollowerState
from gateway.streams.quorum import NotFreshError
from tests.kafka.outside import DEADLINE_S, Outsider, until
from tests.streams.following import applied, following
from tests.streams.tables import ListTable

pytestmark = pytest.mark.usefixtures("hasty")


@pytest.fixture
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    """Short pauses and little patience, so that tests do not wait for them."""
    monkeypatch.setattr(module, "MISMATCH_PAUSE_S", 0.1)
    monkeypatch.setattr(module, "LONGEST_PAUSE_S", 0.1)
    monkeypatch.setattr(module, "SILENCE_LIMIT_S", 1.0)


@pytest.fixture
def outsider(kafka: LocalKafka) -> Outsider:
    return Outsider.of(kafka)


async def known(kafka: LocalKafka, outsider: Outsider, topic: str) -> ListTable:
    """A table of a log with two partitions and three records in the first."""
    outsider.create(topic, 2)
    outsider.produce(topic, [b"1", b"2", b"3"])
    table = ListTable(2)
    async with following(kafka, topic, table) as follower:
        await applied(follower, outsider, topic, 2)
    return table


async def mismatched(follower: Follower, reason: str) -> None:
    """Wait until the follower says so, then look that nothing is vouched for."""
    await until(lambda: follower.state is FollowerState.MISMATCH, lambda: follower.problem)
    assert reason in str(follower.problem)
    with pytest.raises(NotFreshError, match="does not match"):
        await follower.wait_applied({0: 0})


async def test_a_topic_that_was_re_created_empty_is_another_log(
    kafka: LocalKafka, outsider: Outsider, fresh_name: str
) -> None:
    table = await known(kafka, outsider, fresh_name)
    outsider.delete(fresh_name)
    outsider.create(fresh_name, 2)
    async with following(kafka, fresh_name, table) as follower:
        await mismatched(follower, "holds offsets 0 to 0, the view is at 3")
    assert table.positions() == [3, 0]


async def test_another_record_at_the_last_applied_offset_is_another_log_of_which_nothing_is_applied(
    kafka: LocalKafka, outsider: Outsider, fresh_name: str
) -> None:
    table = await known(kafka, outsider, fresh_name)
    outsider.delete(fresh_name)
    outsider.create(fresh_name, 2)
    outsider.produce(fresh_name, [b"1", b"2", b"3", b"4"])
    outsider.produce(fresh_name, [b"of the other log"] * 1_000, 1)
    async with following(kafka, fresh_name, table) as follower:
        await mismatched(follower, "another record at offset 2")
        assert table.values(1) == [], "not even of a partition we knew nothing of"
    assert table.positions() == [3, 0]


async def test_a_log_that_lost_its_beginning_cannot_be_compared(
    kafka: LocalKafka, outsider: Outsider, fresh_name: str
) -> None:
    table = await known(kafka, outsider, fresh_name)
    outsider.produce(fresh_name, [b"4"])
    outsider.delete_before(fresh_name, 4)
    async with following(kafka, fresh_name, table) as follower:
        await mismatched(follower, "holds offsets 4 to 4, the view is at 3")
    assert table.values() == [b"1", b"2", b"3"]


async def test_another_number_of_partitions_is_another_log(
    kafka: LocalKafka, outsider: Outsider, fresh_name: str
) -> None:
    table = await known(kafka, outsider, fresh_name)
    outsider.grow(fresh_name, 3)
    async with following(kafka, fresh_name, table) as follower:
        await mismatched(follower, "has 3 partitions, the view was built from 2")


async def test_a_topic_with_another_id_is_another_log_whatever_it_holds(
    kafka: LocalKafka, outsider: Outsider, fresh_name: str
) -> None:
    table = await known(kafka, outsider, fresh_name)
    table.bind("the id it had")
    async with following(kafka, fresh_name, table) as follower:
        await applied(follower, outsider, fresh_name, 2)
        assert not follower.bind("another id")
        follower.suspect("re-created")
        await mismatched(follower, "its topic id is another id now")
        outsider.produce(fresh_name, [b"of the other log"])
        assert follower.bind("the id it had")
        await applied(follower, outsider, fresh_name, 2)


async def test_a_running_follower_notices_that_its_log_was_re_created_and_recovers_when_the_old_one_is_back(
    kafka: LocalKafka, outsider: Outsider, fresh_name: str
) -> None:
    outsider.create(fresh_name, message_timestamp_type="CreateTime")
    original = {"timestamp": 1_763_900_000_000}
    table = ListTable()

    def fill(values: list[bytes]) -> None:
        outsider.produce(fresh_name, values, timestamp_ms=original["timestamp"])

    fill([b"1", b"2"])
    async with following(kafka, fresh_name, table) as follower:
        await applied(follower, outsider, fresh_name)
        outsider.delete(fresh_name)
        outsider.create(fresh_name, message_timestamp_type="CreateTime")
        follower.suspect("an end below what was applied")
        await mismatched(follower, "the view is at 2")
        fill([b"1", b"2", b"3"])  # as somebody who restores a topic from a mirror
        await applied(follower, outsider, fresh_name)
        assert follower.problem is None
    assert table.values() == [b"1", b"2", b"3"]


async def test_those_who_wait_hear_of_a_mismatch_at_once(
    kafka: LocalKafka, outsider: Outsider, fresh_name: str
) -> None:
    table = await known(kafka, outsider, fresh_name)
    async with following(kafka, fresh_name, table) as follower:
        await applied(follower, outsider, fresh_name, 2)
        waiting = asyncio.create_task(follower.wait_applied({0: 99}))
        outsider.delete(fresh_name)
        outsider.create(fresh_name, 2)
        follower.suspect("an end below what was applied")
        with pytest.raises(NotFreshError):
            await asyncio.wait_for(waiting, DEADLINE_S)


async def test_suspicion_of_a_log_that_is_right_after_all_changes_nothing(
    kafka: LocalKafka, outsider: Outsider, fresh_name: str
) -> None:
    table = await known(kafka, outsider, fresh_name)
    async with following(kafka, fresh_name, table) as follower:
        await applied(follower, outsider, fresh_name, 2)
        follower.suspect("a leader that thawed said so")
        with pytest.raises(NotFreshError, match="thawed"):
            await follower.wait_applied({0: 3})
        await applied(follower, outsider, fresh_name, 2)
    assert table.values() == [b"1", b"2", b"3"]
