"""The read-decide-write loop: every record once, whatever fails at whichever step; judged by an independent reader."""

from __future__ import annotations

import asyncio
import itertools

import pytest
from aiokafka import TopicPartition

from gateway.localkafka import LocalKafka
from gateway.streams import lane as lane_module
from gateway.streams import worker as module
from gateway.streams.outputs import Outputs
from gateway.streams.worker import Batch, PartitionWorker, WorkerState
from tests.kafka.outside import clients_for, until
from tests.streams.breaking import Fault, Step, When
from tests.streams.serving import Copier, Stage, copies_of, group_offsets, numbers, open_lane, working

COUNT = 40


@pytest.fixture(autouse=True)
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    """Short pauses, so that tests do not wait for them."""
    monkeypatch.setattr(module, "FIRST_PAUSE_S", 0.01)
    monkeypatch.setattr(module, "LONGEST_PAUSE_S", 0.1)


@pytest.fixture
def stage(kafka: LocalKafka, fresh_name: str) -> Stage:
    return Stage.of(kafka, fresh_name)


async def test_every_record_is_decided_once_and_in_order_also_those_that_come_later(
    kafka: LocalKafka, stage: Stage
) -> None:
    stage.request(numbers(COUNT))
    copier = Copier(stage)
    async with working(kafka, stage, copier) as worker:
        await stage.exact(COUNT)
        stage.request(numbers(5))
        await stage.exact(COUNT + 5)
        assert worker.state is WorkerState.SERVING
        await until(lambda: (worker.problem, worker.oldest_undecided) == (None, None))
    assert stage.outsider.values(stage.copies) == numbers(COUNT) + numbers(5)
    assert [offset for batch in copier.delivered_batches for offset in batch] == list(range(COUNT + 5))
    assert max(map(len, copier.delivered_batches)) <= 10


@pytest.mark.parametrize("when", When)
@pytest.mark.parametrize("step", Step)
async def test_an_error_at_any_step_costs_nothing_and_doubles_nothing(
    kafka: LocalKafka, stage: Stage, step: Step, when: When
) -> None:
    """Guarantee 2. A commit that was acknowledged, and whose answer was lost, is among them."""
    opening = step in (Step.FENCE_FIRST, Step.FENCE_SECOND, Step.COMMITTED, Step.SEEK)
    fault = Fault(step, when, at=0 if opening else 1)
    stage.request(numbers(COUNT))
    async with working(kafka, stage, Copier(stage), new_lane=fault.new_lane):
        await stage.exact(COUNT)
    assert fault.struck
    assert stage.is_exact(COUNT)


async def test_a_transform_that_is_not_fresh_is_asked_again_with_the_same_records(
    kafka: LocalKafka, stage: Stage
) -> None:
    stage.request(numbers(5))
    copier = Copier(stage, not_fresh=1_000_000)
    async with working(kafka, stage, copier) as worker:
        await until(lambda: worker.state is WorkerState.HELD_UP)
        assert worker.problem == "not yet"
        assert worker.oldest_undecided is not None
        await until(lambda: len(copier.asked) > 3)
        assert stage.decided() == []
        copier.not_fresh = 0
        await stage.exact(5)
        await until(lambda: worker.problem is None)
    assert all(offsets == copier.asked[0] for offsets in copier.asked[:-1] if offsets[0] == 0)


async def test_one_that_is_told_to_stop_while_it_is_not_fresh_ends_and_decides_nothing(
    kafka: LocalKafka, stage: Stage
) -> None:
    stage.request(numbers(5))
    async with working(kafka, stage, Copier(stage, not_fresh=1_000_000)) as worker:
        await until(lambda: worker.state is WorkerState.HELD_UP)
    assert stage.outsider.committed_offset(stage.group, stage.requests) is None
    async with working(kafka, stage, Copier(stage)):
        await stage.exact(5)


class Slow(Copier):
    """Holds a batch until it is let."""

    def __init__(self, stage: Stage) -> None:
        super().__init__(stage)
        self.has_one, self.let = asyncio.Event(), asyncio.Event()

    async def __call__(self, batch: Batch, outputs: Outputs) -> None:
        self.has_one.set()
        await self.let.wait()
        await super().__call__(batch, outputs)


async def test_one_that_is_told_to_stop_finishes_the_batch_at_hand_and_no_more(kafka: LocalKafka, stage: Stage) -> None:
    stage.request(numbers(COUNT))
    copier = Slow(stage)
    async with working(kafka, stage, copier) as worker:
        await copier.has_one.wait()
        worker.stop()
        copier.let.set()
    assert len(copier.delivered_batches) == 1
    await stage.exact(len(copier.delivered_batches[0]))


async def test_a_zombie_is_fenced_and_goes_on_when_the_partition_is_its_own_again(
    kafka: LocalKafka, stage: Stage
) -> None:
    stage.request(numbers(COUNT))
    copier = Slow(stage)
    async with working(kafka, stage, copier) as zombie:
        await copier.has_one.wait()  # as if it were frozen with a decided batch in its hands
        async with working(kafka, stage, Copier(stage)):
            await stage.exact(COUNT)
        copier.let.set()
        await until(lambda: "ProducerFenced" in str(zombie.problem), lambda: zombie.problem)
        assert stage.is_exact(COUNT)
        stage.request(numbers(3))
        await stage.exact(COUNT + 3)


async def test_with_ids_of_its_own_a_zombie_decides_again_what_others_decided(
    kafka: LocalKafka, stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The mechanism switched off: ids of the instance instead of the partition fence nobody (K6)."""
    instances = itertools.count()

    def of_the_instance(group_id: str, partition: TopicPartition) -> list[str]:
        return [f"{group_id}-{next(instances)}-{index}" for index in range(lane_module.PRODUCERS)]

    monkeypatch.setattr(lane_module, "transactional_ids", of_the_instance)
    stage.request(numbers(5))
    copier = Slow(stage)
    async with working(kafka, stage, copier):
        await copier.has_one.wait()
        async with working(kafka, stage, Copier(stage)):
            await stage.exact(5)
        copier.let.set()
        await until(lambda: len(stage.decided()) > 5)


async def test_two_that_believe_to_own_a_partition_decide_nothing_twice(kafka: LocalKafka, stage: Stage) -> None:
    stage.request(numbers(200))
    async with working(kafka, stage, Copier(stage), batch_records=2), working(kafka, stage, Copier(stage)):
        await stage.exact(200)


async def test_without_its_committed_offset_it_goes_on_where_the_transform_says(
    kafka: LocalKafka, stage: Stage
) -> None:
    stage.request(numbers(10))
    async with working(kafka, stage, Copier(stage)):
        await stage.exact(10)
    stage.outsider.forget_group(stage.group)
    stage.request(numbers(5))
    async with working(kafka, stage, Copier(stage, outputs_end_at=max(stage.decided()) + 1)):
        await stage.exact(15)


async def test_requests_that_are_lost_stop_the_partition_until_somebody_decides(
    kafka: LocalKafka, stage: Stage
) -> None:
    stage.request(numbers(10))
    stage.outsider.delete_before(stage.requests, 5)
    stage.outsider.commit(stage.group, stage.requests, 3)
    copier = Copier(stage)
    async with working(kafka, stage, copier) as worker:
        await until(lambda: worker.state is WorkerState.LOST_REQUESTS)
        assert "next undecided offset is 3, but the log holds 5 to 10" in str(worker.problem)
        assert "sendguard skip" in str(worker.problem)
        assert copier.asked == []
        stage.outsider.commit(stage.group, stage.requests, 5)
        await until(lambda: stage.decided() == [5, 6, 7, 8, 9], stage.decided)
        await until(lambda: worker.state is WorkerState.SERVING)


async def test_producers_are_renewed_without_anybody_noticing(
    kafka: LocalKafka, stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """K12."""
    monkeypatch.setattr(lane_module, "RECORDS_BEFORE_RENEWAL", 30)
    stage.request(numbers(COUNT))
    async with working(kafka, stage, Copier(stage)):
        await stage.exact(COUNT)


class Faulty(Copier):
    """Has a defect."""

    async def __call__(self, batch: Batch, outputs: Outputs) -> None:
        raise ZeroDivisionError


async def test_a_defect_ends_the_worker_instead_of_being_tried_again(kafka: LocalKafka, stage: Stage) -> None:
    stage.request([b"1"])
    with pytest.raises(ZeroDivisionError):
        async with working(kafka, stage, Faulty(stage)) as worker:
            await until(worker.task.done)


async def test_one_that_is_cancelled_leaves_nothing_running_and_nothing_half_done(
    kafka: LocalKafka, stage: Stage
) -> None:
    stage.request(numbers(COUNT))
    clients, copier, before = clients_for(kafka), Slow(stage), asyncio.all_tasks()
    async with group_offsets(clients, stage.group) as committed:
        worker = PartitionWorker(clients, stage.settings(), stage.partition, committed, copier)
        await copier.has_one.wait()
        worker.task.cancel()
        await asyncio.gather(worker.task, return_exceptions=True)
    await until(lambda: asyncio.all_tasks() == before)
    async with working(kafka, stage, Copier(stage)):
        await stage.exact(COUNT)


async def test_not_fresh_is_no_reason_for_a_new_lane(kafka: LocalKafka, stage: Stage) -> None:
    lanes: list[object] = []

    def noted(*args: object) -> lane_module.Lane:
        lanes.append(args)
        return lane_module.Lane(*args)  # type: ignore[arg-type]  # as they came

    stage.request(numbers(5))
    copier = Copier(stage, not_fresh=5)
    async with working(kafka, stage, copier, new_lane=noted):
        await stage.exact(5)
    assert len(lanes) == 1


async def test_a_delivery_that_another_owner_made_impossible_is_made_again_by_the_right_one(
    kafka: LocalKafka, stage: Stage
) -> None:
    stage.request(numbers(3))
    async with working(kafka, stage, Copier(stage)):
        await stage.exact(3)
        async with open_lane(kafka, stage) as intruder:
            await intruder.deliver(copies_of(intruder, stage, []), 3)
        stage.request(numbers(3))
        await stage.exact(6)
