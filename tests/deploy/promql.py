"""Whether PromQL asks for metrics and labels that we export. It knows as much of PromQL as our expressions use."""

from __future__ import annotations

import re
from collections.abc import Iterator

from gateway.metrics import METRICS, Kind, Spec

SCRAPE_LABELS = frozenset({"instance", "job", "role"})
"""Put on by Prometheus and prometheus.yml."""

_SERIES = re.compile(r"(sendguard_\w+)(?:\{([^}]*)\})?")
_LABEL = re.compile(r"(\w+)\s*(?:=~|!~|!=|=)\s*\"")
_BY = re.compile(r"\b(?:by|without)\s*\(([^)]*)\)")


def _series_of(spec: Spec) -> Iterator[tuple[str, frozenset[str]]]:
    labels = frozenset(spec.labels) | SCRAPE_LABELS
    if spec.kind is not Kind.HISTOGRAM:
        yield spec.full_name, labels
        return
    yield f"{spec.full_name}_bucket", labels | {"le"}
    yield f"{spec.full_name}_sum", labels
    yield f"{spec.full_name}_count", labels


SERIES = {name: labels for spec in METRICS for name, labels in _series_of(spec)}
"""Everything we export, with its labels."""


def series_in(expression: str) -> set[str]:
    """Names of ours that it asks for."""
    return {found[1] for found in _SERIES.finditer(expression)}


def problems_with(expression: str) -> list[str]:
    """What it asks for that is not there; such a query answers with nothing, which looks like all is well."""
    problems = [f"{name} is not exported" for name in sorted(series_in(expression) - SERIES.keys())]
    known: set[str] = set(SCRAPE_LABELS)
    for found in _SERIES.finditer(expression):
        labels = SERIES.get(found[1], SCRAPE_LABELS)
        known |= labels
        asked = {label[1] for label in _LABEL.finditer(found[2] or "")}
        problems += [f"{found[1]} has no label {label}" for label in sorted(asked - labels)]
    grouped = {label.strip() for found in _BY.finditer(expression) for label in found[1].split(",")}
    return problems + [f"nothing in it has the label {label}" for label in sorted(grouped - known)]
