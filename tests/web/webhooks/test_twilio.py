"""Twilio's door: URLs behind a proxy, tokens, the query of status callbacks, what is answered."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from gateway.dnd.model import Cause
from gateway.providers.signals import OptOut
from gateway.providers.twilio.webhooks import status_callback_url
from tests.providers.twilio.calls import form
from tests.web.webhooks.calling import ACCOUNTS, OLD_TOKEN, PUBLIC_URL, twilio_call
from tests.web.webhooks.serving import RemembersAll, Served, served

PHONE = "+14155550001"
INBOUND = "/webhooks/twilio/loc1/inbound"
STOP = form("inbound_stop", From=PHONE)


@pytest.fixture
def door() -> RemembersAll:
    return RemembersAll()


@pytest.fixture
async def web(door: RemembersAll) -> AsyncIterator[Served]:
    async with served(door) as found:
        yield found


@pytest.mark.parametrize(
    ("public_url", "signed_as"),
    [
        ("https://gw.example.com", "https://gw.example.com"),
        ("https://gw.example.com", "https://gw.example.com:443"),
        ("https://gw.example.com:443", "https://gw.example.com"),
        ("https://gw.example.com/", "https://gw.example.com"),
        ("https://gw.example.com:8443", "https://gw.example.com:8443"),
        ("https://gw.example.com/behind/here", "https://gw.example.com/behind/here"),
        ("http://localhost:8080", "http://localhost:8080"),
        ("http://localhost", "http://localhost:80"),
    ],
)
async def test_the_url_is_the_one_that_twilio_was_told(public_url: str, signed_as: str) -> None:
    door = RemembersAll()
    async with served(door, ACCOUNTS.replace(PUBLIC_URL, public_url)) as web:
        for path in (INBOUND, f"{INBOUND}?a=%C3%A9&b=x+y%2Fz&a=&c"):
            answer = await web.provider.twilio(path, STOP, signed_as=signed_as)
            assert (answer.status, answer.headers["Content-Type"]) == (200, "text/xml; charset=utf-8")
    assert len(door.told) == 2


async def test_what_a_proxy_or_a_caller_says_of_the_host_is_not_believed(web: Served, door: RemembersAll) -> None:
    """Whoever has an account at Twilio could have Twilio sign for a host of theirs, but not with our token."""
    claims = {"Host": "evil.example.com", "X-Forwarded-Host": "evil.example.com", "X-Forwarded-Proto": "http"}
    body, headers = twilio_call(INBOUND, STOP)
    assert (await web.provider.post(INBOUND, body, headers | claims)).status == 200
    for base in ("http://evil.example.com", "https://evil.example.com"):
        body, headers = twilio_call(INBOUND, STOP, signed_as=base)
        assert (await web.provider.post(INBOUND, body, headers | claims)).status == 403
    assert len(door.told) == 1


async def test_while_a_token_is_changed_both_are_good_and_that_of_another_location_is_not(
    web: Served, door: RemembersAll
) -> None:
    assert (await web.provider.twilio(INBOUND, STOP, key=OLD_TOKEN)).status == 200
    assert (await web.provider.twilio(INBOUND, STOP, key="token-of-loc2")).status == 403
    elsewhere = "/webhooks/twilio/loc2/inbound"
    assert (await web.provider.twilio(elsewhere, STOP, key="token-of-loc2")).status == 200
    assert [signal.subject.location_id for signal in door.told] == ["loc1", "loc2"]


async def test_a_call_for_one_location_is_none_for_another(web: Served, door: RemembersAll) -> None:
    body, headers = twilio_call("/webhooks/twilio/loc2/inbound", STOP)
    assert (await web.provider.post("/webhooks/twilio/loc2/inbound", body, headers)).status == 403
    assert (await web.provider.post(INBOUND, body, headers)).status == 403
    assert door.told == []


async def test_a_failure_is_dated_by_the_callback_url_that_its_message_was_created_with(
    web: Served, door: RemembersAll
) -> None:
    url = status_callback_url(PUBLIC_URL, "loc1", 1_763_900_000_000, "contact/1", "outbound.requests-0-1")
    path = url.removeprefix(PUBLIC_URL)
    answer = await web.provider.twilio(path, form("status_undelivered_30004", To=PHONE))
    assert (answer.status, answer.body) == (200, b"")
    (told,) = door.told
    assert isinstance(told, OptOut)
    assert (told.cause, told.at) == (Cause.CARRIER_OPT_OUT, 1_763_900_000_000)
    assert told.evidence["contact_id"] == "contact/1"
    forged = path.replace("1763900000000", "1763900000001")
    body, headers = twilio_call(path, form("status_undelivered_30004", To=PHONE))
    assert (await web.provider.post(forged, body, headers)).status == 403


async def test_the_token_of_a_delivery_is_kept_as_evidence(web: Served, door: RemembersAll) -> None:
    body, headers = twilio_call(INBOUND, STOP)
    await web.provider.post(INBOUND, body, headers | {"I-Twilio-Idempotency-Token": "t-1"})
    assert "t-1" in door.told[0].evidence.values()


async def test_a_location_whose_name_is_encoded_in_the_path_is_found() -> None:
    door, name = RemembersAll(), "Zürich/1 %"
    accounts = ACCOUNTS.replace("[locations.loc1", f'[locations."{name}"')
    async with served(door, accounts) as web:
        path = "/webhooks/twilio/Z%C3%BCrich%2F1%20%25/inbound"
        assert (await web.provider.twilio(path, STOP)).status == 200
    assert door.told[0].subject.location_id == name
