"""One list being read: a provider's server, a store, and holds that are folded as the view folds them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import aiohttp

from consumers.reconcile.calling import Caller
from consumers.reconcile.lists import MailgunList, ProviderList, TwilioLog
from consumers.reconcile.pulling import Puller
from gateway.accounts import LocationSettings
from gateway.dnd.addresses import canonical
from gateway.dnd.model import (
    Actor,
    ActorKind,
    Cause,
    Event,
    Lift,
    LiftTerm,
    Place,
    Scope,
    Subject,
    SubjectKind,
)
from gateway.dnd.record import EMPTY, Record, fold
from gateway.drift import Counts, DriftStore, ListState
from gateway.metrics import Metrics
from gateway.providers.mailgun.lists import OptOutList
from gateway.signals.publish import NotAcknowledgedError
from tests.consumers.reconcile.providers import API_KEY, DOMAIN, NOW, SID, TOKEN, Mailgun, Twilio


def email(address: str, location: str = "loc1") -> Subject:
    return Subject(location, SubjectKind.EMAIL, address)


def phone(number: int, location: str = "loc1") -> Subject:
    return Subject(location, SubjectKind.PHONE, f"+1415555{number:04d}")


@dataclass
class Holds:
    """The log and the view in one, always fresh."""

    found: dict[Subject, Record] = field(default_factory=dict)
    log: list[Event] = field(default_factory=list)
    broken: int = 0
    """So many publications are not acknowledged."""
    barriers: int = 0
    time: int = NOW
    """By the brokers' clock."""

    async def fresh(self) -> None:
        self.barriers += 1

    def get(self, subject: Subject) -> Record:
        return self.found.get(canonical(subject), EMPTY)

    def records(self) -> Iterator[tuple[Subject, Record]]:
        return iter(list(self.found.items()))

    async def now(self, subjects: Iterable[Subject]) -> int:
        return self.time

    async def publish(self, events: Sequence[Event]) -> Mapping[int, int]:
        if self.broken:
            self.broken -= 1
            raise NotAcknowledgedError("away")
        for event in events:
            self.log.append(event)
            self.found[event.subject] = fold(self.get(event.subject), event, NOW + 1_000).record
        return {}

    def held(self) -> set[tuple[str, str, Cause]]:
        """Location, address and cause of what is in force."""
        return {
            (subject.location_id, subject.id, cause)
            for subject, record in self.found.items()
            for (_, cause), _ in record.holds()
        }

    async def placed(
        self, subject: Subject, cause: Cause, at: int, event_id: str = "e1", scope: Scope = Scope.EMAIL, **more: object
    ) -> None:
        actor = Actor(ActorKind.PROVIDER, "mailgun")
        await self.publish([Place(event_id, subject, (scope,), (cause,), at, actor, {"provider": "mailgun", **more})])

    async def lifted(
        self, subject: Subject, cause: Cause, through: int, event_id: str = "e2", scope: Scope = Scope.EMAIL
    ) -> None:
        kind = ActorKind.CONTACT if scope is Scope.SMS else ActorKind.USER
        await self.publish([Lift(event_id, subject, (LiftTerm(scope, cause, through),), Actor(kind, "x"))])


@dataclass
class Scene:
    """`pull` reads the list once."""

    each: ProviderList
    store: DriftStore
    session: aiohttp.ClientSession
    provider: Mailgun | Twilio
    holds: Holds = field(default_factory=Holds)
    state: ListState = field(init=False)
    metrics: Metrics = field(default_factory=lambda: Metrics("test"))
    now: int = NOW
    page_size: int = 2

    def __post_init__(self) -> None:
        self.state = ListState(self.each.provider, self.each.account, self.each.listed)

    async def pull(self) -> bool:
        user, key = ("api", API_KEY) if isinstance(self.provider, Mailgun) else (SID, TOKEN)
        caller = Caller(self.session, self.provider.url, user, key, 1_000, self.metrics)
        puller = Puller(self.store, self.holds, self.holds, self.metrics, lambda: self.now)
        return await puller.pull(self.each, self.state, caller, self.page_size)

    async def again(self) -> bool:
        """In a new process: with what was kept."""
        self.state = await self.kept()
        return await self.pull()

    async def kept(self) -> ListState:
        (state,) = await self.store.states()
        return state

    def found(self, location: str = "loc1") -> Counts:
        return self.state.counts.get(location, Counts())


def mailgun_list(listing: OptOutList = OptOutList.BOUNCES, *locations: str) -> MailgunList:
    return MailgunList(DOMAIN, listing, locations or ("loc1",))


def twilio_log(**settings: LocationSettings) -> TwilioLog:
    return TwilioLog(SID, settings or {"loc1": LocationSettings(default_region="US")})
