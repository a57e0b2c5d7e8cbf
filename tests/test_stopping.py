"""Whatever comes first ends the wait, and nothing of it is left."""

from __future__ import annotations

import asyncio

import pytest

from gateway.stopping import ended_before_stop, set_before_stop


async def no_other_task() -> None:
    await asyncio.sleep(0)
    assert asyncio.all_tasks() == {asyncio.current_task()}


@pytest.mark.parametrize(("event_set", "stop_set"), [(True, False), (False, True), (True, True)])
async def test_an_event_counts_unless_the_stop_is_there_by_then(event_set: bool, stop_set: bool) -> None:
    event, stop = asyncio.Event(), asyncio.Event()
    waiting = asyncio.create_task(set_before_stop(event, stop))
    await asyncio.sleep(0)
    assert not waiting.done()
    if event_set:
        event.set()
    if stop_set:
        stop.set()
    assert await waiting is not stop_set
    await no_other_task()


async def test_a_task_that_has_ended_counts_and_its_error_is_its_owners() -> None:
    stop = asyncio.Event()
    failing = asyncio.create_task(asyncio.wait_for(asyncio.Event().wait(), 0))
    assert await ended_before_stop(failing, stop)
    assert isinstance(failing.exception(), TimeoutError)
    stop.set()
    assert await ended_before_stop(failing, stop)
    await no_other_task()


async def test_a_task_under_way_is_left_as_it_is_when_the_stop_comes_first() -> None:
    event, stop = asyncio.Event(), asyncio.Event()
    working = asyncio.create_task(event.wait())
    stop.set()
    assert not await ended_before_stop(working, stop)
    assert not working.cancelling()
    event.set()
    assert await working
    await no_other_task()


async def test_a_wait_that_is_cancelled_leaves_nothing() -> None:
    waiting = asyncio.create_task(set_before_stop(asyncio.Event(), asyncio.Event()))
    await asyncio.sleep(0)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    await no_other_task()
