"""`sendguard view`: a log that was re-created under a view, and the operator's way back."""

import asyncio
from pathlib import Path

from gateway.fresh import view_directory
from gateway.settings import Settings
from tests.cli.shell import sendguard
from tests.running import Outside, running, started, until

PHONE = ("loc1", "--phone", "+14155552671")


async def follow(settings: Settings) -> None:
    """Run the service until its view has everything."""
    async with running(settings, "guard"):
        pass


async def recreated_under_a_running_guard(settings: Settings, outside: Outside) -> None:
    async with running(settings, "guard") as service:
        await asyncio.to_thread(outside.recreate, outside.topics.dnd_events)
        await until(lambda: "sendguard view republish" in str(service.problems()), lambda: str(service.problems()))


async def refuses_to_be_ready(settings: Settings) -> None:
    async with started(settings, "guard") as service:
        await until(lambda: "sendguard view republish" in str(service.problems()), lambda: str(service.problems()))


def test_a_recreated_log_is_held_until_what_the_view_knows_is_written_back(
    environment: dict[str, str], settings: Settings, outside: Outside
) -> None:
    assert sendguard(environment, "dnd", "set", *PHONE, "--channel", "SMS").code == 0
    asyncio.run(recreated_under_a_running_guard(settings, outside))
    asyncio.run(refuses_to_be_ready(settings))  # also after a restart
    assert sendguard(environment, "dnd", "show", *PHONE).out == "DND Off\n"  # what the log alone would say
    assert sendguard(environment, "view", "republish", "--json").json == {"subjects": 1, "events": 1}
    moved = sendguard(environment, "view", "discard", "--json").json["moved_to"]
    assert Path(moved).is_dir()
    assert sendguard(environment, "dnd", "show", *PHONE).out.startswith("DND Partial")
    asyncio.run(follow(settings))


def test_nothing_is_done_to_the_view_of_a_running_service(environment: dict[str, str], settings: Settings) -> None:
    async def beside_a_service() -> None:
        async with running(settings, "guard"):
            for command in ("republish", "discard"):
                refused = await asyncio.to_thread(sendguard, environment, "view", command)
                assert (refused.code, "stop the service first" in refused.err) == (1, True)

    asyncio.run(beside_a_service())


def test_republish_without_a_view_ends_with_1(environment: dict[str, str]) -> None:
    refused = sendguard(environment, "view", "republish")
    assert (refused.code, "there is no view" in refused.err) == (1, True)


def test_discard_without_a_view_is_done_at_once(environment: dict[str, str]) -> None:
    assert sendguard(environment, "view", "discard").out == "there is no view\n"


def test_republish_refuses_a_log_that_would_lose_the_events_again(
    environment: dict[str, str], settings: Settings, outside: Outside
) -> None:
    asyncio.run(follow(settings))
    outside.change(outside.topics.dnd_events, cleanup_policy="compact")
    refused = sendguard(environment, "view", "republish")
    assert (refused.code, "cleanup.policy" in refused.err) == (1, True)
    assert view_directory(settings).is_dir()
