"""Honour time from the service's own histogram: how long after its acknowledgement an event counts in the guard."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from gateway.metrics import HONOUR_SECONDS, Metrics


def honour_times(metrics: Metrics, *shares: float) -> list[float | None]:
    """The quantiles in seconds, as Prometheus estimates them; None while nothing was measured."""
    bounds = HONOUR_SECONDS.buckets
    counts = [metrics.registry.get_sample_value(_BUCKET, {"le": str(bound)}) or 0.0 for bound in bounds]
    total = metrics.registry.get_sample_value(f"{HONOUR_SECONDS.full_name}_count") or 0.0
    return [quantile(bounds, counts, total, share) for share in shares]


_BUCKET = f"{HONOUR_SECONDS.full_name}_bucket"


def quantile(bounds: Sequence[float], counts: Sequence[float], total: float, share: float) -> float | None:
    """Of a histogram with cumulative `counts`, as if values were spread evenly in a bucket; at most the last bound."""
    if total == 0:
        return None
    wanted = share * total
    edges = [(0.0, 0.0), *zip(bounds, counts, strict=True)]
    for (low, below), (high, up_to) in pairwise(edges):
        if up_to >= wanted and up_to > below:
            return low + (high - low) * (wanted - below) / (up_to - below)
    return bounds[-1]


def in_ms(seconds: float | None) -> str:
    """For people."""
    if seconds is None:
        return "-"
    return f"{seconds * 1000:.1f} ms" if seconds < 0.01 else f"{seconds * 1000:.0f} ms"
