"""No provider call begins later than 250 ms after an opt-out's acknowledgement, whatever the message waited for.

Counted at the provider's own log of calls, not in ours (R22, guarantee 1).
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from gateway.localkafka import LocalKafka, LocalKafkaConfig
from tests.consumers.dispatch.leaks import Dispatcher, Stage, dispatcher, waiting_messages
from tests.running import until


@dataclass(frozen=True, slots=True)
class Size:
    """`deaths` of the dispatcher and `outages` of Kafka within some `seconds`; `messages` of each location."""

    seconds: float
    deaths: int
    outages: int
    messages: int


SHORT = Size(5.0, 2, 1, 100)
LONG = Size(150.0, 25, 8, 1_500)


@pytest.fixture(scope="module")
def mortal_kafka() -> Iterator[LocalKafka]:
    """A broker of our own: it is killed."""
    with LocalKafka(LocalKafkaConfig()) as running:
        yield running


async def deaths_of(stage: Stage, process: Dispatcher, size: Size) -> None:
    """Each some time after it has begun to call again."""
    for _ in range(size.deaths):
        await asyncio.sleep(stage.chance.uniform(0.3, size.seconds / size.deaths))
        await process.kill()
        await process.start()
        await stage.more_calls()


async def outages_of(kafka: LocalKafka, stage: Stage, size: Size) -> None:
    for _ in range(size.outages):
        await asyncio.sleep(stage.chance.uniform(0.3, size.seconds / size.outages))
        (broker,) = kafka.brokers
        await asyncio.to_thread(broker.kill)
        await asyncio.to_thread(broker.start)


@pytest.mark.parametrize("size", [SHORT, pytest.param(LONG, marks=[pytest.mark.soak, pytest.mark.timeout(900)])])
async def test_no_call_begins_after_an_opt_out_was_acknowledged_whatever_is_killed(
    mortal_kafka: LocalKafka, tmp_path: Path, fresh_name: str, size: Size
) -> None:
    async with waiting_messages(mortal_kafka, tmp_path, fresh_name, size.messages) as stage:
        async with dispatcher(stage) as process:
            async with asyncio.TaskGroup() as people:
                opting_out = people.create_task(stage.opt_outs(), name="opt-outs")
                async with asyncio.TaskGroup() as faults:
                    faults.create_task(deaths_of(stage, process, size), name="deaths")
                    faults.create_task(outages_of(mortal_kafka, stage, size), name="outages")
                opting_out.cancel()
            stage.get_well()
            outcomes = Counter(receipt["outcome"] for receipt in await stage.finished())
        print(outcomes, stage.seen())
        assert stage.leaks() == []
        assert outcomes["dropped_at_dispatch"] > len(stage.acknowledged) / 3
        assert outcomes["sent"] > 0


@pytest.mark.parametrize("how", ["never", "first"])
async def test_with_the_recheck_switched_off_there_are_many(
    mortal_kafka: LocalKafka, tmp_path: Path, fresh_name: str, how: str
) -> None:
    """So that the test above can fail: no check at the last hop, and one before the first try alone."""
    async with waiting_messages(mortal_kafka, tmp_path, fresh_name, SHORT.messages) as stage:
        async with dispatcher(stage, how), asyncio.TaskGroup() as people:
            opting_out = people.create_task(stage.opt_outs(), name="opt-outs")
            await until(lambda: len(stage.acknowledged) > SHORT.messages / 2)
            stage.get_well()
            await until(lambda: len(stage.leaks()) > SHORT.messages / 10, stage.seen)
            opting_out.cancel()
        print(stage.seen())
