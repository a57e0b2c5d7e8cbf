"""Topics that are re-created, take too little, or lost what was not decided: the guard says so and loses nothing."""

from __future__ import annotations

import json

import pytest

from tests.faults.driver import BIG_CHANNELS
from tests.faults.guards import Guard
from tests.faults.history import Record
from tests.faults.rules import SKIPPED_FROM, STAND_IN
from tests.faults.scene import Scene

pytestmark = pytest.mark.cluster

ROUNDS_HELD = 4
"""Freshness rounds that have to fail before a guard counts as held up for good."""

BATCH_RECORDS = 16
"""Of a guard that meets big requests: a batch is halved until they are alone, each time with a new lane."""

LOST = 30
"""Undecided requests that are deleted."""

SMALL_BYTES = 40_000
"""`max.message.bytes` of an output: an ordinary batch fits, a big request does not."""


def test_dnd_events_created_anew_under_a_running_guard_holds_until_the_view_is_republished(scene: Scene) -> None:
    guard = scene.guard()
    scene.start(guard)
    deleted: list[Record] = []
    for _ in range(scene.size.rounds):
        scene.wait_all_partitions_decide()
        scene.driver.pause_events()
        scene.wait_all_partitions_decide()
        deleted += scene.stage.read("dnd.events")
        scene.stage.create_anew("dnd.events")
        scene.fault("struck")
        guard.wait_not_ready("holding", "not the one the view was built from", "republish")
        scene.driver.resume_events()
        nothing_is_decided(scene, guard)
        guard.stop()
        known = guard.command("view", "republish", "--json")
        assert known.returncode == 0, known.stderr
        assert json.loads(known.stdout)["events"] > 0
        assert guard.command("view", "discard").returncode == 0
        guard.start()
    scene.finish()
    scene.judge(scene.history(lost=deleted), states=False)


def nothing_is_decided(scene: Scene, guard: Guard) -> None:
    """While requests and holds go on, and the guard tries again and again. What was under way may end first."""
    guard.wait_held_up(len(scene.request_ends()))
    before = scene.stage.ends("outbound.decisions")
    scene.driver.wait_produced(scene.moment())
    guard.wait_rounds_fail(ROUNDS_HELD)
    assert scene.stage.ends("outbound.decisions") == before


@pytest.mark.load(big_every=200)
def test_a_request_too_large_for_its_output_leaves_a_stand_in_and_the_stream_goes_on(scene: Scene) -> None:
    guard = scene.guard(batch_records=BATCH_RECORDS)
    guard.start()
    guard.wait_ready()  # a topic that takes too little would have refused the start
    for channel in BIG_CHANNELS:
        scene.admin.set_config(scene.topic(f"outbound.{channel.lower()}"), "max.message.bytes", str(SMALL_BYTES))
    scene.driver.start()
    scene.finish()
    history = scene.history()
    scene.judge(history)
    assert any(record.header(STAND_IN) is not None for record in history.dead)


def test_requests_deleted_undecided_stop_their_partition_until_an_operator_skips_them(scene: Scene) -> None:
    guard = scene.guard()
    scene.start(guard)
    requests = scene.topic("outbound.requests")
    deleted: list[Record] = []
    for number in range(scene.size.rounds):
        partition = number % len(scene.request_ends())
        scene.wait_all_partitions_decide()
        guard.stop()
        ends = scene.request_ends()
        scene.wait_requests(partition, LOST)
        deleted += scene.stage.read("outbound.requests")
        scene.admin.delete_records_before(requests, partition, ends[partition] + LOST)
        scene.fault("struck")
        guard.start()
        guard.wait_not_ready(f"partition {partition}", "requests lost", "sendguard skip")
        others = {number: end for number, end in scene.request_ends().items() if number != partition}
        scene.wait_through(others)
        well = guard.command("skip", "--partition", str((partition + 1) % len(ends)), "--reason", "by mistake")
        assert (well.returncode, "nothing is lost" in well.stderr) == (1, True), well
        skipped = guard.command("skip", "--partition", str(partition), "--reason", "a test deleted them")
        assert skipped.returncode == 0, skipped.stderr
        guard.wait_ready()
    scene.finish()
    history = scene.history(deleted)
    scene.judge(history)
    assert sum(record.header(SKIPPED_FROM) is not None for record in history.dead) == scene.faults
