"""When a list is read: what is due, what waits, and who may hurry it."""

from __future__ import annotations

from typing import Any

import pytest

from consumers.reconcile.pulling import AGAIN_MS
from consumers.reconcile.role import is_due
from gateway.drift import ListState
from tests.consumers.reconcile.providers import NOW

HOUR_MS = 3_600_000
FAILED = {"under_way": True, "started_at": NOW - 1, "error": "answered 503", "error_at": NOW - 1}


@pytest.mark.parametrize(
    ("what", "asked_at", "due"),
    [
        ({}, 0, True),
        ({"started_at": NOW - 1}, 0, False),
        ({"started_at": NOW - HOUR_MS}, 0, True),
        ({"started_at": NOW - 1}, NOW, True),
        ({"started_at": NOW - 1}, NOW - 2, False),
        ({"started_at": NOW - 1, "under_way": True}, 0, True),
        ({"started_at": NOW + 1}, 0, True),
        (FAILED | {"again_at": NOW - 1 + AGAIN_MS}, 0, False),
        (FAILED | {"again_at": NOW}, 0, True),
        (FAILED | {"again_at": NOW - 1 + AGAIN_MS}, NOW, True),
        (FAILED | {"again_at": NOW + HOUR_MS}, NOW, False),
        (FAILED | {"error_at": NOW + 1, "again_at": NOW + 1 + AGAIN_MS}, 0, True),
    ],
    ids=[
        "never read",
        "just read",
        "read an interval ago",
        "asked for since",
        "asked for before",
        "interrupted",
        "the clock was set back",
        "failed a moment ago",
        "failed, and the pause is over",
        "failed, and asked for since",
        "the provider asks to be left alone",
        "failed, and the clock was set back",
    ],
)
def test_a_list_is_read_when_it_is_due(what: dict[str, Any], asked_at: int, due: bool) -> None:
    assert is_due(ListState("mailgun", "mg.example.com", "bounces", **what), asked_at, NOW, HOUR_MS) == due
