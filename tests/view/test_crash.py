"""A process killed while it applies: what is left is the fold of the log up to the positions it names."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from tests.view.apply_log import BATCH, PARTITIONS, apply_and_die, crash_log
from tests.view.logs import folded, follow, open_view, up_to


@pytest.mark.parametrize("seed", range(2))
def test_killed_again_and_again_the_view_goes_on_where_it_was_and_ends_in_the_full_fold(
    tmp_path: Path, seed: int
) -> None:
    log, rng = crash_log(seed), random.Random(seed)
    applied = 0
    for _ in range(3):
        batches = rng.randrange(20, 180)
        apply_and_die(tmp_path / "view", seed, batches)
        view = open_view(tmp_path / "view", PARTITIONS)
        found = up_to(log, view.positions())
        assert len(found) >= applied + batches * BATCH, "a killed process loses nothing that was applied"
        assert dict(view.records()) == folded(found)
        applied = len(found)
        view.close()
    view = open_view(tmp_path / "view", PARTITIONS)
    follow(view, log)
    assert dict(view.records()) == folded(up_to(log, view.positions()))
    view.close()
    assert not list(tmp_path.glob("view.damaged-*"))
