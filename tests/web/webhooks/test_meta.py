"""Meta's door: the handshake, posts about many locations, and accounts that change."""

from __future__ import annotations

import copy
from collections.abc import AsyncIterator

import pytest

from gateway.web.webhooks.meta import LIMITS
from tests.providers.calls import payload
from tests.providers.meta.whatsapp import NUMBER_ID
from tests.web.webhooks.calling import ACCOUNTS, VERIFY_TOKEN, meta_call
from tests.web.webhooks.serving import RemembersAll, Served, served

SUBSCRIBE = {"hub.mode": "subscribe", "hub.verify_token": VERIFY_TOKEN, "hub.challenge": "1158201444"}


@pytest.fixture
def door() -> RemembersAll:
    return RemembersAll()


@pytest.fixture
async def web(door: RemembersAll) -> AsyncIterator[Served]:
    async with served(door) as found:
        yield found


async def test_the_handshake_is_answered_with_the_challenge_alone(web: Served) -> None:
    async with web.provider.session.get(f"{web.provider.url}/webhooks/meta", params=SUBSCRIBE) as answer:
        assert (answer.status, await answer.read()) == (200, b"1158201444")
        assert answer.content_type == "text/plain"


@pytest.mark.parametrize(
    "changed", [{"hub.verify_token": "guessed"}, {"hub.mode": "unsubscribe"}, {"hub.challenge": "x" * 257}]
)
async def test_another_handshake_is_403(web: Served, changed: dict[str, str]) -> None:
    async with web.provider.session.get(f"{web.provider.url}/webhooks/meta", params=SUBSCRIBE | changed) as answer:
        assert answer.status == 403
        assert answer.content_type == "application/problem+json"


async def test_a_post_as_large_as_meta_makes_them_is_read_whole(web: Served, door: RemembersAll) -> None:
    post = payload("meta", "preference_stop")
    (change,) = post["entry"][0]["changes"]
    changes = []
    for number in range(1_000):
        one = copy.deepcopy(change)
        one["value"]["user_preferences"][0]["wa_id"] = one["value"]["contacts"][0]["wa_id"] = f"1415555{number:04d}"
        one["value"]["user_preferences"][0]["detail"] = "x" * 2_000
        changes.append(one)
    post["entry"][0]["changes"] = changes
    answer = await web.provider.meta(post)
    assert answer.status == 200
    assert len(door.told) == 1_000


def test_the_limit_is_what_meta_says() -> None:
    assert LIMITS.body_bytes >= 3_000_000


async def test_a_number_without_a_location_is_noted_and_the_others_count(web: Served, door: RemembersAll) -> None:
    post = payload("meta", "preference_stop")
    other = copy.deepcopy(post["entry"][0])
    other["changes"][0]["value"]["metadata"]["phone_number_id"] = "999"
    post["entry"].insert(0, other)
    assert (await web.provider.meta(post)).status == 200
    assert [signal.subject.location_id for signal in door.told] == ["loc1"]
    assert web.counted("signal_notes_total", provider="meta", note="unknown_account") == 1


async def test_a_location_s_settings_count() -> None:
    door = RemembersAll()
    ignored = ACCOUNTS.replace(
        'default_region = "US"', 'default_region = "US"\nwhatsapp_marketing_optout = "ignore"', 1
    )
    async with served(door, ignored) as web:
        assert (await web.provider.meta(payload("meta", "preference_stop"))).status == 200
        assert web.counted("signal_notes_total", provider="meta", note="ignored_by_setting") == 1
    words = ACCOUNTS.replace('default_region = "US"', 'opt_out_channels = ["SMS", "WhatsApp"]', 1)
    said = payload("meta", "message_text")
    said["entry"][0]["changes"][0]["value"]["messages"][0]["text"]["body"] = "stop"
    async with served(door, words) as web:
        assert NUMBER_ID in str(said)
        assert (await web.provider.meta(said)).status == 200
    assert len(door.told) == 1


async def test_a_signature_over_other_bytes_of_the_same_json_is_none(web: Served, door: RemembersAll) -> None:
    _, headers = meta_call(b'{"object":"page","entry":[]}')
    answer = await web.provider.post("/webhooks/meta", b'{"object": "page", "entry": []}', headers)
    assert answer.status == 403
    assert door.told == []
