"""Kill -9 of the role `directory` at random moments: nothing is missing afterwards, and nothing was done twice."""

from __future__ import annotations

import asyncio
import os
import random
import sys
from pathlib import Path

from gateway.directory.merging import MERGED_FROM
from gateway.dnd.model import Place
from gateway.localkafka import LocalKafka
from gateway.streams.topics import apply
from tests.consumers.crm import AT, STOPPED, Crm, contact, phone, snapshot, start, stop
from tests.kafka.outside import DEADLINE_S
from tests.running import environment_for, running, settings_for

DEATHS = 4

LATEST_DEATH = 8
"""Moments before and behind effects. There are at least two at the commit of the events, six at commit, publishing and
forgetting of what follows from the snapshots, and two at the commit of what was published."""


async def test_r21_a_directory_that_is_killed_again_and_again_misses_nothing(
    kafka: LocalKafka, tmp_path: Path, fresh_name: str, database_values: dict[str, object]
) -> None:
    """Snapshots, holds, merges and lifts, some before each death and some after."""
    seed = random.randrange(2**32)
    print(f"seed {seed}")
    chance = random.Random(seed)
    settings = settings_for(kafka, tmp_path, fresh_name, **database_values)
    await apply(settings)
    crm = Crm(settings)
    environment = environment_for(kafka, tmp_path, fresh_name, **database_values)
    for run in range(DEATHS):
        await _something_happens(crm, run)
        await _until_dead(environment, chance.randint(1, LATEST_DEATH))
    async with running(settings, "directory"):
        await _something_happens(crm, DEATHS)
        await crm.until_held(f"kept-{DEATHS}", STOPPED)
        for run in range(DEATHS):
            for role in ("had", "merged", "kept"):
                await crm.until_held(f"{role}-{run}", STOPPED)
            for role in ("freed", "kept-freed"):
                await crm.until_held(f"{role}-{run}")
    await _each_merge_was_dated_once(crm)


async def _something_happens(crm: Crm, run: int) -> None:
    number, freed = 10 + run, 50 + run
    await crm.contacts(
        snapshot(f"had-{run}", number), snapshot(f"merged-{run}", number), snapshot(f"freed-{run}", freed)
    )
    await crm.events(stop(phone(number), f"s{run}"), stop(phone(freed), f"t{run}"))
    await crm.contacts(
        snapshot(f"had-{run}", 90, updated_at=AT + 1),
        snapshot(f"merged-{run}", updated_at=AT + 1, merged_into=f"kept-{run}"),
        snapshot(f"freed-{run}", updated_at=AT + 1, merged_into=f"kept-freed-{run}"),
    )
    if run > 0:  # the number of the former run: its holds may or may not have come to the contacts yet
        await crm.events(start(phone(freed - 1), f"u{run}"))
    if run == DEATHS:
        await crm.events(start(phone(freed), "u-last"))


async def _until_dead(environment: dict[str, str], dies_at: int) -> None:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "tests.consumers.keep_and_die",
        str(dies_at),
        env={**os.environ, **environment},
        cwd=Path(__file__).parents[2],
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        async with asyncio.timeout(DEADLINE_S):
            assert await process.wait() == -9
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def _each_merge_was_dated_once(crm: Crm) -> None:
    """A merge that were done anew after a crash would have another time, and undo a lift that came in between."""
    times: dict[tuple[str, str], set[int]] = {}
    for event, _ in await crm.log():
        if isinstance(event, Place) and MERGED_FROM in event.evidence:
            times.setdefault((event.subject.id, event.event_id), set()).add(event.at)
    assert times
    assert all(len(found) == 1 for found in times.values()), times
    assert {id_ for id_, _ in times} >= {f"kept-{run}" for run in range(DEATHS)}
    assert all(contact(id_) for id_, _ in times)
