"""Quantiles of a histogram, and of the service's own."""

from __future__ import annotations

import pytest

from gateway.demo.honour import honour_times, in_ms, quantile
from gateway.metrics import HONOUR_SECONDS, Metrics

BOUNDS = (0.01, 0.02, 0.04)


@pytest.mark.parametrize(
    ("counts", "total", "share", "expected"),
    [
        ((0, 0, 0), 0, 0.5, None),
        ((10, 10, 10), 10, 0.5, 0.005),
        ((0, 10, 10), 10, 0.5, 0.015),
        ((5, 5, 10), 10, 0.5, 0.01),
        ((5, 5, 10), 10, 0.75, 0.03),
        ((0, 0, 0), 10, 0.5, 0.04),  # all above the last bound
    ],
)
def test_a_quantile_lies_within_its_bucket(
    counts: tuple[float, ...], total: float, share: float, expected: float | None
) -> None:
    assert quantile(BOUNDS, counts, total, share) == pytest.approx(expected)


def test_honour_times_come_from_the_services_histogram() -> None:
    metrics = Metrics("test")
    assert honour_times(metrics, 0.5) == [None]
    for seconds in (0.0015, 0.0015, 0.0015, 0.07):
        metrics.observe(HONOUR_SECONDS, seconds)
    p50, p99 = honour_times(metrics, 0.5, 0.99)
    assert p50 is not None
    assert p99 is not None
    assert 0.001 < p50 <= 0.002
    assert 0.05 < p99 <= 0.1


@pytest.mark.parametrize(("seconds", "text"), [(None, "-"), (0.00316, "3.2 ms"), (0.0618, "62 ms"), (1.5, "1500 ms")])
def test_times_are_shown_in_milliseconds(seconds: float | None, text: str) -> None:
    assert in_ms(seconds) == text
