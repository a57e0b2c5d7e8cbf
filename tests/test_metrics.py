"""Metrics as data, and the text a scrape gets."""

import pytest

from gateway.metrics import (
    BARRIER_SECONDS,
    BATCHES,
    DECISIONS,
    METRICS,
    VIEW_LAG,
    Kind,
    Metrics,
    Spec,
)
from tests.running import sample


@pytest.mark.parametrize("spec", METRICS, ids=lambda spec: spec.name)
def test_every_row_can_be_read_by_somebody_who_does_not_know_it(spec: Spec) -> None:
    assert spec.what.endswith(".")
    assert spec.name.endswith("_total") == (spec.kind is Kind.COUNTER)
    assert ("seconds" in spec.name) == (spec.unit == "s" or spec.name == "holding_seconds_total")
    assert bool(spec.buckets) == (spec.kind is Kind.HISTOGRAM)
    assert list(spec.buckets) == sorted(spec.buckets)


def test_names_are_used_once() -> None:
    assert len({spec.name for spec in METRICS}) == len(METRICS)


def test_a_tally_is_added_by_label() -> None:
    metrics = Metrics("1")
    for _ in range(2):
        metrics.count_each(DECISIONS, {("SMS", "forwarded", ""): 3, ("SMS", "dropped", "manual"): 1})
    text = metrics.exposition().decode()
    assert sample(text, "sendguard_decisions_total", channel="SMS", outcome="forwarded", cause="") == 6
    assert sample(text, "sendguard_decisions_total", channel="SMS", outcome="dropped", cause="manual") == 2


def test_counters_start_at_zero_so_that_a_rate_sees_the_first_event() -> None:
    assert sample(Metrics("1").exposition().decode(), "sendguard_batches_total") == 0


def test_a_gauge_is_asked_for_at_each_scrape_and_its_last_watcher_counts() -> None:
    metrics = Metrics("1")
    lag: dict[tuple[str, ...], float] = {("0",): 5.0}
    metrics.watch(VIEW_LAG, lambda: {("0",): -1.0})
    metrics.watch(VIEW_LAG, lambda: lag)
    assert sample(metrics.exposition().decode(), "sendguard_view_lag_records", partition="0") == 5
    lag[("0",)] = 7.0
    assert sample(metrics.exposition().decode(), "sendguard_view_lag_records", partition="0") == 7


def test_a_histogram_counts_into_its_buckets() -> None:
    metrics = Metrics("1")
    metrics.observe(BARRIER_SECONDS, 0.003)
    text = metrics.exposition().decode()
    assert sample(text, "sendguard_barrier_seconds_bucket", le="0.002") == 0
    assert sample(text, "sendguard_barrier_seconds_bucket", le="0.004") == 1


def test_each_service_has_values_of_its_own() -> None:
    one, other = Metrics("1"), Metrics("1")
    one.count(BATCHES)
    assert sample(other.exposition().decode(), "sendguard_batches_total") == 0


def test_the_version_is_a_label_and_creation_times_are_left_out() -> None:
    text = Metrics("1.2.3").exposition().decode()
    assert 'version="1.2.3"' in text
    assert "_created" not in text
