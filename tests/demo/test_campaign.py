"""The campaign is the same for the same seed, reaches nobody, and has something of everything in it."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator, Sequence
from typing import Any

import pytest

from gateway.accounts import Accounts
from gateway.contract.requests import SPELLINGS
from gateway.demo.bad_requests import bad_requests
from gateway.demo.campaign import make_campaign
from gateway.demo.people import LOCATIONS, accounts_toml
from gateway.demo.steps import Campaign, Send, SendRaw, Signal
from gateway.dnd.addresses import recipient_key
from gateway.dnd.model import Cause, Channel, Event, Lift, Place, SubjectKind
from gateway.guard.reading import read_batch
from tests.demo.histories import no_region

FICTION = re.compile(r"\+1[0-9]{3}55501[0-9]{2}|\+447700900[0-9]{3}|\+3363998[0-9]{4}")
"""NANPA, Ofcom and Arcep keep these numbers free."""

SEEDS = (1, 2, 3, 99)


@pytest.fixture(params=SEEDS, name="campaign")
def _campaign(request: pytest.FixtureRequest) -> Campaign:
    return make_campaign(request.param)


def sends(campaign: Campaign) -> list[Send]:
    return [step for step in campaign.steps if isinstance(step, Send)]


def events(campaign: Campaign) -> list[Event]:
    return [event for step in campaign.steps if isinstance(step, Signal) for event in step.events]


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
    addresses = [event.subject for event in (*campaign.before, *events(campaign))]
    keys = {(subject.kind, subject.id) for subject in addresses}
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


def test_every_cause_is_placed_and_some_are_lifted(campaign: Campaign) -> None:
    causes = {
        cause for event in (*campaign.before, *events(campaign)) if isinstance(event, Place) for cause in event.causes
    }
    assert causes == set(Cause)
    assert sum(isinstance(event, Lift) for event in events(campaign)) > 5


def test_some_signals_are_delivered_twice(campaign: Campaign) -> None:
    ids = [event.event_id for event in events(campaign)]
    assert len(ids) > len(set(ids))


def test_a_message_follows_most_signals_at_once(campaign: Campaign) -> None:
    follow_ups = 0
    for step, following in zip(campaign.steps, campaign.steps[1:], strict=False):
        if isinstance(step, Signal) and isinstance(following, Send):
            follow_ups += following.body["workflow_id"] == "w-follow-up"
    assert follow_ups > 70


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


def test_the_accounts_file_names_the_region_of_every_location() -> None:
    accounts = Accounts.parse(tomllib.loads(accounts_toml()), "demo")
    assert {location.id: accounts.default_region(location.id) for location in LOCATIONS} == {
        location.id: location.region for location in LOCATIONS
    }
