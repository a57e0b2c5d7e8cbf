"""The store of drift, in both databases."""

from __future__ import annotations

import pytest
from sqlalchemy import URL

from gateway.database import AnotherWorkerError
from gateway.drift import Counts, DriftStore, ListState, MissingThere, Side

AT = 1_763_900_000_000


def state(listed: str = "bounces", **changes: object) -> ListState:
    found = ListState("mailgun", "mg.example.com", listed)
    for name, value in changes.items():
        setattr(found, name, value)
    return found


async def test_a_list_comes_back_as_it_was_kept(store: DriftStore) -> None:
    kept = state(round=3, under_way=True, started_at=AT, next_path="/v3/mg.example.com/bounces?page=next")
    kept.counted("loc1").differs(Side.MISSING_HERE, "a@example.com")
    await store.keep(kept)
    kept.error, kept.error_at = "answered 500", AT
    await store.keep(kept)
    await store.keep(state("complaints"))
    assert sorted(await store.states(), key=lambda each: each.listed) == [kept, state("complaints")]


async def test_entries_are_kept_with_the_position_and_the_newest_date_stays(store: DriftStore) -> None:
    await store.keep(state(round=1), {"a": AT + 1, "b": AT})
    await store.keep(state(round=1), {"a": AT, "c": AT})
    await store.keep(state("complaints", round=1), {"d": AT})
    keys = [state().key]
    assert await store.entries_of(keys, ["a", "b", "c", "d", "e"]) == {"a": AT + 1, "b": AT, "c": AT}
    both = await store.entries_of([*keys, state("complaints").key], ["d"])
    assert both == {"d": AT}


async def test_with_the_end_of_a_round_entries_of_former_rounds_go(store: DriftStore) -> None:
    await store.keep(state(round=1), {"gone": AT, "there": AT})
    await store.keep(state("complaints", round=1), {"other": AT})
    await store.finish(state(round=2), {"there": AT, "new": AT})
    assert sorted(await store.entries_of([state().key], ["gone", "there", "new"])) == ["new", "there"]
    assert await store.entries_of([state("complaints").key], ["other"]) == {"other": AT}


async def test_many_entries_are_asked_for_at_once(store: DriftStore) -> None:
    entries = {f"p{number}@example.com": AT for number in range(2_345)}
    await store.keep(state(round=1), entries)
    assert await store.entries_of([state().key], list(entries)) == entries
    assert await store.entries_of([state().key], []) == {}


async def test_a_round_that_is_asked_for_stays_asked_for_while_the_state_changes(store: DriftStore) -> None:
    await store.keep(state())
    assert await store.asked() == {}
    assert await store.ask(AT) == 1
    await store.keep(state(round=1))
    assert await store.asked() == {state().key: AT}


async def test_lists_that_nobody_has_any_more_go_with_their_entries(store: DriftStore) -> None:
    await store.keep(state(round=1), {"a": AT})
    await store.keep(state("complaints"))
    await store.drop([state().key])
    assert [each.listed for each in await store.states()] == ["complaints"]
    assert await store.entries_of([state().key], ["a"]) == {}


async def test_what_is_missing_there_is_replaced_by_the_next_comparison(store: DriftStore) -> None:
    found = MissingThere("loc1", "mailgun", "bounces", 2, ["a@example.com"], AT)
    await store.keep_missing([found, MissingThere("loc2", "mailgun", "bounces", 1, [], AT)])
    found = MissingThere("loc1", "mailgun", "bounces", 0, [], AT + 1)
    await store.keep_missing([found])
    await store.keep_missing([])
    assert found in await store.missing()
    assert len(await store.missing()) == 2


async def test_one_process_works_at_a_time(store: DriftStore, database: URL) -> None:
    other = DriftStore(database)
    try:
        async with store.sole_worker():
            with pytest.raises(AnotherWorkerError):
                async with other.sole_worker():
                    pass
        async with other.sole_worker():
            pass
    finally:
        await other.close()


def test_no_more_examples_are_kept_than_are_shown() -> None:
    counts = Counts()
    for number in range(100):
        counts.differs(Side.LIFTED_HERE, f"p{number}@example.com")
    assert counts.of(Side.LIFTED_HERE) == 100
    assert len(counts.examples["lifted_here"]) == 10
