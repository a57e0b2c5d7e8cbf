"""Drift: where a provider's list of who opted out and our holds differ, and how far each list has been read.

The role `reconcile` keeps it, `sendguard reconcile` shows it.
"""

from gateway.drift.model import Counts, ListState, MissingThere, Side
from gateway.drift.report import DriftRow, report
from gateway.drift.store import DriftStore

__all__ = ["Counts", "DriftRow", "DriftStore", "ListState", "MissingThere", "Side", "report"]
