"""The report: one row for each location and list, over all accounts and domains that the location sends with."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from gateway.drift.model import EXAMPLES_LIMIT, Counts, ListState, MissingThere, Side


class DriftRow(msgspec.Struct):
    """`finished_at` (ms): when the list whose last whole round is longest ago was read through; None = one never was.

    `errors`: why lists cannot be read at present.
    """

    location_id: str
    provider: str
    listed: str
    accounts: list[str]
    found: Counts
    finished_at: int | None
    errors: list[str]


def report(states: Iterable[ListState], missing: Iterable[MissingThere]) -> list[DriftRow]:
    """By location, provider and list. What nobody is assigned to has an empty location."""
    rows: dict[tuple[str, str, str], DriftRow] = {}
    for state in sorted(states, key=lambda state: state.key):
        for location_id in sorted(state.counts.keys() | state.running.keys() or {""}):
            key = (location_id, state.provider, state.listed)
            row = rows.get(key)
            if row is None:
                row = rows[key] = DriftRow(*key, [], Counts(), state.finished_at, [])
            row.accounts.append(state.account)
            row.finished_at = _older(row.finished_at, state.finished_at)
            if state.error is not None:
                row.errors.append(f"{state.account}: {state.error}")
            _add(row.found, state.counts.get(location_id, Counts()))
    for each in missing:
        if (row := rows.get((each.location_id, each.provider, each.listed))) is not None:
            row.found.missing_there += each.count
            if each.examples:
                row.found.examples.setdefault(Side.MISSING_THERE.value, []).extend(each.examples[:EXAMPLES_LIMIT])
    return [rows[key] for key in sorted(rows)]


def _older(one: int | None, other: int | None) -> int | None:
    return None if one is None or other is None else min(one, other)


def _add(total: Counts, more: Counts) -> None:
    total.entries += more.entries
    total.unusable += more.unusable
    for side in Side:
        setattr(total, side.value, total.of(side) + more.of(side))
        if shown := more.examples.get(side.value):
            known = total.examples.setdefault(side.value, [])
            known.extend(each for each in shown if each not in known)
            del known[EXAMPLES_LIMIT:]
