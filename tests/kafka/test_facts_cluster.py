"""Facts that need a broker to go away."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
from aiokafka.errors import KafkaError

from gateway.localkafka import LocalKafka
from tests.kafka.outside import DEADLINE_S, Outsider, clients_for, started, until

pytestmark = pytest.mark.cluster


@pytest.fixture
async def mortal(cluster: LocalKafka) -> AsyncIterator[LocalKafka]:
    """The cluster; every broker runs again afterwards."""
    yield cluster
    await asyncio.to_thread(cluster.start_all)


async def test_k13_a_batch_that_expires_leaves_a_producer_unusable(mortal: LocalKafka, fresh_name: str) -> None:
    """K13: its sequence numbers have a gap. Hence any error of a producer ends it, and a new one is made."""
    outsider = Outsider.of(mortal)
    outsider.create(fresh_name, replicas=1, min_insync_replicas=1)
    leader = mortal.brokers[outsider.leader(fresh_name) - 1]
    producer = clients_for(mortal).signal_producer()
    producer._message_accumulator._batch_ttl = 1.0
    async with started(producer):
        await producer.send_and_wait(fresh_name, b"before", partition=0)
        await asyncio.to_thread(leader.kill)
        await until(lambda: outsider.leader(fresh_name) == -1)
        with pytest.raises(KafkaError):
            await asyncio.wait_for(producer.send_and_wait(fresh_name, b"expired", partition=0), DEADLINE_S)
        await asyncio.to_thread(leader.start)
        await until(lambda: outsider.leader(fresh_name) == leader.node_id)
        for _ in range(2):
            with pytest.raises(KafkaError):
                await asyncio.wait_for(producer.send_and_wait(fresh_name, b"after", partition=0), DEADLINE_S)
    successor = clients_for(mortal).signal_producer()
    async with started(successor):
        await successor.send_and_wait(fresh_name, b"by a new one", partition=0)
    assert outsider.values(fresh_name) == [b"before", b"by a new one"]
