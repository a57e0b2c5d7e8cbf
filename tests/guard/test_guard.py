"""The guard as a transform: barrier first, decisions counted when committed, and where it goes on without an offset."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any

import pytest
from aiokafka import ConsumerRecord, TopicPartition

from gateway.contract.topics import Topics
from gateway.dnd.model import Channel
from gateway.dnd.record import Record
from gateway.guard.deciding import Tally
from gateway.guard.guard import Guard, behind_last_decision
from gateway.localkafka import LocalKafka
from gateway.settings import Settings
from gateway.streams import settled
from gateway.streams.clients import Clients
from gateway.streams.misnamed import MisnamedRecord, WithMisnamed
from gateway.streams.outputs import Outputs
from gateway.streams.quorum import NotFreshError
from gateway.streams.settled import OpenTransactionError, wait_settled
from gateway.streams.worker import Batch
from tests.guard.batches import CONTACT, PARTITION, TOPICS, HoldsInADict, held, value
from tests.kafka.outside import Given, Outsider, clients_for

INPUT = TopicPartition(TOPICS.requests, PARTITION)


class Untouchable:
    """A view that may not be looked at now."""

    def positions(self) -> Sequence[int]:
        raise AssertionError("the view was asked before the barrier passed")

    def lookup(self, keys: Sequence[bytes]) -> Sequence[Record | None]:
        raise AssertionError("the view was asked before the barrier passed")


class Holding:
    """A barrier that does not pass."""

    async def passed(self) -> None:
        raise NotFreshError("the view may be behind")


class Passing:
    """A barrier that passes, once what is still to be applied has been."""

    def __init__(self, apply: Callable[[], None] = lambda: None) -> None:
        self._apply = apply

    async def passed(self) -> None:
        self._apply()


class OpenBatch:
    """Collects what would go into a Kafka record batch."""

    def __init__(self) -> None:
        self.records: list[dict[str, Any]] = []

    def append(self, **record: Any) -> object:
        self.records.append(record)
        return self


def record(offset: int, kind: type[Any] = ConsumerRecord, **changes: Any) -> Any:
    given: dict[str, Any] = {
        "topic": INPUT.topic,
        "partition": INPUT.partition,
        "offset": offset,
        "timestamp": 1,
        "timestamp_type": 1,
        "key": b"k",
        "value": value(),
        "checksum": None,
        "serialized_key_size": 1,
        "serialized_value_size": 1,
        "headers": (),
    }
    return kind(**given | changes)


def guard_with(view: Any, barrier: Any, tallies: list[Tally] | None = None) -> Guard:
    clients = Clients(Settings.of().kafka)
    noted: list[Tally] = [] if tallies is None else tallies
    return Guard(clients, TOPICS, view, barrier, lambda _: None, noted.append)


def collect() -> tuple[Outputs, Any]:
    outputs = Outputs(OpenBatch, PARTITION)  # type: ignore[arg-type]  # a batch that can be looked into

    def written(topic: str) -> list[dict[str, Any]]:
        return [each for name, batch in outputs.batches() if name == topic for each in batch.records]  # type: ignore[attr-defined]

    return outputs, written


async def test_while_the_barrier_holds_nothing_is_looked_up_and_nothing_is_written() -> None:
    outputs, _ = collect()
    with pytest.raises(NotFreshError):
        await guard_with(Untouchable(), Holding())(Batch(INPUT, [record(1), record(2, value=b"")]), outputs)
    assert outputs.batches() == []


async def test_what_is_applied_before_the_barrier_passes_counts() -> None:
    view = HoldsInADict({})
    outputs, written = collect()
    await guard_with(view, Passing(lambda: view.hold({CONTACT: held()})))(Batch(INPUT, [record(1)]), outputs)
    (decision,) = [json.loads(each["value"]) for each in written(TOPICS.decisions)]
    assert decision["outcome"] == "dropped"


async def test_decisions_count_once_they_are_committed() -> None:
    tallies: list[Tally] = []
    guard = guard_with(HoldsInADict({}), Passing(), tallies)
    first, second = Batch(INPUT, [record(1), record(2)]), Batch(INPUT, [record(1)])
    await guard(first, collect()[0])
    assert tallies == []
    await guard(second, collect()[0])  # the first one was not delivered; a smaller one is tried
    guard.delivered(second)
    assert tallies == [{("SMS", "forwarded", ""): 1}]
    guard.delivered(second)
    assert len(tallies) == 1


async def test_a_request_whose_header_names_are_not_utf_8_is_refused_alone() -> None:
    headers = (("caf\\xe9", b"1"),)
    records = WithMisnamed([record(1), record(2, MisnamedRecord, headers=headers), record(3)])
    outputs, written = collect()
    await guard_with(HoldsInADict({}), Passing())(Batch(INPUT, records), outputs)
    decisions = [json.loads(each["value"]) for each in written(TOPICS.decisions)]
    assert [decision["outcome"] for decision in decisions] == ["forwarded", "invalid", "forwarded"]
    assert decisions[1]["reasons"] == [{"field": "headers", "expected": "names in UTF-8"}]
    assert decisions[1]["request_id"] == "r-1"
    (letter,) = written(TOPICS.dead)
    assert (letter["key"], letter["value"], letter["headers"][0]) == (b"k", value(), headers[0])


async def test_a_misnamed_request_in_a_batch_with_other_faults_stays_refused() -> None:
    twice = value()[:-1] + b',"to":"+14155550000"}'
    records = WithMisnamed([record(1, value=twice), record(2, MisnamedRecord)])
    outputs, written = collect()
    await guard_with(HoldsInADict({}), Passing())(Batch(INPUT, records), outputs)
    decisions = [json.loads(each["value"]) for each in written(TOPICS.decisions)]
    assert [decision["reasons"][0]["field"] for decision in decisions] == ["to", "headers"]


async def test_without_an_offset_it_goes_on_behind_the_last_decision(kafka: LocalKafka, fresh_name: str) -> None:
    outsider, topics, clients = Outsider.of(kafka), Topics(f"{fresh_name}."), clients_for(kafka)
    outsider.create(topics.decisions, 2)
    assert await behind_last_decision(clients, topics, 0) is None
    decisions = [json.dumps({"decision_id": f"{topics.requests}-0-{offset}"}).encode() for offset in (7, 8, 41)]
    outsider.produce(topics.decisions, decisions[:2], transactional_id=fresh_name)
    await wait_settled(clients, [topics.decisions], 0)  # K3: a commit that is acknowledged is not visible at once
    assert await behind_last_decision(clients, topics, 0) == 9
    outsider.produce(topics.decisions, decisions[2:], transactional_id=fresh_name)
    outsider.open_transaction(topics.decisions, decisions[:1], fresh_name).abort_transaction(60)
    await wait_settled(clients, [topics.decisions], 0)
    assert await behind_last_decision(clients, topics, 0) == 42
    assert await behind_last_decision(clients, topics, 1) is None


async def test_what_somebody_else_wrote_to_the_decisions_is_looked_behind(kafka: LocalKafka, fresh_name: str) -> None:
    """A test message must not keep a guard without an offset from starting for ever, nor lead it astray."""
    outsider, topics, clients = Outsider.of(kafka), Topics(f"{fresh_name}."), clients_for(kafka)
    outsider.create(topics.decisions)
    outsider.produce(topics.decisions, [json.dumps({"decision_id": f"{topics.requests}-0-7"}).encode()])
    others = [b"hello", b"", b'{"decision_id":"x"}', json.dumps({"decision_id": f"{topics.requests}-1-999"}).encode()]
    outsider.produce(topics.decisions, [*others, Given(None, b"k")] * 10)
    assert await behind_last_decision(clients, topics, 0) == 8


async def test_while_a_transaction_stays_open_in_an_output_the_partition_is_not_served(
    kafka: LocalKafka, fresh_name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """KAFKA-20734: what comes next would decide over it."""
    monkeypatch.setattr(settled, "PATIENCE_S", 0.2)
    outsider, topics, clients = Outsider.of(kafka), Topics(f"{fresh_name}."), clients_for(kafka)
    for topic in (*topics.outputs, topics.decisions, topics.dead):
        outsider.create(topic)
    guard = Guard(clients, topics, Untouchable(), Holding(), lambda _: None, lambda _: None)
    assert await guard.outputs_end(0) is None
    open_one = outsider.open_transaction(topics.output(Channel.SMS), [b"open"], fresh_name)
    with pytest.raises(OpenTransactionError, match=topics.output(Channel.SMS)):
        await guard.outputs_end(0)
    open_one.abort_transaction(60)
    assert await guard.outputs_end(0) is None
