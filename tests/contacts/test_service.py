"""Contacts shown and changed on a real Kafka: what is answered is true, whoever else is at work."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from gateway.contacts import ContactDnd, SetChannel
from gateway.dnd.model import Cause, Channel, Scope
from gateway.dnd.status import ChannelStatus, Status
from gateway.localkafka import LocalKafka
from gateway.settings import Settings
from gateway.streams.topics import apply
from tests.contacts.people import CONTACT, PHONE, USER, Book, place
from tests.contacts.scene import Gateway, gateway_on
from tests.running import settings_for


@pytest.fixture
async def settings(kafka: LocalKafka, tmp_path: Path, fresh_name: str) -> Settings:
    settings = settings_for(kafka, tmp_path, fresh_name, barrier_deadline_ms=20_000)
    await apply(settings)
    return settings


@pytest.fixture
async def gateway(settings: Settings) -> AsyncIterator[Gateway]:
    async with gateway_on(settings) as at_work:
        yield at_work


def holds(dnd: ContactDnd) -> list[tuple[str, Scope, Cause]]:
    return [(hold.subject.kind.value, hold.scope, hold.cause) for hold in dnd.holds]


async def test_what_a_user_switches_is_seen_by_whoever_looks_after_the_answer(gateway: Gateway) -> None:
    """R1, R4: one channel held is Partial."""
    service = gateway.service(Book({"c1": (PHONE,)}))
    nothing_held = await service.show("loc1", "c1")
    assert (nothing_held.status, nothing_held.holds, nothing_held.addresses) == (Status.OFF, (), (PHONE,))
    on = await service.change("loc1", "c1", [SetChannel(Channel.SMS, on=True)], USER)
    assert on.before == nothing_held
    assert on.after == await service.show("loc1", "c1")
    assert (on.after.status, on.after.dnd) == (Status.PARTIAL, False)
    assert on.after.channels[Channel.SMS] is ChannelStatus.ACTIVE
    assert holds(on.after) == [("contact", Scope.SMS, Cause.MANUAL)]
    off = await service.change("loc1", "c1", [SetChannel(Channel.SMS, on=False)], USER)
    assert (off.before, off.after) == (on.after, nothing_held)


async def test_inactive_leaves_a_stop_on_the_contacts_phone_and_names_it(gateway: Gateway) -> None:
    """R18."""
    await gateway.told(place(PHONE, Scope.SMS, Cause.KEYWORD_OPT_OUT), place(PHONE, Scope.SMS, Cause.UNREACHABLE))
    changed = await gateway.service(Book({"c1": (PHONE,)})).change(
        "loc1", "c1", [SetChannel(Channel.SMS, on=False)], USER
    )
    assert holds(changed.after) == [("phone", Scope.SMS, Cause.KEYWORD_OPT_OUT)]
    assert changed.after.channels[Channel.SMS] is ChannelStatus.PERMANENT
    ((refused),) = changed.refused
    assert refused.hold == changed.after.holds[0]
    assert [str(lifter) for lifter in refused.hold.lifted_by] == ["support (by an approved appeal)", "contact"]
    assert CONTACT.id == changed.after.subject.id
