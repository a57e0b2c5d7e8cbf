"""Brokers that are killed, frozen, cut down to a minority or stopped altogether: held up at worst, never wrong."""

from __future__ import annotations

import json
import time

import pytest

from gateway.localkafka import Broker
from tests.faults.history import History
from tests.faults.scene import PARTITIONS, Scene

pytestmark = pytest.mark.cluster

LED = ("dnd.events", "outbound.requests", "outbound.decisions", "outbound.sms", "dnd.events")
"""Whose leader is struck, one after the other."""

ACKNOWLEDGED_MEANWHILE = 20
"""Holds and lifts that a frozen leader must have missed before it is thawed."""

ROUNDS_HELD = 3
"""Freshness rounds that have to fail before a guard counts as held up for good."""


def test_a_broker_killed_and_restarted_moves_its_leaders_and_costs_no_request(scene: Scene) -> None:
    scene.start(scene.guard())
    scene.wait_all_partitions_decide()
    for number in range(scene.size.rounds):
        topic = scene.topic(LED[number % len(LED)])
        node = scene.admin.leader(topic)
        broker(scene, node).kill()
        scene.fault("broker killed")
        scene.admin.wait_leader_other_than(node, topic)
        scene.wait_all_partitions_decide()
        broker(scene, node).start()
        scene.admin.wait_in_sync(len(scene.kafka.brokers))
        scene.finish()
    scene.judge()


def test_a_leader_frozen_replaced_and_thawed_passes_no_stale_answer(scene: Scene) -> None:
    """Every second time the guard is frozen with it, so that it wakes with the old leader in mind."""
    guard = scene.guard()
    scene.start(guard)
    topic = scene.topic("dnd.events")
    scene.wait_all_partitions_decide()
    for number in range(2 * scene.size.rounds):
        partition, both = scene.rng.randrange(PARTITIONS["event_partitions"]), number % 2 == 0
        node = scene.admin.leader(topic, partition)
        broker(scene, node).freeze()
        if both:
            guard.freeze()
        scene.fault("leader and guard frozen" if both else "leader frozen")
        scene.admin.wait_leader_other_than(node, topic, partition)
        scene.wait_events_acknowledged(ACKNOWLEDGED_MEANWHILE)
        if scene.rng.random() < 0.5 and not both:
            scene.wait_all_partitions_decide()
        broker(scene, node).thaw()
        if both:
            guard.thaw()
        scene.note("thawed")
        scene.wait_all_partitions_decide()
        scene.admin.wait_in_sync(len(scene.kafka.brokers))
    scene.finish()
    scene.judge()


def test_the_whole_cluster_stopped_and_started_again_loses_and_doubles_nothing(scene: Scene) -> None:
    guard = scene.guard()
    scene.start(guard)
    for number in range(scene.size.rounds):
        scene.wait_all_partitions_decide()
        if number % 2:
            scene.kafka.stop_all()
        else:
            for each in scene.kafka.brokers:
                each.kill()
        scene.fault("all down")
        guard.wait_not_ready("holding")
        scene.driver.wait_produced(scene.moment())
        scene.kafka.start_all()
    scene.finish()
    scene.judge()


def test_with_two_of_three_brokers_down_nothing_is_decided_and_then_all_of_it_is(scene: Scene) -> None:
    guard = scene.guard()
    scene.start(guard)
    outages: list[tuple[int, int]] = []
    for _ in range(scene.size.rounds):
        scene.wait_all_partitions_decide()
        struck = scene.rng.sample(scene.kafka.brokers, 2)
        for each in struck:
            each.kill()
        scene.fault("two down")
        guard.wait_not_ready("holding")
        began = now_ms()
        guard.wait_rounds_fail(ROUNDS_HELD)
        scene.driver.wait_produced(scene.moment())
        outages.append((began, now_ms()))
        scene.kafka.start_all()
    scene.finish()
    history = scene.history()
    scene.judge(history)
    assert decided_within(history, outages) == []


def decided_within(history: History, spans: list[tuple[int, int]]) -> list[str]:
    """Decisions made at those times, by the guard's clock, which is ours too."""
    decisions = [json.loads(record.value or b"") for record in history.decisions]
    return [
        decision["decision_id"]
        for decision in decisions
        if any(began <= decision["decided_at"] <= ended for began, ended in spans)
    ]


def broker(scene: Scene, node: int) -> Broker:
    return next(each for each in scene.kafka.brokers if each.node_id == node)


def now_ms() -> int:
    return time.time_ns() // 1_000_000
