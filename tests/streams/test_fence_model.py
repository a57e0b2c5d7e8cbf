"""The fencing protocol of the lane, as the code runs it, walked through all interleavings.

The protocol is not written down here again: a lane opens and delivers on producers that note what is asked of them, and
what they noted is what the model is given.
"""

from __future__ import annotations

import asyncio
from typing import cast

import pytest
from aiokafka import TopicPartition

from gateway.streams.clients import Clients
from gateway.streams.lane import PRODUCERS, Lane, transactional_ids
from tests.streams.fence_model import Bounds, DoubleDecisionError, Protocol, search

INPUT = TopicPartition("requests", 3)
GROUP = "guard"

TWO_FOR_LONG, THREE_THAT_MEET = (2, Bounds(transactions=4, restarts=2)), (3, Bounds(transactions=2, restarts=1))
"""How many owners, and how much each does: 39,000 and 190,000 states with two producers."""


class NotingProducer:
    """Does nothing, and notes the beginning and end of each start, and each transaction."""

    def __init__(self, identity: str, notes: list[tuple[str, str]]) -> None:
        self._identity = identity
        self._notes = notes

    async def start(self) -> None:
        self._notes.append(("starts", self._identity))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        self._notes.append(("started", self._identity))

    async def begin_transaction(self) -> None:
        self._notes.append(("begins", self._identity))

    async def send_offsets_to_transaction(self, offsets: object, group_id: str) -> None: ...

    async def commit_transaction(self) -> None:
        self._notes.append(("committed", self._identity))

    def create_batch(self) -> None: ...


class EmptyReader:
    """A reader of a partition without records."""

    async def start(self) -> None: ...

    async def beginning_offsets(self, partitions: list[TopicPartition]) -> dict[TopicPartition, int]:
        return dict.fromkeys(partitions, 0)

    end_offsets = beginning_offsets

    def assign(self, partitions: object) -> None: ...

    def seek(self, partition: object, offset: int) -> None: ...


class NotingClients:
    """Builds these."""

    def __init__(self) -> None:
        self.notes: list[tuple[str, str]] = []

    def transactional_producer(self, transactional_id: str) -> NotingProducer:
        return NotingProducer(transactional_id, self.notes)

    def reader(self) -> EmptyReader:
        return EmptyReader()


async def notes_of_a_lane(transactions: int) -> tuple[list[tuple[str, str]], int]:
    """What a lane asks of its producers, and how much of that was asked before the offset was read."""
    clients = NotingClients()
    lane = Lane(cast(Clients, clients), GROUP, INPUT)
    before_reading = -1

    async def committed(_: TopicPartition) -> int:
        nonlocal before_reading
        before_reading = len(clients.notes)
        return 0

    async def outputs_end(_: int) -> None: ...

    await lane.open(committed, outputs_end)
    for _ in range(transactions):
        await lane.deliver(lane.outputs(), 0)
    return clients.notes, before_reading


async def protocol_of_the_lane() -> Protocol:
    ids = transactional_ids(GROUP, INPUT)
    notes, before_reading = await notes_of_a_lane(transactions=2 * PRODUCERS)
    starts = notes[:before_reading]
    one_after_another = [(what, identity) for _, identity in starts[::2] for what in ("starts", "started")]
    assert starts == one_after_another, "each start ends before the next one begins, and all before the offset is read"
    assert [identity for _, identity in starts[::2]] == ids
    turns = [ids.index(identity) for what, identity in notes if what == "begins"]
    assert turns == [(turns[0] + step) % PRODUCERS for step in range(len(turns))], "in turn"
    assert [what for what, _ in notes[before_reading:]] == ["begins", "committed"] * len(turns)
    order = tuple(ids.index(identity) for _, identity in starts[::2])
    return Protocol(PRODUCERS, frozenset({order}), frozenset({turns[0]}))


async def test_the_lane_fences_in_one_order_and_begins_on_the_first_producer() -> None:
    assert await protocol_of_the_lane() == Protocol(2, frozenset({(0, 1)}), frozenset({0}))


@pytest.mark.parametrize(("owners", "bounds"), [TWO_FOR_LONG, THREE_THAT_MEET], ids=str)
async def test_as_the_lane_does_it_no_record_is_decided_twice(owners: int, bounds: Bounds) -> None:
    assert search([await protocol_of_the_lane()] * owners, bounds) > 30_000


def finds_a_double_decision(*protocols: Protocol) -> bool:
    _, bounds = TWO_FOR_LONG
    try:
        search(protocols, bounds)
    except DoubleDecisionError:
        return True
    return False


@pytest.mark.parametrize("producers", [2, 3])
def test_fenced_at_the_same_time_a_record_can_be_decided_twice(producers: int) -> None:
    assert finds_a_double_decision(*[Protocol.any_order(producers)] * 2)


@pytest.mark.parametrize("producers", [2, 3])
def test_begun_on_any_producer_a_record_can_be_decided_twice(producers: int) -> None:
    assert finds_a_double_decision(*[Protocol.any_first(producers)] * 2)


@pytest.mark.parametrize("first", [0, 1])
@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_the_first_transaction_must_be_where_fencing_began(order: tuple[int, int], first: int) -> None:
    protocol = Protocol(2, frozenset({order}), frozenset({first}))
    assert finds_a_double_decision(protocol, protocol) == (first != order[0])


def test_every_owner_must_have_the_same_number_of_producers() -> None:
    """Hence PRODUCERS is no setting."""
    one, two = (Protocol(count, frozenset({tuple(range(count))}), frozenset({0})) for count in (1, 2))
    assert not finds_a_double_decision(one, one)
    assert not finds_a_double_decision(two, two)
    assert finds_a_double_decision(one, two)
