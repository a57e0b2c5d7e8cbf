"""The last committed record of a partition, whatever comes behind it."""

from __future__ import annotations

import pytest
from aiokafka.errors import KafkaError

from gateway.localkafka import LocalKafka
from gateway.streams.tail import FIRST_STEP_BACK, last_record
from tests.kafka.outside import DEADLINE_S, Outsider, clients_for


async def last_value(kafka: LocalKafka, topic: str, partition: int = 0) -> bytes | None:
    last = await last_record(clients_for(kafka).reader(), topic, partition, lambda value: value != b"unwanted")
    return None if last is None else last.value


@pytest.fixture
def outsider(kafka: LocalKafka, fresh_name: str) -> Outsider:
    found = Outsider.of(kafka)
    found.create(fresh_name, 2)
    return found


async def test_an_empty_partition_has_none(kafka: LocalKafka, outsider: Outsider, fresh_name: str) -> None:
    assert await last_value(kafka, fresh_name) is None


@pytest.mark.parametrize("count", [1, FIRST_STEP_BACK, FIRST_STEP_BACK + 1, 100])
async def test_it_is_the_last_one_however_many_there_are(
    kafka: LocalKafka, outsider: Outsider, fresh_name: str, count: int
) -> None:
    outsider.produce(fresh_name, [b"%d" % number for number in range(count)])
    outsider.produce(fresh_name, [b"of another partition"], 1)
    assert await last_value(kafka, fresh_name) == b"%d" % (count - 1)
    assert await last_value(kafka, fresh_name, 1) == b"of another partition"


@pytest.mark.parametrize("taken_back", [1, FIRST_STEP_BACK * 20])
async def test_markers_and_what_was_taken_back_are_looked_behind(
    kafka: LocalKafka, outsider: Outsider, fresh_name: str, taken_back: int
) -> None:
    outsider.produce(fresh_name, [b"1", b"the last one"], transactional_id=fresh_name)
    transaction = outsider.open_transaction(fresh_name, [b"taken back"] * taken_back, fresh_name)
    transaction.abort_transaction(DEADLINE_S)
    for _ in range(FIRST_STEP_BACK):
        outsider.open_transaction(fresh_name, [b"taken back"], fresh_name).abort_transaction(DEADLINE_S)
    assert await last_value(kafka, fresh_name) == b"the last one"


async def test_with_nothing_but_markers_there_is_none(kafka: LocalKafka, outsider: Outsider, fresh_name: str) -> None:
    outsider.open_transaction(fresh_name, [b"taken back"] * 50, fresh_name).abort_transaction(DEADLINE_S)
    assert await last_value(kafka, fresh_name) is None


async def test_what_is_not_wanted_is_looked_behind_however_much_it_is(
    kafka: LocalKafka, outsider: Outsider, fresh_name: str
) -> None:
    outsider.produce(fresh_name, [b"1", b"2", *[b"unwanted"] * 2_000])
    assert await last_value(kafka, fresh_name) == b"2"


async def test_what_retention_deleted_is_not_looked_for(kafka: LocalKafka, outsider: Outsider, fresh_name: str) -> None:
    outsider.produce(fresh_name, [b"%d" % number for number in range(10)])
    outsider.delete_before(fresh_name, 10)
    assert await last_value(kafka, fresh_name) is None


async def test_a_topic_that_is_not_there_is_an_error(kafka: LocalKafka, fresh_name: str) -> None:
    with pytest.raises((KafkaError, TimeoutError)):
        await last_value(kafka, fresh_name)
