"""Where a partition is gone on with, when the group's offset and the outputs do not say the same."""

from __future__ import annotations

from collections.abc import Iterable

import pytest
from aiokafka.structs import OffsetAndMetadata

from gateway.localkafka import LocalKafka
from gateway.streams import resuming
from gateway.streams.resuming import BY_HAND, SIGHTINGS, Group, Position, position
from tests.kafka.outside import DEADLINE_S, clients_for, started, until
from tests.streams.serving import Stage, numbers

REQUESTS = 10


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resuming, "BETWEEN_SIGHTINGS_S", 0.0)


@pytest.fixture
def stage(kafka: LocalKafka, fresh_name: str) -> Stage:
    found = Stage.of(kafka, fresh_name)
    found.outsider.commit(found.group, found.requests, 0)
    found.request(numbers(REQUESTS))
    return found


async def commit_by_hand(kafka: LocalKafka, stage: Stage, offset: int) -> None:
    """As `sendguard skip` does. librdkafka would put a zero byte behind the metadata."""
    producer = clients_for(kafka).transactional_producer(stage.name)
    async with started(producer):
        await producer.begin_transaction()
        await producer.send_offsets_to_transaction({stage.partition: OffsetAndMetadata(offset, BY_HAND)}, stage.group)
        await producer.commit_transaction()
    await until(lambda: stage.is_done(offset))


async def found(
    kafka: LocalKafka, stage: Stage, offsets: Iterable[int | None], ends: Iterable[int | None]
) -> tuple[Position, int]:
    """Where it goes on, and how often it looked. Both answers, one look after the other; the last one stays."""
    offset_answers, end_answers = list(offsets), list(ends)
    looked = 0

    async def committed(_: object) -> int | None:
        nonlocal looked
        looked += 1
        return offset_answers.pop(0) if len(offset_answers) > 1 else offset_answers[0]

    async def outputs_end(_: int) -> int | None:
        return end_answers.pop(0) if len(end_answers) > 1 else end_answers[0]

    clients = clients_for(kafka)
    reader = clients.reader()
    async with started(reader):
        at = await position(reader, stage.partition, Group(clients, stage.group, committed), outputs_end)
    return at, looked


@pytest.mark.parametrize(
    ("offset", "end", "expected"),
    [
        pytest.param(None, None, 0, id="neither: the beginning"),
        pytest.param(4, None, 4, id="no outputs: the offset"),
        pytest.param(None, 6, 6, id="no offset: behind the outputs"),
        pytest.param(6, 6, 6, id="both the same"),
    ],
)
async def test_with_one_answer_or_two_equal_ones_it_looks_once(
    kafka: LocalKafka, stage: Stage, offset: int | None, end: int | None, expected: int
) -> None:
    assert await found(kafka, stage, [offset], [end]) == (Position(expected, 0, REQUESTS), 1)


async def test_an_offset_behind_the_outputs_would_decide_again_and_is_passed_over(
    kafka: LocalKafka, stage: Stage
) -> None:
    assert await found(kafka, stage, [3], [8]) == (Position(8, 0, REQUESTS), SIGHTINGS)


async def test_an_offset_before_requests_nobody_has_decided_goes_back_to_them(kafka: LocalKafka, stage: Stage) -> None:
    assert await found(kafka, stage, [8], [3]) == (Position(3, 0, REQUESTS), SIGHTINGS)


async def test_what_a_thawed_broker_says_for_a_moment_is_not_believed(kafka: LocalKafka, stage: Stage) -> None:
    """K17: it answers with the past; the past of either side must neither decide twice nor skip."""
    assert await found(kafka, stage, [8], [2, 2, 4, 8]) == (Position(8, 0, REQUESTS), 4)
    assert await found(kafka, stage, [2, 2, 4, 8], [8]) == (Position(8, 0, REQUESTS), 4)


async def test_an_offset_that_a_person_committed_counts_whatever_the_outputs_say(
    kafka: LocalKafka, stage: Stage
) -> None:
    """`outbound.requests` was re-created or lost its end, and `sendguard skip` said where to go on."""
    await commit_by_hand(kafka, stage, 3)
    assert await found(kafka, stage, [3], [8]) == (Position(3, 0, REQUESTS), 1)
    assert await found(kafka, stage, [3], [50]) == (Position(3, 0, REQUESTS), 1)
    stage.outsider.commit(stage.group, stage.requests, 3)
    assert (await found(kafka, stage, [3], [8]))[0] == Position(8, 0, REQUESTS)


async def test_requests_that_the_log_lost_are_not_gone_back_to(kafka: LocalKafka, stage: Stage) -> None:
    stage.outsider.delete_before(stage.requests, 6)
    assert await found(kafka, stage, [6], [3]) == (Position(6, 6, REQUESTS), 1)
    assert (await found(kafka, stage, [8], [3]))[0] == Position(6, 6, REQUESTS)


async def test_markers_of_a_senders_transactions_are_no_undecided_requests(kafka: LocalKafka, stage: Stage) -> None:
    transaction = stage.outsider.open_transaction(stage.requests, [b"in a transaction"], stage.name)
    transaction.commit_transaction(DEADLINE_S)
    end = REQUESTS + 2  # the request and the marker
    await until(lambda: stage.outsider.end(stage.requests, committed=True) == end)
    at, looked = await found(kafka, stage, [end], [REQUESTS + 1])
    assert (at.next_offset, looked) == (end, 1)
