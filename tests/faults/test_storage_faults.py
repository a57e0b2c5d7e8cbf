"""What is stored beside the requests and gets lost: the local view, the group's offsets."""

from __future__ import annotations

import random
import shutil
from pathlib import Path

import pytest

from tests.faults.scene import Scene

pytestmark = pytest.mark.cluster


def test_a_view_deleted_or_cut_short_while_the_guard_is_down_is_rebuilt_before_anything_is_decided(
    scene: Scene,
) -> None:
    guard = scene.guard()
    scene.start(guard)
    for _ in range(scene.size.rounds):
        for damage in (delete, cut_short):
            scene.wait_all_partitions_decide()
            guard.kill()
            damage(guard.view, scene.rng)
            scene.faults += 1
            scene.driver.wait_produced(50)
            guard.start()
    scene.finish()
    scene.judge()


def delete(view: Path, rng: random.Random) -> None:
    shutil.rmtree(view)


def cut_short(view: Path, rng: random.Random) -> None:
    """Each file loses its end, somewhere; some lose all."""
    for file in sorted(path for path in view.iterdir() if path.is_file()):
        with file.open("r+b") as opened:
            opened.truncate(rng.randrange(max(1, file.stat().st_size)))


def test_a_guard_whose_group_lost_its_offsets_gives_no_second_decision(scene: Scene) -> None:
    guard = scene.guard()
    scene.start(guard)
    for number in range(scene.size.rounds):
        scene.wait_all_partitions_decide()
        guard.stop() if number % 2 else guard.kill()
        scene.admin.delete_group(scene.stage.settings.guard.group_id)
        scene.fault("struck")
        guard.start()
    scene.finish()
    scene.judge()
