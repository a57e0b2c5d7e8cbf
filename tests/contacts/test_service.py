"""Contacts shown and changed on a real Kafka: what is answered is true."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from sqlalchemy.exc import OperationalError

from gateway.clock import now_ms
from gateway.contacts import ContactDnd, ContactService, NotAvailable, SetAll, SetChannel
from gateway.contacts.log import State
from gateway.contract.topics import Topics
from gateway.dnd.model import BadAddress, Cause, Channel, Scope, Subject, SubjectKind
from gateway.dnd.record import EMPTY
from gateway.dnd.status import ChannelStatus, Status
from gateway.fresh import FreshState
from gateway.metrics import Metrics
from gateway.settings import Settings
from gateway.signals.publish import Publisher
from gateway.streams.clients import Clients
from gateway.streams.quorum import NotFreshError
from gateway.view.table import View
from tests.contacts.people import AGENCY, CONTACT, EMAIL, PHONE, USER, WORKFLOW, Book, place
from tests.contacts.scene import PATIENT_S, Gateway
from tests.signals.scene import at_work


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
    """R18: what may be lifted is, on the address too; the rest is named with who can lift it."""
    await gateway.told(place(PHONE, Scope.SMS, Cause.KEYWORD_OPT_OUT), place(PHONE, Scope.SMS, Cause.UNREACHABLE))
    service = gateway.service(Book({"c1": (PHONE,)}))
    changed = await service.change("loc1", "c1", [SetChannel(Channel.SMS, on=False)], USER)
    assert holds(changed.after) == [("phone", Scope.SMS, Cause.KEYWORD_OPT_OUT)]
    assert changed.after.channels[Channel.SMS] is ChannelStatus.PERMANENT
    (refused,) = changed.refused
    assert refused.hold == changed.after.holds[0]
    assert [str(lifter) for lifter in refused.hold.lifted_by] == ["support (by an approved appeal)", "contact"]


async def test_clearing_everything_says_what_stays(gateway: Gateway) -> None:
    """R6, R11."""
    service = gateway.service(Book({"c1": (PHONE, EMAIL)}))
    await gateway.told(place(EMAIL, Scope.EMAIL, Cause.COMPLAINT), place(EMAIL, Scope.EMAIL, Cause.BOUNCE))
    await gateway.told(place(CONTACT, Scope.ALL, Cause.LEGACY))
    assert (await service.show("loc1", "c1")).status is Status.ON
    cleared = await service.clear("loc1", "c1", AGENCY)
    assert (cleared.after.status, cleared.after.dnd) == (Status.PARTIAL, False)
    assert holds(cleared.after) == [("email", Scope.EMAIL, Cause.COMPLAINT)]
    assert [each.hold for each in cleared.refused] == list(cleared.after.holds)
    assert (await service.clear("loc1", "c1", AGENCY)).events == ()


async def test_an_address_is_shown_in_whatever_spelling(gateway: Gateway) -> None:
    """R21."""
    service = gateway.service(default_region=lambda _: "US")
    await gateway.told(place(PHONE, Scope.SMS, Cause.CARRIER_OPT_OUT, evidence={"code": "30004", "raw": {"a": 1}}))
    shown = await service.show_address("loc1", SubjectKind.PHONE, "(415) 555-2671")
    assert (shown.subject, shown.status) == (PHONE, Status.PARTIAL)
    assert shown.channels == {
        Channel.SMS: ChannelStatus.PERMANENT,
        Channel.CALL: ChannelStatus.INACTIVE,
        Channel.WHATSAPP: ChannelStatus.INACTIVE,
    }
    assert shown.holds[0].evidence == {"code": "30004"}
    assert (await service.show_address("loc2", SubjectKind.PHONE, "+14155552671")).holds == ()
    nobodys = [(SubjectKind.PHONE, "nobody"), (SubjectKind.CONTACT, "c1"), (SubjectKind.WA_USER, "+14155552671")]
    for kind, text in nobodys:
        with pytest.raises(BadAddress):
            await service.show_address("loc1", kind, text)


async def test_addresses_of_another_location_are_never_touched(gateway: Gateway) -> None:
    """R21: never across locations, whatever a directory says."""
    service = gateway.service(Book({"c1": (PHONE._replace(location_id="loc2"),)}))
    with pytest.raises(ValueError, match="another location"):
        await service.clear("loc1", "c1", USER)


async def test_a_workflows_command_read_again_changes_nothing(gateway: Gateway) -> None:
    """R19."""
    service = gateway.service()
    command: dict[str, Any] = {"change_id": "workflow:w1-17", "evidence": {"workflow_id": "w1"}}
    first = await service.change("loc1", "c1", [SetAll(on=True)], WORKFLOW, **command)
    assert first.after.holds[0].evidence == {"workflow_id": "w1"}
    await service.change("loc1", "c1", [SetAll(on=False)], USER)
    again = await service.change("loc1", "c1", [SetAll(on=True)], WORKFLOW, **command)
    assert (again.events, again.after.dnd) == ((), False)


# ---- no true answer can be given ----


class Broken:
    """A fresh state of which one part does not work."""

    def __init__(self, fresh: FreshState, *, behind: bool = False, never_applies: bool = False) -> None:
        self._fresh = fresh
        self._behind = behind
        self._never_applies = never_applies

    @property
    def view(self) -> View:
        return self._fresh.view

    @property
    def barrier(self) -> Broken:
        return self

    async def passed(self) -> None:
        if self._behind:
            raise NotFreshError("three events behind")
        if not self._never_applies:
            await self._fresh.barrier.passed()

    async def wait_applied(self, partition: int, end: int) -> None:
        if self._never_applies:
            raise NotFreshError("not applied yet")
        await self._fresh.wait_applied(partition, end)


SHORT_S = 0.2
"""A deadline that is to pass."""


async def test_while_the_barrier_holds_nothing_is_answered_and_nothing_changed(gateway: Gateway) -> None:
    service = ContactService(
        Broken(gateway.fresh, behind=True), gateway.publisher, Book(), fresh_deadline_s=SHORT_S, deadline_s=PATIENT_S
    )
    with pytest.raises(NotAvailable, match="three events behind"):
        await service.show("loc1", "c1")
    with pytest.raises(NotAvailable, match="three events behind"):
        await service.change("loc1", "c1", [SetAll(on=True)], USER)
    with pytest.raises(NotAvailable, match="three events behind"):
        await service.show_address("loc1", SubjectKind.PHONE, PHONE.id)
    assert await gateway.record(CONTACT) == EMPTY


async def test_a_change_is_not_answered_before_it_is_applied(gateway: Gateway) -> None:
    """It may be done all the same; asked again, there is nothing left to do."""
    broken = Broken(gateway.fresh, never_applies=True)
    service = ContactService(broken, gateway.publisher, Book(), fresh_deadline_s=SHORT_S, deadline_s=PATIENT_S)
    with pytest.raises(NotAvailable, match="not applied yet"):
        await service.change("loc1", "c1", [SetAll(on=True)], USER)
    again = await gateway.service().change("loc1", "c1", [SetAll(on=True)], USER)
    assert (again.events, again.after.dnd) == ((), True)


async def test_what_kafka_does_not_acknowledge_is_not_done(gateway: Gateway) -> None:
    """An answer is Kafka's acknowledgement. The publisher here reaches no broker."""
    publisher = Publisher(Clients(Settings.of(kafka_bootstrap_servers="127.0.0.1:1").kafka), "dnd.events", SHORT_S)
    async with at_work(publisher.run()):
        service = ContactService(gateway.fresh, publisher, Book(), fresh_deadline_s=PATIENT_S, deadline_s=PATIENT_S)
        with pytest.raises(NotAvailable):
            await service.change("loc1", "c1", [SetAll(on=True)], USER)
        assert (await service.change("loc1", "c1", [SetAll(on=False)], USER)).events == ()  # nothing to write
    assert await gateway.record(CONTACT) == EMPTY


async def test_before_the_view_is_open_nothing_is_answered(settings: Settings, gateway: Gateway) -> None:
    closed: State = FreshState(settings, Clients(settings.kafka), Topics(settings.topics.prefix), Metrics("test"))
    with pytest.raises(NotAvailable, match="not open"):
        await ContactService(closed, gateway.publisher, Book()).show("loc1", "c1")


class Unreachable(Book):
    """A directory whose database is away, or never answers."""

    def __init__(self, *, silent: bool) -> None:
        super().__init__()
        self._silent = silent

    async def addresses(self, location_id: str, contact_id: str) -> tuple[Subject, ...]:
        if self._silent:
            await asyncio.Event().wait()
        raise OperationalError("select", {}, ConnectionError("away"))


@pytest.mark.parametrize("silent", [False, True])
async def test_without_the_directory_a_change_would_be_half_a_change(gateway: Gateway, silent: bool) -> None:
    service = ContactService(gateway.fresh, gateway.publisher, Unreachable(silent=silent), deadline_s=SHORT_S)
    with pytest.raises(NotAvailable, match=r"no answer|does not answer"):
        await service.clear("loc1", "c1", USER)


async def test_a_hold_out_of_reach_for_a_second_is_not_reported_as_lifted(gateway: Gateway) -> None:
    """The fold cuts a lift to 5 s ahead of the broker's clock, and a place to 6 s."""
    await gateway.told(place(CONTACT, Scope.ALL, Cause.MANUAL, at=now_ms() + 3_600_000))
    service = gateway.service()
    try:
        changed = await service.change("loc1", "c1", [SetAll(on=False)], USER)
    except NotAvailable as error:
        said = str(error)
        assert (await service.show("loc1", "c1")).dnd or "in a second" in said
    else:
        assert not changed.after.dnd  # on a machine so busy that the second is over
