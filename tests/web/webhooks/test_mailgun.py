"""Mailgun's door: a signed pair of time and token counts once."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from gateway.providers.signals import OptOut
from tests.running import until
from tests.web.webhooks.calling import ACCOUNTS, mailgun_call, mailgun_event
from tests.web.webhooks.serving import RemembersAll, Served, TakesItsTime, served

PATH = "/webhooks/mailgun/loc1"


@pytest.fixture
def door() -> RemembersAll:
    return RemembersAll()


@pytest.fixture
async def web(door: RemembersAll) -> AsyncIterator[Served]:
    async with served(door) as found:
        yield found


async def test_a_token_that_was_seen_is_200_and_not_told_again_whatever_it_stands_before(
    web: Served, door: RemembersAll
) -> None:
    assert (await web.provider.mailgun(mailgun_event("unsubscribed", "a@example.com"), once="t1")).status == 200
    assert (await web.provider.mailgun(mailgun_event("complained", "victim@example.com"), once="t1")).status == 200
    assert (await web.provider.mailgun(mailgun_event("complained", "b@example.com"), once="t2")).status == 200
    assert [signal.subject.id for signal in door.told] == ["a@example.com", "b@example.com"]
    assert web.counted("webhooks_total", provider="mailgun", result="repeated") == 1


async def test_an_event_that_comes_again_under_another_token_is_the_same_fact(web: Served, door: RemembersAll) -> None:
    """To a domain's webhook and to the account's: the id of the event in the log is what counts once."""
    event = mailgun_event("permanent_bounce", "a@example.com")
    for token in ("t1", "t2"):
        await web.provider.mailgun(event, once=token)
    assert len({signal.event_id for signal in door.told}) == 1
    assert len(door.told) == 2


async def test_the_same_call_while_it_is_handled_is_not_said_to_be_safe() -> None:
    door = TakesItsTime()
    call = mailgun_call(mailgun_event("unsubscribed", "a@example.com"), once="t1")
    async with served(door) as web:
        first = asyncio.create_task(web.provider.post(PATH, *call))
        await until(lambda: door.inside)
        assert (await web.provider.post(PATH, *call)).status == 503
        door.go_on.set()
        assert (await first).status == 200
        assert (await web.provider.post(PATH, *call)).status == 200
    assert len(door.told) == 1


async def test_two_locations_that_share_an_account_are_told_each() -> None:
    door = RemembersAll()
    accounts = ACCOUNTS.replace("[locations.loc3]", _mailgun_of("loc3") + "[locations.loc3]")
    async with served(door, accounts) as web:
        for location in ("loc1", "loc3"):
            await web.provider.mailgun(mailgun_event("unsubscribed", "a@b.example"), once="t1", location=location)
    assert [signal.subject.location_id for signal in door.told] == ["loc1", "loc3"]


def _mailgun_of(location: str) -> str:
    return (
        f'[locations.{location}.mailgun]\nsigning_key = "key-test"\napi_key = "unused"\ndomains = ["m2.example.com"]\n'
    )


async def test_every_signal_is_a_place(web: Served, door: RemembersAll) -> None:
    """The signature does not cover the event: so no event may lift anything."""
    for name in ("unsubscribed", "complained", "permanent_bounce", "permanent_suppress_complaint", "delivered"):
        await web.provider.mailgun(mailgun_event(name, "a@example.com"))
    assert len(door.told) == 4
    assert all(isinstance(signal, OptOut) for signal in door.told)
