"""Guards that are killed, frozen, joined and left alone: every request still has one decision, on fresh state."""

from __future__ import annotations

import pytest

from tests.faults.guards import Guard
from tests.faults.scene import PARTITIONS, Scene

pytestmark = pytest.mark.cluster

REQUEST_PARTITIONS = PARTITIONS["request_partitions"]


def test_a_guard_killed_at_random_moments_and_restarted_decides_every_request_once(scene: Scene) -> None:
    guard = scene.guard()
    scene.start(guard)
    scene.wait_decided(1)
    for _ in range(4 * scene.size.rounds):
        scene.driver.wait_produced(scene.moment())  # sometimes it has not even started again
        guard.kill()
        scene.fault("killed")
        guard.start()
        if scene.rng.random() < 0.7:
            scene.wait_decided(scene.moment())
    scene.finish()
    scene.judge()


def test_a_guard_frozen_past_its_session_and_woken_writes_nothing_that_another_has_decided(scene: Scene) -> None:
    guards = [scene.guard("guard-1"), scene.guard("guard-2")]
    scene.start(*guards)
    for _ in range(scene.size.rounds):
        both_serve(scene, guards)
        frozen, other = guards
        scene.wait_decided(scene.moment())
        frozen.freeze()
        scene.fault("frozen")
        scene.wait_serving(other, REQUEST_PARTITIONS)
        scene.wait_all_partitions_decide()
        frozen.thaw()
        scene.wait_decided(scene.moment())
        guards.reverse()
    both_serve(scene, guards)
    scene.finish()
    scene.judge()


def test_guards_that_join_and_leave_hand_partitions_over_without_gap_or_double(scene: Scene) -> None:
    steady = scene.guard("steady")
    scene.start(steady)
    for number in range(scene.size.rounds):
        scene.wait_serving(steady, REQUEST_PARTITIONS)
        visitors = [scene.guard(f"visitor-{number}-{which}") for which in "ab"]
        for visitor in visitors:
            scene.wait_decided(scene.moment())
            visitor.start()
            scene.fault("joins")
            scene.wait_serving(visitor, 1)
        scene.wait_decided(scene.moment())
        visitors[0].stop()
        scene.fault("leaves")
        visitors[1].kill()
        scene.fault("killed")
    scene.wait_serving(steady, REQUEST_PARTITIONS)
    scene.finish()
    scene.judge()


def both_serve(scene: Scene, guards: list[Guard]) -> None:
    for guard in guards:
        scene.wait_serving(guard, 1)
