"""Outputs are final once every transaction behind them has its marker; until then a partition is not served."""

from __future__ import annotations

import asyncio

import pytest

from gateway.localkafka import LocalKafka
from gateway.streams import settled
from gateway.streams.settled import OpenTransactionError, wait_settled
from tests.kafka.outside import DEADLINE_S, Outsider, clients_for

TOPICS = ("forwarded", "decisions")


@pytest.fixture
def outsider(kafka: LocalKafka, fresh_name: str) -> Outsider:
    found = Outsider.of(kafka)
    for topic in TOPICS:
        found.create(f"{fresh_name}-{topic}", 2)
        found.produce(f"{fresh_name}-{topic}", [b"before"], transactional_id=f"{fresh_name}-before")
    return found


def topics(name: str) -> list[str]:
    return [f"{name}-{topic}" for topic in TOPICS]


async def test_with_every_transaction_ended_it_returns(kafka: LocalKafka, outsider: Outsider, fresh_name: str) -> None:
    await wait_settled(clients_for(kafka), topics(fresh_name), 0)


async def test_a_transaction_without_its_marker_is_named_with_where_it_begins(
    kafka: LocalKafka, outsider: Outsider, fresh_name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """KAFKA-20734 leaves such a partition behind. Another partition number is nobody's business."""
    monkeypatch.setattr(settled, "PATIENCE_S", 0.2)
    open_one = outsider.open_transaction(f"{fresh_name}-decisions", [b"open"], fresh_name)
    with pytest.raises(OpenTransactionError, match=f"{fresh_name}-decisions-0.*from offset 2 on, the end is 3"):
        await wait_settled(clients_for(kafka), topics(fresh_name), 0)
    await wait_settled(clients_for(kafka), topics(fresh_name), 1)
    open_one.abort_transaction(DEADLINE_S)


@pytest.mark.parametrize("committed", [True, False])
async def test_a_marker_that_comes_in_time_is_waited_for(
    kafka: LocalKafka, outsider: Outsider, fresh_name: str, committed: bool
) -> None:
    open_one = outsider.open_transaction(f"{fresh_name}-forwarded", [b"open"], fresh_name)
    waiting = asyncio.create_task(wait_settled(clients_for(kafka), topics(fresh_name), 0), name="waiting")
    await asyncio.to_thread(
        open_one.commit_transaction if committed else open_one.abort_transaction,
        DEADLINE_S,
    )
    await waiting
