"""Records that are out of the ordinary, and outputs that do not take them: the stream goes on."""

from __future__ import annotations

import os

import pytest
from aiokafka import TopicPartition

from gateway.localkafka import LocalKafka
from gateway.streams.worker import PartitionWorker
from tests.kafka.outside import Outsider, clients_for, until
from tests.streams.misnaming import send_misnamed
from tests.streams.serving import Copier, Stage, group_offsets, numbers, working

COUNT = 40


@pytest.fixture
def stage(kafka: LocalKafka, fresh_name: str) -> Stage:
    return Stage.of(kafka, fresh_name)


LIMIT_BYTES = 4_000


@pytest.mark.parametrize("positions", [{0}, {39}, {7}, {7, 8}, {3, 17, 30}, set(range(12))], ids=str)
async def test_a_record_whose_outputs_no_topic_takes_gets_a_stand_in_and_the_stream_goes_on(
    kafka: LocalKafka, fresh_name: str, positions: set[int]
) -> None:
    stage = Stage.of(kafka, fresh_name, max_output_bytes=LIMIT_BYTES)
    values = [os.urandom(LIMIT_BYTES + 1) if number in positions else b"%d" % number for number in range(COUNT)]
    stage.request(values)
    async with working(kafka, stage, Copier(stage)):
        await stage.exact(COUNT)
    assert stage.outsider.values(stage.copies) == [
        b"stand-in" if number in positions else value for number, value in enumerate(values)
    ]


async def test_records_that_are_too_large_only_together_are_written_as_they_are(
    kafka: LocalKafka, fresh_name: str
) -> None:
    stage = Stage.of(kafka, fresh_name, max_output_bytes=LIMIT_BYTES)
    values = [os.urandom(LIMIT_BYTES // 3) for _ in range(COUNT)]
    stage.request(values)
    async with working(kafka, stage, Copier(stage)):
        await stage.exact(COUNT)
    assert stage.outsider.values(stage.copies) == values


async def test_header_names_that_are_not_utf_8_stop_nothing(kafka: LocalKafka, stage: Stage) -> None:
    stage.request([b"0"])
    await send_misnamed(kafka.bootstrap_servers, stage.requests, [(b"1", "caf\xe9"), (b"2", "fine"), (b"3", "caf\xe9")])
    stage.request([b"4"])
    async with working(kafka, stage, Copier(stage), batch_records=2):
        await stage.exact(5)
    assert stage.outsider.values(stage.copies) == numbers(5)


async def test_transactions_of_senders_are_read_when_they_are_committed_and_never_when_they_are_not(
    kafka: LocalKafka, stage: Stage
) -> None:
    outsider = stage.outsider
    outsider.produce(stage.requests, [b"committed"], transactional_id=stage.name)
    outsider.open_transaction(stage.requests, [b"taken back"], stage.name).abort_transaction(60)
    stage.request([b"plain"])
    async with working(kafka, stage, Copier(stage)):
        await until(lambda: outsider.values(stage.copies) == [b"committed", b"plain"])
        await until(lambda: stage.is_done(outsider.end(stage.requests)))


async def test_while_a_partition_of_the_outputs_is_missing_only_that_partition_waits(
    kafka: LocalKafka, fresh_name: str
) -> None:
    """Outputs are to grow first; in the other order nothing is lost."""
    outsider, stage = Outsider.of(kafka), Stage.of(kafka, fresh_name)
    outsider.grow(stage.requests, 2)
    stage.request([b"1"], 1)
    clients = clients_for(kafka)
    async with group_offsets(clients, stage.group) as committed:
        partition = TopicPartition(stage.requests, 1)
        worker = PartitionWorker(clients, stage.settings(), partition, committed, Copier(stage))
        await until(lambda: "has no partition 1" in str(worker.problem), lambda: worker.problem)
        outsider.grow(stage.copies, 2)
        outsider.grow(stage.decisions, 2)
        await stage.exact(1, 1)
        worker.stop()
        await worker.task
