"""`sendguard skip`: requests that Kafka deleted before they were decided."""

import asyncio
from pathlib import Path

import pytest

from gateway.localkafka import LocalKafka
from gateway.settings import Settings
from tests.cli.shell import sendguard
from tests.running import Outside, environment_for, get, request, running, started, until


@pytest.fixture
def bare(kafka: LocalKafka, tmp_path: Path, fresh_name: str) -> dict[str, str]:
    return environment_for(kafka, tmp_path, fresh_name, request_partitions=1)


async def decide(settings: Settings, outside: Outside, count: int) -> None:
    """A guard that decides the first so many requests and ends."""
    async with running(settings, "guard"):
        await asyncio.to_thread(outside.decisions, count)


def lose(settings: Settings, outside: Outside) -> None:
    """Decides r-0 and r-1; then Kafka deletes r-2, r-3 and r-4, and has r-5 and r-6."""
    outside.send([request(0), request(1)])
    asyncio.run(decide(settings, outside, 2))
    outside.send([request(number) for number in range(2, 7)])
    outside.delete_before(outside.topics.requests, 0, 5)


def test_the_partition_stands_still_until_the_gap_is_recorded_and_then_goes_on_by_itself(
    environment: dict[str, str], settings: Settings, outside: Outside
) -> None:
    lose(settings, outside)

    async def skip_beside_a_guard() -> None:
        async with started(settings, "guard") as service:
            await until(lambda: "requests lost" in str(service.problems()), lambda: str(service.problems()))
            assert (await get(service, "/readyz"))[0] == 503
            skipped = await asyncio.to_thread(
                sendguard, environment, "skip", "--partition", "0", "--reason", "INC-1", "--actor", "ops", "--json"
            )
            assert (skipped.code, skipped.json) == (
                0,
                {"partition": 0, "skipped_from": 2, "skipped_through": 4, "next_offset": 5},
            )
            await until(lambda: not service.problems(), lambda: str(service.problems()))
            await asyncio.to_thread(outside.decisions, 4)

    asyncio.run(skip_beside_a_guard())
    assert [each["request_id"] for each in outside.decisions(4)] == ["r-0", "r-1", "r-5", "r-6"]
    (audit,) = outside.committed(outside.topics.dead, 1)
    assert (audit.value(), audit.partition()) == (None, 0)
    assert dict(audit.headers()) == {
        "sg-skipped-from": b"2",
        "sg-skipped-through": b"4",
        "sg-next-offset": b"5",
        "sg-reason": b"INC-1",
        "sg-actor": b"ops",
    }


def test_a_second_skip_finds_nothing_lost(environment: dict[str, str], settings: Settings, outside: Outside) -> None:
    lose(settings, outside)
    assert sendguard(environment, "skip", "--partition", "0").code == 0
    assert sendguard(environment, "skip", "--partition", "0").code == 1
    assert len(outside.committed(outside.topics.dead, 1)) == 1


def test_without_a_gap_it_is_refused_and_a_running_guard_is_left_alone(
    environment: dict[str, str], settings: Settings, outside: Outside
) -> None:
    async def beside_a_guard() -> None:
        async with running(settings, "guard") as service:
            refused = await asyncio.to_thread(sendguard, environment, "skip", "--partition", "0")
            assert (refused.code, "nothing is lost" in refused.err) == (1, True)
            await asyncio.to_thread(outside.send, [request(0)])
            await asyncio.to_thread(outside.decisions, 1)
            assert service.problems() == []

    asyncio.run(beside_a_guard())


@pytest.mark.parametrize(("resume_at", "decided"), [("latest", ["r-0", "r-1"]), ("earliest", ["r-0", "r-1", "new"])])
def test_a_log_that_ends_below_the_offset_needs_a_person_to_say_what_it_holds(
    environment: dict[str, str], settings: Settings, outside: Outside, resume_at: str, decided: list[str]
) -> None:
    outside.send([request(0), request(1)])
    asyncio.run(decide(settings, outside, 2))
    outside.recreate(outside.topics.requests)
    outside.send([request(7, request_id="new")])
    refused = sendguard(environment, "skip", "--partition", "0")
    assert (refused.code, "--resume-at earliest" in refused.err) == (1, True)
    assert sendguard(environment, "skip", "--partition", "0", "--resume-at", resume_at).code == 0
    outside.send([request(8, request_id="later")])
    asyncio.run(decide(settings, outside, len(decided) + 1))
    assert [each["request_id"] for each in outside.decisions(len(decided) + 1)] == [*decided, "later"]
