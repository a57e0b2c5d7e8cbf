"""A lane: who fences whom, where reading begins, and that one delivery is all or nothing."""

from __future__ import annotations

import asyncio
import os
from typing import Any

import pytest
from aiokafka import TopicPartition
from aiokafka.errors import MessageSizeTooLargeError, OffsetOutOfRangeError, ProducerFenced

from gateway.localkafka import LocalKafka
from gateway.streams import lane as module
from gateway.streams.lane import PRODUCERS, LaneError, RequestsLostError, transactional_ids
from tests.kafka.outside import until
from tests.streams.serving import Stage, copies_of, open_lane, read_some


@pytest.fixture
def stage(kafka: LocalKafka, fresh_name: str) -> Stage:
    found = Stage.of(kafka, fresh_name)
    found.request([b"%d" % number for number in range(20)])
    return found


async def deliver(lane: Any, stage: Stage, offsets: list[int]) -> None:
    await lane.deliver(copies_of(lane, stage, offsets), offsets[-1] + 1)


def test_the_ids_of_producers_are_those_of_the_input_partition_in_the_order_of_fencing() -> None:
    """K6: never of an instance."""
    assert transactional_ids("guard", TopicPartition("requests", 3)) == ["guard-requests-3-0", "guard-requests-3-1"]
    assert PRODUCERS == 2


async def test_without_an_offset_it_begins_at_the_beginning_or_where_it_is_told(
    kafka: LocalKafka, stage: Stage
) -> None:
    async with open_lane(kafka, stage) as lane:
        assert await lane.position() == 0
        assert await read_some(lane, 3) == [0, 1, 2]
        assert await lane.position() == 3
    async with open_lane(kafka, stage, 7) as lane:
        assert await lane.position() == 7


async def test_outputs_and_offset_are_visible_together_or_not_at_all(kafka: LocalKafka, stage: Stage) -> None:
    async with open_lane(kafka, stage) as lane:
        assert await read_some(lane, 5) == [0, 1, 2, 3, 4]
        await deliver(lane, stage, [0, 1, 2, 3, 4])
        await stage.exact(5)
        (broken,) = lane._producers[1:]

        async def fails(*_: object) -> None:
            raise MessageSizeTooLargeError

        broken.send_offsets_to_transaction = fails  # type: ignore[method-assign]  # after its outputs were acknowledged
        with pytest.raises(MessageSizeTooLargeError):
            await deliver(lane, stage, [5, 6])
        assert stage.decided() == [0, 1, 2, 3, 4]
        assert len(stage.outsider.values(stage.decisions, committed=False)) > 5
    async with open_lane(kafka, stage) as lane:
        assert await lane.position() == 5
        await deliver(lane, stage, [5])
        await stage.exact(6)


async def test_producers_are_used_in_turn_beginning_with_number_0(kafka: LocalKafka, stage: Stage) -> None:
    """K11, and the model."""
    async with open_lane(kafka, stage) as lane:
        used: list[int] = []
        for index, producer in enumerate(lane._producers):
            producer.begin_transaction = noting(producer.begin_transaction, used, index)  # type: ignore[method-assign]
        for offset in range(5):
            await deliver(lane, stage, [offset])
        assert used == [0, 1, 0, 1, 0]
        await stage.exact(5)


def noting(call: Any, notes: list[int], index: int) -> Any:
    async def noted() -> None:
        notes.append(index)
        await call()

    return noted


async def test_of_two_owners_the_first_to_open_can_deliver_nothing_any_more(kafka: LocalKafka, stage: Stage) -> None:
    """Several times: what it is told depends on when aiokafka hears of it."""
    for offset in range(4):
        async with open_lane(kafka, stage) as zombie, open_lane(kafka, stage) as owner:
            with pytest.raises(ProducerFenced):
                await deliver(zombie, stage, [offset])
            await deliver(owner, stage, [offset])
            with pytest.raises(ProducerFenced):
                await deliver(zombie, stage, [offset])
    await stage.exact(4)


async def test_a_successor_ends_the_transaction_of_one_that_died_in_the_middle(kafka: LocalKafka, stage: Stage) -> None:
    async with open_lane(kafka, stage) as dies:
        await deliver(dies, stage, [0])
        producer = dies._producers[1]
        await producer.begin_transaction()
        await (await producer.send(stage.decisions, b"1", partition=0))
        async with open_lane(kafka, stage) as successor:
            assert await successor.position() == 1
            await deliver(successor, stage, [1, 2])
            await stage.exact(3)


async def test_an_output_the_topic_does_not_take_is_an_error_of_the_delivery(
    kafka: LocalKafka, fresh_name: str
) -> None:
    """K5."""
    stage = Stage.of(kafka, fresh_name, max_output_bytes=1_000)
    stage.request([b"1"])
    async with open_lane(kafka, stage) as lane:
        outputs = copies_of(lane, stage, [0])
        outputs.append(stage.copies, None, os.urandom(5_000), 0)
        with pytest.raises(MessageSizeTooLargeError):
            await lane.deliver(outputs, 1)
    assert stage.outsider.committed_offset(stage.group, stage.requests) is None
    assert stage.decided() == []


async def test_an_output_topic_with_too_few_partitions_is_an_error_of_this_lane_alone(
    kafka: LocalKafka, stage: Stage
) -> None:
    async with open_lane(kafka, stage) as lane:
        outputs = lane.outputs()
        outputs.partition = 7
        outputs.append(stage.copies, None, b"x", 0)
        with pytest.raises(LaneError, match="has no partition 7"):
            await lane.deliver(outputs, 1)


@pytest.mark.parametrize(("committed", "expected"), [(3, "holds 5 to 20"), (21, "holds 5 to 20")])
async def test_an_offset_outside_the_log_is_not_guessed_about(
    kafka: LocalKafka, stage: Stage, committed: int, expected: str
) -> None:
    stage.outsider.delete_before(stage.requests, 5)
    stage.outsider.commit(stage.group, stage.requests, committed)
    with pytest.raises(RequestsLostError, match=expected) as lost:
        async with open_lane(kafka, stage):
            pass
    assert (lost.value.next_offset, lost.value.begin, lost.value.end) == (committed, 5, 20)


async def test_requests_that_are_deleted_before_they_are_read_are_an_error_and_not_a_gap(
    kafka: LocalKafka, stage: Stage
) -> None:
    """K25."""
    async with open_lane(kafka, stage) as lane:
        assert await read_some(lane, 2) == [0, 1]
        stage.outsider.delete_before(stage.requests, 10)
        lane._reader.seek(stage.partition, 2)
        with pytest.raises(OffsetOutOfRangeError):
            await read_some(lane)


async def test_records_below_the_position_are_never_read_again_unnoticed(kafka: LocalKafka, stage: Stage) -> None:
    """K10."""
    async with open_lane(kafka, stage) as lane:
        await read_some(lane, 5)
        assert await lane.position() == 5
        lane._reader.seek(stage.partition, 0)
        with pytest.raises(LaneError, match="read offset 0 instead of 5 or later"):
            await read_some(lane)


async def test_a_reader_that_stands_still_is_noticed(
    kafka: LocalKafka, stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """K15."""
    monkeypatch.setattr(module, "READS_BEFORE_CHECK", 2)
    async with open_lane(kafka, stage) as lane:
        fetcher: Any = lane._reader._fetcher
        fetcher._fetch_task.cancel()
        with pytest.raises(LaneError, match="stands still at 0, the end is 20"):
            await read_some(lane)


async def test_a_reader_at_the_end_may_wait_for_ever(
    kafka: LocalKafka, stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "READS_BEFORE_CHECK", 1)
    monkeypatch.setattr(module, "READ_MS", 1)
    async with open_lane(kafka, stage) as lane:
        assert len(await read_some(lane)) == 20
        for _ in range(10):
            assert list(await lane.read(10)) == []
        transaction = stage.outsider.open_transaction(stage.requests, [b"open"], stage.name)
        for _ in range(10):
            assert list(await lane.read(10)) == []
        await asyncio.to_thread(transaction.commit_transaction, 60)
        assert await read_some(lane) == [20]


async def test_producers_are_renewed_before_their_sequence_numbers_run_out(
    kafka: LocalKafka, stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """K12."""
    monkeypatch.setattr(module, "RECORDS_BEFORE_RENEWAL", 6)
    async with open_lane(kafka, stage) as lane:
        for offset in range(3):
            await lane.read(1)
            await deliver(lane, stage, [offset])
        with pytest.raises(LaneError, match="renewed after 6 records"):
            await lane.read(1)


async def test_a_closed_lane_leaves_nothing_running(kafka: LocalKafka, stage: Stage) -> None:
    before = asyncio.all_tasks()
    async with open_lane(kafka, stage) as lane:
        await read_some(lane)
    await until(lambda: asyncio.all_tasks() == before)


@pytest.mark.parametrize("turns", range(4))
async def test_a_close_that_is_cancelled_closes_all_the_same(kafka: LocalKafka, stage: Stage, turns: int) -> None:
    """A worker that is late is cancelled, maybe while it closes its lane."""
    before = asyncio.all_tasks()
    async with open_lane(kafka, stage) as lane:
        closing = asyncio.create_task(lane.close())
        for _ in range(turns):
            await asyncio.sleep(0)
        closing.cancel()
        await asyncio.gather(closing, return_exceptions=True)
        if turns:
            assert all(producer._closed for producer in lane._producers)
    await until(lambda: asyncio.all_tasks() == before)
