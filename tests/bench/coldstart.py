"""From process start to ready, with so many held subjects: from an empty directory, and with the view already there."""

from __future__ import annotations

import uuid
from dataclasses import dataclass, replace
from pathlib import Path

from gateway.contract.topics import Topics
from tests.bench.load import produce_holds
from tests.bench.run import Process, World


@dataclass(frozen=True, slots=True)
class ColdStart:
    """Seconds from process start to ready, and the peak memory of the second process."""

    subjects: int
    from_log_s: float
    from_view_s: float
    peak_rss_mib: float


def cold_start(world: World, subjects: int) -> ColdStart:
    """Measure with a fresh `dnd.events` of so many holds."""
    name = f"cold-{uuid.uuid4().hex[:8]}"
    cold = replace(world, topics=Topics(f"{name}."), data_dir=Path(world.data_dir) / name)
    cold.create_topics()
    produce_holds(cold.bootstrap, cold.topics, subjects, spread=0)
    seconds, peak = [], 0.0
    for _ in range(2):
        process = Process(cold, "a", group_id="cold")
        try:
            seconds.append(process.seconds_to_ready)
            process.go()
            peak = process.stop().peak_rss_mib
        finally:
            process.end()
    return ColdStart(subjects, seconds[0], seconds[1], peak)
