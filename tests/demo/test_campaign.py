"""The campaign is the same for the same seed, reaches nobody, and has something of everything in it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any, assert_never

import pytest

from gateway.contract.requests import SPELLINGS
from gateway.demo.bad_requests import bad_requests
from gateway.demo.campaign import make_campaign
from gateway.demo.people import LOCATIONS
from gateway.demo.steps import (
    Appealed,
    Bounced,
    Campaign,
    Chose,
    Deed,
    Objected,
    Send,
    SendRaw,
    Signal,
    Switched,
    Texted,
    Undelivered,
)
from gateway.dnd.addresses import recipient_key
from gateway.dnd.keywords import KeywordProfile, Word, classify
from gateway.dnd.model import Cause, Channel, SubjectKind
from gateway.guard.reading import read_batch
from gateway.providers.mailgun import webhooks as mailgun
from gateway.providers.twilio.codes import SMS_CAUSES
from tests.demo.histories import no_region

FICTION = re.compile(r"\+1[0-9]{3}55501[0-9]{2}|\+447700900[0-9]{3}|\+3363998[0-9]{4}")
"""NANPA, Ofcom and Arcep keep these numbers free."""

SEEDS = (1, 2, 3, 99)


@pytest.fixture(params=SEEDS, name="campaign")
def _campaign(request: pytest.FixtureRequest) -> Campaign:
    return make_campaign(request.param)


def sends(campaign: Campaign) -> list[Send]:
    then = [signal.then for signal in signals(campaign) if signal.then is not None]
    return [*(step for step in campaign.steps if isinstance(step, Send)), *then]


def signals(campaign: Campaign) -> list[Signal]:
    return [step for step in campaign.steps if isinstance(step, Signal)]


def deeds(campaign: Campaign, *kinds: type[Deed]) -> list[Deed]:
    return [signal.deed for signal in signals(campaign) if isinstance(signal.deed, kinds)]


def recipients(step: Send) -> Iterator[str]:
    for field in ("to", "cc"):
        named: Any = step.body.get(field) or []
        yield from [named] if isinstance(named, str) else named


@pytest.mark.parametrize("seed", SEEDS)
def test_a_seed_makes_the_same_campaign_every_time(seed: int) -> None:
    assert make_campaign(seed) == make_campaign(seed)


def test_another_seed_makes_another_campaign() -> None:
    assert make_campaign(1) != make_campaign(2)


def test_nobody_real_can_be_reached(campaign: Campaign) -> None:
    regions = {location.id: location.region for location in LOCATIONS}
    keys: set[tuple[SubjectKind, str]] = set()
    for contact in campaign.contacts:
        addresses = [contact.address(channel) for channel in Channel]
        keys |= {(subject.kind, subject.id) for subject in addresses}
    for step in sends(campaign):
        channel = SPELLINGS[str(step.body["channel"]).lower()]
        keys |= {recipient_key(channel, to, regions[str(step.body["location_id"])]) for to in recipients(step)}
    for kind, key in keys:
        if kind is SubjectKind.PHONE:
            assert FICTION.fullmatch(key), key
        if kind is SubjectKind.EMAIL:
            assert re.search(r"@example\.(com|org|net)$", key), key


def test_it_has_hundreds_of_contacts_in_several_locations_on_every_channel(campaign: Campaign) -> None:
    assert len({step.body["contact_id"] for step in sends(campaign)}) > 200
    assert {step.body["location_id"] for step in sends(campaign)} == {location.id for location in LOCATIONS}
    assert {SPELLINGS[str(step.body["channel"]).lower()] for step in sends(campaign)} == set(Channel)


def cause_of(deed: Deed) -> Cause | None:
    """Why the contact will be held, by the tables of the providers; None = it is not."""
    match deed:
        case Texted(words=words):
            said = classify(words, KeywordProfile.AS_SPECIFIED, ())
            return Cause.KEYWORD_OPT_OUT if said is Word.OPT_OUT else None
        case Undelivered(code=code):
            return SMS_CAUSES[code]
        case Bounced(reason=found):
            cause = mailgun.REASONS[found]
        case Objected(event=found):
            cause = mailgun.EVENTS[found]
        case Chose():
            return Cause.PROVIDER_OPT_OUT
        case Switched(on=on):
            return Cause.MANUAL if on else None
        case Appealed():
            return None
        case _:
            assert_never(deed)
    assert isinstance(cause, Cause)
    return cause


def test_every_cause_is_placed_and_some_are_lifted(campaign: Campaign) -> None:
    causes = {cause_of(signal.deed) for signal in (*campaign.before, *signals(campaign))}
    assert {*causes, Cause.LEGACY} - {None} == set(Cause)
    assert len(campaign.legacy) == 10


def test_each_way_in_and_out_of_a_hold_is_taken(campaign: Campaign) -> None:
    """Issue: bounce, complaint, 30003, START and a support appeal each happen."""
    assert any(isinstance(deed, Bounced) and deed.reason == "bounce" for deed in deeds(campaign, Bounced))
    assert any(isinstance(deed, Objected) and deed.event == "complained" for deed in deeds(campaign, Objected))
    assert any(isinstance(deed, Undelivered) and deed.code == "30003" for deed in deeds(campaign, Undelivered))
    assert sum(isinstance(deed, Texted) and deed.words == "START" for deed in deeds(campaign, Texted)) > 3
    assert len(deeds(campaign, Appealed)) == 1
    assert sum(isinstance(deed, Switched) and not deed.on for deed in deeds(campaign, Switched)) == 5


def test_who_starts_or_appeals_was_held_before(campaign: Campaign) -> None:
    held: set[str] = set()
    for signal in signals(campaign):
        if isinstance(signal.deed, Appealed) or (isinstance(signal.deed, Texted) and signal.deed.words == "START"):
            assert signal.deed.contact.id in held
        elif cause_of(signal.deed) is not None:
            held.add(signal.deed.contact.id)


def test_some_signals_are_delivered_twice(campaign: Campaign) -> None:
    numbers = [signal.number for signal in signals(campaign)]
    assert len(numbers) - len(set(numbers)) == 4
    first: dict[int, Deed] = {}
    for signal in signals(campaign):
        assert first.setdefault(signal.number, signal.deed) == signal.deed


def test_a_message_follows_most_signals_at_once(campaign: Campaign) -> None:
    follow_ups = [signal for signal in signals(campaign) if signal.then is not None]
    assert len(follow_ups) > 70
    for signal in follow_ups:
        assert signal.then is not None
        assert signal.then.body["contact_id"] == signal.deed.contact.id


def test_some_stop_while_a_message_to_them_waits_in_the_bulk_send(campaign: Campaign) -> None:
    """They are the last of a location that is written to faster than its account may send."""
    written = [
        (step.at, step.body["contact_id"])
        for step in sends(campaign)
        if step.body["workflow_id"] == "w-spring-offer"
        and step.body["location_id"] == "bright-smile"
        and SPELLINGS[str(step.body["channel"]).lower()] is Channel.SMS
    ]
    last = {contact for _, contact in sorted(written)[-5:]}
    end = max(at for at, _ in written)
    stopped = {
        signal.deed.contact.id
        for signal in signals(campaign)
        if isinstance(signal.deed, Texted) and end < signal.at < end + 0.03 and signal.deed.contact.location.is_busy
    }
    assert last <= stopped


def test_some_requests_have_expired_and_some_have_several_recipients(campaign: Campaign) -> None:
    assert any(step.expires_in_ms is not None and step.expires_in_ms < 0 for step in sends(campaign))
    assert any(isinstance(step.body["to"], list) and "cc" in step.body for step in sends(campaign))


def test_steps_are_in_the_order_of_their_time(campaign: Campaign) -> None:
    times = [step.at for step in campaign.steps]
    assert times == sorted(times)
    assert times[0] >= 0.0
    assert times[-1] <= 1.0


def test_every_bad_request_is_refused_and_is_among_the_steps(campaign: Campaign) -> None:
    bad = [step for step in campaign.steps if isinstance(step, SendRaw)]
    assert sorted(step.what for step in bad) == sorted(what for what, _ in bad_requests())


class Record:
    """As the guard reads it."""

    def __init__(self, value: bytes | None) -> None:
        self.offset = 0
        self.key: bytes | None = None
        self.value = value
        self.headers: Sequence[tuple[str, bytes]] = ()


@pytest.mark.parametrize(("what", "value"), list(bad_requests()), ids=[what for what, _ in bad_requests()])
def test_each_bad_request_is_one(what: str, value: bytes | None) -> None:
    assert read_batch([Record(value)], no_region).refused, what
