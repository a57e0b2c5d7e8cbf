"""Appeals on a real Kafka and a real database: what an approval lifts, for whom, and whoever dies on the way."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from gateway.clock import now_ms
from gateway.contacts import NotAvailable
from gateway.contacts.appeal import Appeal, AppealStatus, Evidence
from gateway.contacts.appeals import (
    OPEN_LIMIT,
    AlreadyDecided,
    Appeals,
    NotAllowed,
    NothingToAppeal,
    TooMany,
    UnknownAppeal,
)
from gateway.contacts.log import DndLog
from gateway.contacts.store import AppealStore
from gateway.database import database_url
from gateway.dnd.model import Actor, ActorKind, Cause, Channel, Event, Lift, LiftTerm, Scope
from gateway.settings import Settings
from tests.contacts.databases import engine_on
from tests.contacts.people import AGENCY, CONTACT, EMAIL, PHONE, SUPPORT, USER, WORKFLOW, Book, place
from tests.contacts.scene import PATIENT_S, Gateway, gateway_on, in_directory

PROOF = Evidence(("+14155550100",), "Ann", "https://loom.example/v/1")
OTHER = CONTACT._replace(id="c2")
STRANGER = CONTACT._replace(id="c3")
STOPPED = (Scope.SMS, Cause.KEYWORD_OPT_OUT)
CARRIER = (Scope.SMS, Cause.CARRIER_OPT_OUT)
NEW_PHONE = PHONE._replace(id="+14155559999")
SECOND = replace(SUPPORT, id="s2")


@pytest.fixture
async def engine(tmp_path: Path) -> AsyncIterator[AsyncEngine]:
    async with engine_on(database_url(None, tmp_path)) as made:
        yield made


@dataclass
class Desk:
    """Where appeals are filed and decided."""

    gateway: Gateway
    store: AppealStore
    book: Book

    def appeals(self, *, log: DndLog | None = None, store: AppealStore | None = None) -> Appeals:
        return Appeals(log or self.gateway.log, self.book, store or self.store, deadline_s=PATIENT_S)

    async def file(self, channel: Channel = Channel.SMS) -> Appeal:
        return await self.appeals().file("loc1", "c1", channel, PROOF, AGENCY)

    async def status(self, appeal: Appeal) -> AppealStatus:
        found = await self.store.get(appeal.location_id, appeal.id)
        assert found is not None
        return found.status

    async def held(self, *subjects: object) -> list[bool]:
        """Whether each is stopped, behind a barrier."""
        records = await self.gateway.log.read([CONTACT, PHONE, OTHER, STRANGER, NEW_PHONE, EMAIL])
        found = [records[subject].registers.get(STOPPED) for subject in subjects]  # type: ignore[index]  # subjects
        return [register is not None and register.in_force for register in found]


@pytest.fixture
async def desk(gateway: Gateway, engine: AsyncEngine) -> Desk:
    """A contact whose phone said STOP, and another contact with the same phone; both have copies of the hold."""
    at = now_ms()
    for subject in (PHONE, CONTACT, OTHER, STRANGER):
        await gateway.told(place(subject, *STOPPED, at=at, event_id=f"SM1:{subject.id}"))
    return Desk(gateway, AppealStore(engine), Book({"c1": (PHONE, EMAIL), "c2": (PHONE,), "c3": (NEW_PHONE,)}))


async def test_an_approved_appeal_frees_the_contact_its_address_and_who_shares_it_before_it_answers(
    desk: Desk, settings: Settings, tmp_path: Path
) -> None:
    """R18, R21. Another gateway knows it at once; a contact with another phone is not concerned."""
    await desk.gateway.told(place(PHONE, *CARRIER), place(PHONE, Scope.SMS, Cause.UNREACHABLE))
    filed = await desk.file()
    assert (filed.status, filed.filed_by, filed.evidence) == (AppealStatus.OPEN, AGENCY, PROOF)
    assert await desk.held(CONTACT, PHONE, OTHER) == [True, True, True]
    async with gateway_on(in_directory(settings, tmp_path / "second")) as second:
        approved = await desk.appeals().approve("loc1", filed.id, SUPPORT)
        seen = await second.log.read([CONTACT, PHONE, OTHER, STRANGER])
    assert [STOPPED in dict(seen[subject].holds()) for subject in seen] == [False, False, False, True]
    assert set(dict(seen[PHONE].holds())) == {(Scope.SMS, Cause.UNREACHABLE)}  # a user may clear that one
    assert approved.appeal.status is AppealStatus.APPROVED is await desk.status(filed)
    assert approved.stays == ()
    lifts = {event.subject: event for event in approved.events if isinstance(event, Lift)}
    assert set(lifts) == {CONTACT, PHONE, OTHER}
    assert {(lift.actor, lift.evidence["appeal"]) for lift in lifts.values()} == {(SUPPORT, filed.id)}


async def test_a_stop_after_the_appeal_was_filed_is_not_lifted_by_it(desk: Desk) -> None:
    """R18: an appeal ends what was in force when it was filed, and says what stays."""
    filed = await desk.file()
    later = now_ms() + 1
    await desk.gateway.told(place(PHONE, *STOPPED, at=later, event_id="SM2"), place(PHONE, *CARRIER, at=later))
    approved = await desk.appeals().approve("loc1", filed.id, SUPPORT)
    assert await desk.held(CONTACT, PHONE, OTHER) == [False, True, False]
    assert {(hold.subject, hold.cause) for hold in approved.stays} == {(PHONE, STOPPED[1]), (PHONE, CARRIER[1])}
    again = await desk.file()
    assert (await desk.appeals().approve("loc1", again.id, SUPPORT)).stays == ()
    assert await desk.held(PHONE) == [False]


async def test_an_appeal_frees_no_phone_that_the_contact_got_since_and_none_it_gave_away(desk: Desk) -> None:
    """R21: an edit of the phone does not weaken a hold."""
    filed = await desk.file()
    await desk.gateway.told(place(NEW_PHONE, *STOPPED))
    desk.book.entries["c1"] = (NEW_PHONE,)
    approved = await desk.appeals().approve("loc1", filed.id, SUPPORT)
    assert await desk.held(CONTACT, PHONE, OTHER, NEW_PHONE, STRANGER) == [False, True, True, True, True]
    assert [hold.subject for hold in approved.stays] == [NEW_PHONE, STRANGER]


async def test_a_copy_made_after_the_appeal_was_filed_ends_with_the_addresss_hold(desk: Desk) -> None:
    """R21: the directory copies within a second, and a contact may come to share the phone."""
    filed = await desk.file()
    (term,) = filed.terms[PHONE]
    late = CONTACT._replace(id="c4")
    desk.book.entries["c4"] = (PHONE,)
    await desk.gateway.told(place(late, *STOPPED, at=term.through, event_id="copy"))
    await desk.appeals().approve("loc1", filed.id, SUPPORT)
    assert not list((await desk.gateway.record(late)).holds())


async def test_of_a_contact_whose_addresses_are_not_known_the_contact_alone_is_freed(desk: Desk) -> None:
    appeals = Appeals(desk.gateway.log, Book(), desk.store, deadline_s=PATIENT_S)
    filed = await appeals.file("loc1", "c1", Channel.SMS, PROOF, USER)
    await appeals.approve("loc1", filed.id, SUPPORT)
    assert await desk.held(CONTACT, PHONE, OTHER) == [False, True, True]


async def test_spam_is_lifted_by_an_approved_appeal_and_the_other_email_causes_are_not(desk: Desk) -> None:
    """R11."""
    await desk.gateway.told(place(EMAIL, Scope.EMAIL, Cause.COMPLAINT), place(EMAIL, Scope.EMAIL, Cause.BOUNCE))
    filed = await desk.file(Channel.EMAIL)
    await desk.appeals().approve("loc1", filed.id, SUPPORT)
    assert {key for key, _ in (await desk.gateway.record(EMAIL)).holds()} == {(Scope.EMAIL, Cause.BOUNCE)}
    assert await desk.held(CONTACT, PHONE) == [True, True]


# ---- who may ----


NAMELESS = Actor(ActorKind.USER)


@pytest.mark.parametrize("actor", [SUPPORT, WORKFLOW, Actor(ActorKind.CONTACT, "c"), Actor(None), NAMELESS])
async def test_users_and_agencies_file_and_nobody_else(desk: Desk, actor: Actor) -> None:
    """R18."""
    with pytest.raises(NotAllowed):
        await desk.appeals().file("loc1", "c1", Channel.SMS, PROOF, actor)
    assert await desk.appeals().listed("loc1") == []


@pytest.mark.parametrize("actor", [USER, AGENCY, WORKFLOW, replace(SUPPORT, id=AGENCY.id), replace(SUPPORT, id="")])
async def test_support_decides_and_never_who_filed_it(desk: Desk, actor: Actor) -> None:
    """R18: two different people, whatever roles one of them has."""
    filed = await desk.file()
    for decide in (desk.appeals().approve, desk.appeals().reject):
        with pytest.raises(NotAllowed):
            await decide("loc1", filed.id, actor)
    assert await desk.held(CONTACT, PHONE, OTHER) == [True, True, True]
    assert await desk.status(filed) is AppealStatus.OPEN


async def test_an_appeal_is_of_one_location(desk: Desk) -> None:
    filed = await desk.file()
    for location, appeal_id in (("loc2", filed.id), ("loc1", "no such"), ("loc1", "\x00")):
        for decide in (desk.appeals().approve, desk.appeals().reject):
            with pytest.raises(UnknownAppeal):
                await decide(location, appeal_id, SUPPORT)
    assert await desk.appeals().listed("loc2") == []
    assert await desk.appeals().listed("loc1") == [filed]


async def test_nothing_permanent_is_nothing_to_appeal(desk: Desk) -> None:
    await desk.gateway.told(place(EMAIL, Scope.EMAIL, Cause.BOUNCE))
    for channel in (Channel.EMAIL, Channel.CALL):
        with pytest.raises(NothingToAppeal):
            await desk.file(channel)
    with pytest.raises(NothingToAppeal):
        await desk.appeals().file("loc1", "\x00", Channel.SMS, PROOF, AGENCY)


async def test_open_appeals_of_a_contact_are_bounded(desk: Desk) -> None:
    for _ in range(OPEN_LIMIT):
        last = await desk.file()
    with pytest.raises(TooMany):
        await desk.file()
    await desk.appeals().reject("loc1", last.id, SUPPORT)
    await desk.file()


# ---- decided once ----


async def test_approving_twice_is_harmless_and_lifts_nothing_new(desk: Desk) -> None:
    filed = await desk.file()
    await desk.appeals().approve("loc1", filed.id, SUPPORT)
    await desk.gateway.told(place(PHONE, *STOPPED, at=now_ms() + 1, event_id="SM2"))
    again = await desk.appeals().approve("loc1", filed.id, SECOND)
    assert again.events == ()
    assert again.appeal.decided_by == SUPPORT
    assert await desk.held(PHONE) == [True]


async def test_what_is_rejected_stays_and_is_not_approved_any_more(desk: Desk) -> None:
    filed = await desk.file()
    rejected = await desk.appeals().reject("loc1", filed.id, SUPPORT, "no\x00 proof")
    assert (rejected.status, rejected.decided_by, rejected.note) == (AppealStatus.REJECTED, SUPPORT, "no proof")
    assert await desk.appeals().reject("loc1", filed.id, SECOND) == rejected
    with pytest.raises(AlreadyDecided, match="rejected already"):
        await desk.appeals().approve("loc1", filed.id, SUPPORT)
    assert await desk.held(CONTACT, PHONE, OTHER) == [True, True, True]


async def test_what_is_approved_is_not_rejected_any_more(desk: Desk) -> None:
    filed = await desk.file()
    await desk.appeals().approve("loc1", filed.id, SUPPORT)
    with pytest.raises(AlreadyDecided, match="approved already"):
        await desk.appeals().reject("loc1", filed.id, SECOND)


async def test_holds_that_ended_otherwise_are_no_obstacle(desk: Desk) -> None:
    """The contact replied START while support was looking."""
    filed = await desk.file()
    for subject, terms in filed.terms.items():
        start = tuple(LiftTerm(term.scope, term.cause, now_ms()) for term in terms)
        await desk.gateway.told(Lift(f"START:{subject.id}", subject, start, Actor(ActorKind.CONTACT, PHONE.id)))
    approved = await desk.appeals().approve("loc1", filed.id, SUPPORT)
    assert (approved.events, approved.appeal.status) == ((), AppealStatus.APPROVED)


# ---- somebody dies ----


class DiesBeforeTheMark(AppealStore):
    """The process ends after the lifts are acknowledged."""

    async def approved(self, appeal: Appeal) -> None:
        raise ConnectionError("dead")


class DiesBeforeTheLifts(DndLog):
    """The process ends after the appeal is marked."""

    async def write(self, events: Sequence[Event]) -> None:
        raise NotAvailable("dead")


class DiesAmongTheLifts(DndLog):
    """The process ends when one of the lifts is acknowledged."""

    async def write(self, events: Sequence[Event]) -> None:
        await super().write(events[:1])
        raise NotAvailable("dead")


def dying(desk: Desk, where: str) -> Appeals:
    gateway = desk.gateway
    match where:
        case "before the mark":
            return desk.appeals(store=DiesBeforeTheMark(desk.store._engine))
        case "among the lifts":
            return desk.appeals(log=DiesAmongTheLifts(gateway.fresh, gateway.publisher, PATIENT_S))
        case _:
            return desk.appeals(log=DiesBeforeTheLifts(gateway.fresh, gateway.publisher, PATIENT_S))


@pytest.mark.parametrize("where", ["before the lifts", "among the lifts", "before the mark"])
@pytest.mark.parametrize("how", ["approved again", "resumed"])
async def test_an_approval_that_was_interrupted_is_completed(desk: Desk, where: str, how: str) -> None:
    """R18. In the name of whom it was approved by, and without ending a STOP that came meanwhile."""
    filed = await desk.file()
    with pytest.raises(NotAvailable):
        await dying(desk, where).approve("loc1", filed.id, SUPPORT)
    assert await desk.status(filed) is AppealStatus.APPROVING
    with pytest.raises(AlreadyDecided, match="approving already"):
        await desk.appeals().reject("loc1", filed.id, SECOND)
    await desk.gateway.told(place(OTHER, *STOPPED, at=now_ms() + 1, event_id="SM2"))
    if how == "resumed":
        assert await desk.appeals().resume() == 1
        assert await desk.appeals().resume() == 0
    else:
        assert (await desk.appeals().approve("loc1", filed.id, SECOND)).appeal.decided_by == SUPPORT
    assert await desk.status(filed) is AppealStatus.APPROVED
    assert await desk.held(CONTACT, PHONE, OTHER) == [False, False, True]
    record = await desk.gateway.record(PHONE)
    assert record.registers[STOPPED].lifted.actor == SUPPORT


async def test_support_alone_frees_nobody_whatever_is_asked_of_the_contact(desk: Desk) -> None:
    """R18: beside an appeal there is no way."""
    changed = await desk.gateway.service(desk.book).clear("loc1", "c1", SUPPORT)
    assert changed.events == ()
    assert await desk.held(CONTACT, PHONE, OTHER) == [True, True, True]
