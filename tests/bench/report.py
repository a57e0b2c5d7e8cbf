"""The results, as tables for people and as JSON."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, NamedTuple

from rich.console import Console
from rich.table import Table

from tests.bench.barrier import BarrierTimes
from tests.bench.coldstart import ColdStart
from tests.bench.load import Load
from tests.bench.staleness import ROUNDS
from tests.bench.webhooks import WebhookTimes

FLOOR = "d"

WHAT = {
    "a": "sendguard: exactly once, barrier",
    "b": "the same without barrier",
    "c": "the same without transactions",
    "d": "the floor: bare pass-through in batches, at least once",
    "e-send": "first try: json, dict, send, flush",
    "e-wait": "first try: json, dict, send_and_wait",
    "f-confluent": "confluent-kafka, exactly once, dict",
    "f-postgres": "aiokafka batches, one PostgreSQL look-up each",
}


class Sample(NamedTuple):
    """One variant in one round."""

    per_s: float
    cpu_s_each: float
    peak_rss_mib: float


class Spread(NamedTuple):
    low: float
    median: float
    high: float


@dataclass(slots=True)
class Results:
    load: Load
    speed: dict[str, list[Sample]] = field(default_factory=dict)
    latencies_ms: dict[str, list[float]] = field(default_factory=dict)
    stale: dict[str, int] = field(default_factory=dict)
    barrier: BarrierTimes | None = None
    webhooks: WebhookTimes | None = None
    cold_starts: list[ColdStart] = field(default_factory=list)

    def ratios(self, name: str, to: str = FLOOR) -> Spread | None:
        """Decisions per second of one variant to another's in the same round."""
        ours, theirs = self.speed.get(name), self.speed.get(to)
        if not ours or not theirs:
            return None
        return spread([mine.per_s / other.per_s for mine, other in zip(ours, theirs, strict=True)])

    def as_json(self) -> dict[str, Any]:
        """Everything but the single latencies."""
        return {
            "load": asdict(self.load),
            "speed": {
                name: {
                    "what": WHAT[name],
                    "decisions_per_s": [sample.per_s for sample in samples],
                    "ratio_to_floor": self.ratios(name),
                    "sendguard_is_times_this": self.ratios("a", name),
                    "cpu_s_per_million": [sample.cpu_s_each * 1e6 for sample in samples],
                    "peak_rss_mib": max(sample.peak_rss_mib for sample in samples),
                }
                for name, samples in self.speed.items()
            },
            "latency_ms": {name: percentiles(values) for name, values in self.latencies_ms.items()},
            "stale_decisions": {"rounds": ROUNDS, **self.stale},
            "barrier_ms": self.barrier
            and {
                "barrier": percentiles(self.barrier.barrier_ms),
                "broker_round_trip": percentiles(self.barrier.round_trip_ms),
            },
            "webhooks": self.webhooks
            and {
                "posts_per_s": [door.per_s for door in self.webhooks.ours],
                "bare_handler_per_s": [door.per_s for door in self.webhooks.bare],
                "cpu_us_per_post": [door.cpu_s_each * 1e6 for door in self.webhooks.ours],
                "cpu_us_per_post_of_bare_handler": [door.cpu_s_each * 1e6 for door in self.webhooks.bare],
                "ratio_to_bare_handler": spread(self.webhooks.ratios()),
                "honour_ms": percentiles(self.webhooks.honour_ms),
                "forwarded_after_the_answer": self.webhooks.forwarded,
            },
            "cold_starts": [asdict(start) for start in self.cold_starts],
        }


def spread(values: Sequence[float]) -> Spread:
    return Spread(min(values), statistics.median(values), max(values))


def percentiles(sorted_values: Sequence[float]) -> dict[str, float]:
    """p50 and p99 of sorted values."""
    last = len(sorted_values) - 1
    return {"p50": sorted_values[round(last * 0.5)], "p99": sorted_values[round(last * 0.99)]}


def print_report(results: Results, console: Console) -> None:
    """All tables that have something in them."""
    if results.speed:
        console.print(_speed_table(results))
    if results.latencies_ms:
        table = Table("variant", "p50 ms", "p99 ms", title="request -> decision at 200 requests/s")
        for name, values in results.latencies_ms.items():
            found = percentiles(values)
            table.add_row(f"{name} {WHAT[name]}", f"{found['p50']:.1f}", f"{found['p99']:.1f}")
        console.print(table)
    if results.stale:
        table = Table(
            "variant", "stale", title=f"stale decisions in {ROUNDS:,} rounds of hold acknowledged, then request"
        )
        for name, count in results.stale.items():
            table.add_row(f"{name} {WHAT[name]}", str(count))
        console.print(table)
    if results.barrier:
        table = Table("", "p50 ms", "p99 ms", title="the barrier and the broker's own round trip")
        for what, values in (("barrier", results.barrier.barrier_ms), ("Metadata", results.barrier.round_trip_ms)):
            found = percentiles(values)
            table.add_row(what, f"{found['p50']:.2f}", f"{found['p99']:.2f}")
        console.print(table)
    if results.webhooks:
        console.print(_webhook_table(results.webhooks))
    if results.cold_starts:
        table = Table("held subjects", "from the log s", "from the view s", "peak MiB", title="process start to ready")
        for start in results.cold_starts:
            table.add_row(
                f"{start.subjects:,}",
                f"{start.from_log_s:.1f}",
                f"{start.from_view_s:.1f}",
                f"{start.peak_rss_mib:.0f}",
            )
        console.print(table)


def _speed_table(results: Results) -> Table:
    heads = ("", "decisions/s", "x floor", "min-max", "a is x", "CPU us", "MiB", "")
    table = Table(*heads, title="speed: decisions per second, ratio to the floor d, how many times it a is")
    for name, samples in results.speed.items():
        ratio, times = results.ratios(name), results.ratios("a", name)
        table.add_row(
            name,
            f"{statistics.median(sample.per_s for sample in samples):,.0f}",
            f"{ratio.median:.2f}" if ratio else "",
            f"{ratio.low:.2f}-{ratio.high:.2f}" if ratio else "",
            f"{times.median:.1f}" if times else "",
            f"{statistics.median(sample.cpu_s_each for sample in samples) * 1e6:.1f}",
            f"{max(sample.peak_rss_mib for sample in samples):.0f}",
            WHAT[name],
        )
    return table


def _webhook_table(times: WebhookTimes) -> Table:
    table = Table("door", "posts/s", "CPU us", title="signed statuses of Twilio; bare = a handler that only produces")
    for name, doors in (("sendguard", times.ours), ("bare", times.bare)):
        per_s = statistics.median(door.per_s for door in doors)
        table.add_row(name, f"{per_s:,.0f}", f"{statistics.median(door.cpu_s_each for door in doors) * 1e6:.0f}")
    ratio, honour = spread(times.ratios()), percentiles(times.honour_ms)
    table.add_section()
    table.add_row("sendguard is x bare", f"{ratio.median:.2f}", f"{ratio.low:.2f}-{ratio.high:.2f}")
    table.add_row("STOP answered -> next request dropped", f"p50 {honour['p50']:.1f} ms", f"p99 {honour['p99']:.1f} ms")
    table.add_row("forwarded after the answer", str(times.forwarded), f"of {len(times.honour_ms)}")
    return table
