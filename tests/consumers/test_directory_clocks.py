"""The role `directory` on machines whose clocks are hours off: a process of its own, and a log that others read."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway.clock import now_ms
from gateway.directory.merging import MERGED_FROM
from gateway.dnd.model import Actor, ActorKind, Cause, Lift, LiftTerm, Place, Scope
from gateway.localkafka import LocalKafka
from gateway.streams.topics import apply
from tests.cli.test_run import service
from tests.consumers.crm import Crm, contact, snapshot
from tests.running import environment_for, settings_for

HOUR_MS = 3_600_000
MANUAL = (Scope.SMS, Cause.MANUAL)


@pytest.mark.parametrize("hours", [3, -3], ids=["fast", "slow"])
async def test_r21_what_a_merge_brings_outlasts_a_lift_that_was_asked_for_before_whatever_the_clock(
    kafka: LocalKafka, tmp_path: Path, fresh_name: str, hours: int
) -> None:
    """A workflow asked an hour ago to free the contact that is left; the merge is now, and then the lift is written."""
    settings = settings_for(kafka, tmp_path, fresh_name)
    await apply(settings)
    crm, asked_at = Crm(settings), now_ms() - HOUR_MS
    held = Place("h", contact("c1"), (Scope.SMS,), (Cause.MANUAL,), asked_at - HOUR_MS, Actor(ActorKind.USER, "u1"))
    await crm.events(held)
    module = ("tests.web.webhooks.clock_off", str(hours), "20")
    environment = environment_for(kafka, tmp_path, fresh_name)
    async with service(environment, "--role", "directory", module=module) as process:
        await process.ready()
        await crm.contacts(snapshot("c1", 1), snapshot("c2", 2), snapshot("c1", updated_at=now_ms(), merged_into="c2"))
        await crm.until_held("c2", MANUAL)
    workflow = Actor(ActorKind.WORKFLOW, "w1")
    await crm.events(Lift("l", contact("c2"), (LiftTerm(*MANUAL, asked_at),), workflow))
    assert await crm.held("c2") == {MANUAL}
    merged = [(event, at) for event, at in await crm.log() if MERGED_FROM in event.evidence]
    ((place, appended_at),) = merged
    assert isinstance(place, Place)
    assert abs(place.at - appended_at) < HOUR_MS
