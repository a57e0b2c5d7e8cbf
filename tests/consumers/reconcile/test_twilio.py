"""Twilio's message log: STOPs that never reached us."""

from __future__ import annotations

from collections.abc import AsyncIterator

import aiohttp
import pytest
from aiohttp import web

from consumers.reconcile import calling
from consumers.reconcile.lists import FIRST_LOOK_BACK_MS, OVERLAP_MS
from gateway.accounts import LocationSettings
from gateway.accounts.model import TwilioAccount
from gateway.dnd.keywords import KeywordProfile
from gateway.dnd.model import Cause, Channel, Place, Scope
from gateway.drift import DriftStore
from gateway.settings import Secret
from tests.consumers.reconcile.providers import NOW, SID, Twilio, at_call, busy, serving
from tests.consumers.reconcile.scene import Scene, phone, twilio_log

HOUR_MS = 3_600_000
SECOND_MS = 1_000
STOPPED = Cause.KEYWORD_OPT_OUT


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(calling, "FIRST_PAUSE_S", 0.001)


@pytest.fixture
async def twilio() -> AsyncIterator[Twilio]:
    provider = Twilio()
    async with serving(provider):
        yield provider


@pytest.fixture
def scene(store: DriftStore, session: aiohttp.ClientSession, twilio: Twilio) -> Scene:
    return Scene(twilio_log(), store, session, twilio)


async def test_r13_a_stop_that_never_reached_us_holds_since_twilio_took_it_in(scene: Scene, twilio: Twilio) -> None:
    at = NOW - HOUR_MS
    sid = twilio.says(" stop. ", phone(1).id, at)
    twilio.says("Stop by tomorrow", phone(2).id, at)
    twilio.says("STOP", phone(3).id, at, direction="outbound-api")
    assert await scene.pull()
    assert scene.holds.held() == {("loc1", phone(1).id, STOPPED)}
    (event,) = scene.holds.log
    assert event.event_id == f"twilio:{sid}"
    register = scene.holds.get(phone(1)).registers[Scope.SMS, STOPPED]
    assert at <= register.placed.at < at + SECOND_MS
    assert (scene.found().missing_here, scene.found().entries) == (1, 1)


async def test_r13_a_stop_we_have_is_not_placed_again(scene: Scene, twilio: Twilio) -> None:
    sid = twilio.says("STOP", phone(1).id, NOW - HOUR_MS)
    at = NOW - HOUR_MS + 700
    await scene.holds.placed(phone(1), STOPPED, at, f"twilio:{sid}", Scope.SMS)
    assert await scene.pull()
    assert len(scene.holds.log) == 1
    assert scene.found().missing_here == 0


async def test_r18_a_stop_we_have_that_was_lifted_since_is_not_placed_again(scene: Scene, twilio: Twilio) -> None:
    """Also when its id is not known any more: its date is that of Twilio."""
    for number, event_id in ((1, f"twilio:SM{0:032x}"), (2, "forgotten")):
        twilio.says("STOP", phone(number).id, NOW - HOUR_MS)
        await scene.holds.placed(phone(number), STOPPED, NOW - HOUR_MS + 1_500, event_id, Scope.SMS)
        await scene.holds.lifted(phone(number), STOPPED, NOW - HOUR_MS // 2, scope=Scope.SMS)
    assert await scene.pull()
    assert scene.holds.held() == set()


async def test_r18_a_missed_stop_that_is_older_than_a_start_we_have_does_not_hold(scene: Scene, twilio: Twilio) -> None:
    twilio.says("STOP", phone(1).id, NOW - 2 * HOUR_MS)
    await scene.holds.lifted(phone(1), STOPPED, NOW - HOUR_MS, scope=Scope.SMS)
    assert await scene.pull()
    assert scene.holds.held() == set()
    assert scene.holds.log[1:] == []


@pytest.mark.parametrize(("start_after_s", "held"), [(60, False), (1, False), (0, True), (-60, True)])
async def test_r18_of_a_stop_and_a_start_that_were_both_missed_the_last_counts(
    scene: Scene, twilio: Twilio, start_after_s: int, held: bool
) -> None:
    """In one second nobody knows which was the last, and the person stays held."""
    at = NOW - HOUR_MS
    twilio.says("START", phone(1).id, at + start_after_s * SECOND_MS)
    for number in range(10, 15):  # so that they are on different pages
        twilio.says("hi", phone(number).id, at + start_after_s * SECOND_MS // 2)
    twilio.says("STOP", phone(1).id, at)
    assert await scene.pull()
    assert scene.holds.held() == ({("loc1", phone(1).id, STOPPED)} if held else set())


async def test_r18_a_missed_start_lifts_nothing_and_is_counted(scene: Scene, twilio: Twilio) -> None:
    sid = twilio.says("START", phone(2).id, NOW - HOUR_MS)
    for number in (1, 2):
        await scene.holds.placed(phone(number), STOPPED, NOW - 2 * HOUR_MS, f"e{number}", Scope.SMS)
    await scene.holds.lifted(phone(2), STOPPED, NOW - 3 * HOUR_MS, f"twilio:{sid}", Scope.SMS)  # this one is known
    twilio.says("START", phone(1).id, NOW - HOUR_MS)
    assert await scene.pull()
    assert {address for _, address, _ in scene.holds.held()} == {phone(1).id, phone(2).id}
    assert scene.found().missing_there == 1
    assert scene.found().examples == {"missing_there": [phone(1).id]}


async def test_r14_the_words_are_those_of_the_location(
    store: DriftStore, session: aiohttp.ClientSession, twilio: Twilio
) -> None:
    aligned = LocationSettings(keyword_profile=KeywordProfile.TWILIO_ALIGNED, extra_opt_out_words=("BAJA",))
    scene = Scene(twilio_log(loc1=aligned), store, session, twilio)
    for number, word in enumerate(("UNSTOP", "baja", "QUIT")):
        twilio.says(word, phone(number).id, NOW - HOUR_MS)
    assert await scene.pull()
    assert {address for _, address, _ in scene.holds.held()} == {phone(1).id, phone(2).id}


async def test_r21_of_an_account_of_two_locations_a_stop_belongs_to_whose_number_it_was_sent_to(
    store: DriftStore, session: aiohttp.ClientSession, twilio: Twilio
) -> None:
    def location(number: str) -> LocationSettings:
        return LocationSettings(
            twilio=TwilioAccount(
                account_sid=SID, auth_tokens=(Secret("x"),), public_url="https://gw.example.com", from_number=number
            )
        )

    each = twilio_log(loc1=location("+14155550100"), loc2=location("+14155550200"))
    scene = Scene(each, store, session, twilio)
    for number, to in enumerate(("+14155550100", "+14155550200", "+14155550300")):
        twilio.says("STOP", phone(number).id, NOW - HOUR_MS, to=to)
    assert await scene.pull()
    assert scene.holds.held() == {("loc1", phone(0).id, STOPPED), ("loc2", phone(1).id, STOPPED)}
    assert scene.found("").unusable == 1


async def test_the_first_round_goes_back_a_week_and_the_next_to_the_newest_message(
    scene: Scene, twilio: Twilio
) -> None:
    twilio.says("STOP", phone(1).id, NOW - FIRST_LOOK_BACK_MS - HOUR_MS)
    twilio.says("STOP", phone(2).id, NOW - FIRST_LOOK_BACK_MS + HOUR_MS)
    twilio.says("hi", phone(3).id, NOW - HOUR_MS)
    assert await scene.pull()
    assert {address for _, address, _ in scene.holds.held()} == {phone(2).id}
    assert scene.state.through_at == NOW - HOUR_MS
    scene.now += HOUR_MS
    twilio.says("STOP", phone(4).id, NOW - HOUR_MS - OVERLAP_MS + SECOND_MS)  # it came into the log late
    asked = len(twilio.asked)
    assert await scene.again()
    assert {address for _, address, _ in scene.holds.held()} == {phone(2).id, phone(4).id}
    assert len(twilio.asked) == asked + 1


async def test_a_log_is_gone_on_with_behind_the_last_page_done(scene: Scene, twilio: Twilio) -> None:
    for number in range(7):
        twilio.says("STOP", phone(number).id, NOW - HOUR_MS - number * SECOND_MS)
    twilio.instead = at_call(2, web.Response(body=b'{"messages":[{}]}'))
    assert not await scene.pull()
    assert len(scene.holds.held()) == 4
    assert await scene.again()
    assert len(scene.holds.held()) == 7
    assert [path.count("Page=2") for path in twilio.asked] == [0, 0, 1, 1, 0]
    assert scene.found().missing_here == 7


async def test_messages_that_cannot_be_read_are_counted_and_the_others_count(scene: Scene, twilio: Twilio) -> None:
    twilio.says("STOP", phone(1).id, NOW - HOUR_MS)
    twilio.says("STOP", phone(2).id, NOW - HOUR_MS, date_created="yesterday")
    twilio.says("STOP", "ACME", NOW - HOUR_MS)
    twilio.says("STOP", phone(3).id, NOW - HOUR_MS, sid="")
    twilio.log[-1]["sid"] = None
    assert await scene.pull()
    assert {address for _, address, _ in scene.holds.held()} == {phone(1).id}
    assert scene.found().unusable == 2


async def test_a_wait_that_is_asked_for_is_kept(scene: Scene, twilio: Twilio) -> None:
    twilio.says("STOP", phone(1).id, NOW - HOUR_MS)
    twilio.instead = at_call(0, busy(429, Retry_After="301"))
    assert not await scene.pull()
    assert scene.state.error is not None
    assert "asks to wait for 301 s" in scene.state.error
    assert len(twilio.asked) == 1
    assert await scene.again()


async def test_r18_who_opts_in_on_whatsapp_has_not_answered_an_sms_stop(
    store: DriftStore, session: aiohttp.ClientSession, twilio: Twilio
) -> None:
    both = LocationSettings(opt_out_channels=frozenset({Channel.SMS, Channel.WHATSAPP}))
    scene = Scene(twilio_log(loc1=both), store, session, twilio)
    twilio.says("STOP", phone(1).id, NOW - HOUR_MS)
    twilio.says("START", f"whatsapp:{phone(1).id}", NOW - HOUR_MS // 2)
    assert await scene.pull()
    registers = scene.holds.get(phone(1)).registers
    assert {scope for (scope, _), register in registers.items() if register.in_force} == {Scope.SMS}


async def test_who_wrote_stop_twice_is_placed_and_counted_once_by_the_last(scene: Scene, twilio: Twilio) -> None:
    scene.page_size = 10
    for minutes in (3, 1, 2):
        twilio.says("STOP", phone(1).id, NOW - minutes * 60 * SECOND_MS)
    assert await scene.pull()
    (event,) = scene.holds.log
    assert isinstance(event, Place)
    assert event.at // SECOND_MS == (NOW - 60 * SECOND_MS) // SECOND_MS
    assert scene.found().missing_here == 1
    assert await scene.again()
    assert len(scene.holds.log) == 1


async def test_a_message_from_the_future_does_not_end_the_reading_of_the_log(scene: Scene, twilio: Twilio) -> None:
    twilio.says("hi", phone(1).id, NOW + 365 * 24 * HOUR_MS)
    assert await scene.pull()
    assert scene.state.through_at == NOW
    twilio.says("STOP", phone(2).id, NOW + HOUR_MS)
    scene.now += 2 * HOUR_MS
    assert await scene.again()
    assert {address for _, address, _ in scene.holds.held()} == {phone(2).id}
