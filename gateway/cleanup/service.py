"""The guided clean-up (R12): off the provider's lists, validated, and only then lifted.

1. Find the clean-up of this contact and address that is under way, or begin one: write down what is in force now,
   behind a barrier. Only that is lifted, so what is placed while it runs stays.
2. Take the address off bounces and unsubscribes on every sending domain of the location.
3. Let the provider validate the address; it is paid for, and asked once.
   Instead of 2 and 3, somebody may confirm that they did them by hand.
4. Lift, and wait until that is acknowledged and applied here.
5. Mark it done.

Each step is written down when it is done. A step that fails ends the call and lifts nothing; the next call goes on
there, in whatever process. The steps may be repeated: a removal that was done is done (404), a lift ends what it ended.
"""

from __future__ import annotations

import uuid
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from gateway.accounts import Lookups, MailgunAccount
from gateway.cleanup.mailgun import MailgunApi, Unreachable, mailgun
from gateway.cleanup.model import Cleanup, CleanupStatus, Starter, Step, in_force, to_lift
from gateway.cleanup.store import CleanupStore
from gateway.clock import now_ms
from gateway.contacts.addresses import Addresses, with_addresses
from gateway.contacts.log import DndLog, answering, check_lifted
from gateway.dnd.addresses import recipient_key
from gateway.dnd.model import Actor, ActorKind, BadAddress, Channel, Lift, Subject, SubjectKind
from gateway.providers.mailgun.suppressions import (
    Answered,
    SuppressionList,
    Verdict,
    read_removal,
    read_validation,
    removal,
    validation,
)
from gateway.signals.turns import Turns

BUDGET_S = 25.0
"""For one call. What is not done by then is for the next: proxies give up after 30 to 60 s."""

GOES_ON_MS = 24 * 3_600_000
"""A clean-up begun longer ago is begun again: the address may have been put on the lists since."""

BY_HAND, VALIDATED = "by_hand", "validated"
"""Names of steps; those of removals are of the domain and the list."""


class CleanupError(Exception):
    """Nothing was lifted; the text says why."""


class NoAddress(CleanupError):  # noqa: N818 - outcomes of asking, not faults
    """It is not clear which address is to be cleaned up."""


class NoAccount(CleanupError):  # noqa: N818
    """The location has no account whose lists could be asked; somebody may confirm that it was done by hand."""


class NotDeliverable(CleanupError):  # noqa: N818
    """The provider says that the address takes no mail."""


class StepFailed(CleanupError):  # noqa: N818
    """A step will not get better by itself: somebody has to look. `step` is its name."""

    def __init__(self, step: str, why: str) -> None:
        super().__init__(f"{step}: {why}")
        self.step = step


class Unfinished(CleanupError):  # noqa: N818
    """It goes on where it stopped when it is asked for again."""


@dataclass(frozen=True, slots=True)
class Asked:
    """Who asks for what. `address` None: the only one the contact has."""

    location_id: str
    contact_id: str
    actor: Actor
    address: str | None = None
    by_hand: bool = False

    @property
    def contact(self) -> Subject:
        return Subject(self.location_id, SubjectKind.CONTACT, self.contact_id)


class EmailCleanups:
    """From any number of tasks, while the fresh state and the publisher run."""

    def __init__(
        self,
        log: DndLog,
        directory: Addresses,
        accounts: Lookups,
        store: CleanupStore,
        *,
        clock: Callable[[], int] = now_ms,
        budget_s: float = BUDGET_S,
    ) -> None:
        """`clock`: ms since the epoch."""
        self._log = log
        self._directory = directory
        self._accounts = accounts
        self._store = store
        self._clock = clock
        self._budget_s = budget_s
        self._turns = Turns()

    async def clean_up(self, asked: Asked) -> Cleanup:
        """The clean-up at its end. CleanupError: nothing is lifted. NotAvailable: ask again."""
        async with answering(self._budget_s), self._turns.of(asked.contact):
            address = await self._address(asked)
            cleanup = await self._begun(asked, address)  # 1
            if asked.by_hand:
                if not cleanup.has(BY_HAND):
                    cleanup = await self._stepped(cleanup, BY_HAND, asked.actor, "somebody says that it was done")
            else:
                cleanup = await self._guided(cleanup, asked)  # 2, 3
            await self._lift(cleanup, asked.actor)  # 4
            return await self._ended(cleanup, CleanupStatus.DONE)  # 5

    async def _address(self, asked: Asked) -> Subject:
        known = [
            subject
            for subject in await with_addresses(self._directory, asked.contact)
            if subject.kind is SubjectKind.EMAIL
        ]
        if asked.address is None:
            if len(known) != 1:
                raise NoAddress(f"the contact has {len(known)} email addresses: name one")
            return known[0]
        try:
            kind, key = recipient_key(Channel.EMAIL, asked.address, None)
        except BadAddress as error:
            raise NoAddress(f"expected {error}") from None
        found = Subject(asked.location_id, kind, key)
        if found not in known:
            raise NoAddress("the contact does not have this address")
        return found

    async def _begun(self, asked: Asked, address: Subject) -> Cleanup:
        """Step 1."""
        running = await self._store.running(asked.location_id, asked.contact_id, address.id)
        now = self._clock()
        if running is not None:
            if abs(now - running.started_at) <= GOES_ON_MS:  # somebody's clock may be fast
                return running
            await self._ended(running, CleanupStatus.ABANDONED)
        records = await self._log.read([asked.contact, address])
        kind = asked.actor.kind or ActorKind.USER
        terms = [(subject, in_force(record)) for subject, record in records.items()]
        starter = Starter(kind, asked.actor.id)
        begun = Cleanup(str(uuid.uuid4()), asked.location_id, asked.contact_id, address.id, starter, now, terms)
        await self._store.add(begun)
        return begun

    async def _guided(self, cleanup: Cleanup, asked: Asked) -> Cleanup:
        account = self._accounts.mailgun(asked.location_id)
        if account is None:
            raise NoAccount("the location has no Mailgun account")
        async with mailgun(account) as api:
            cleanup = await self._removed(cleanup, asked.actor, account, api)
            return await self._validated(cleanup, asked.actor, api)

    async def _removed(self, cleanup: Cleanup, actor: Actor, account: MailgunAccount, api: MailgunApi) -> Cleanup:
        """Step 2."""
        for domain in account.domains:
            for listed in SuppressionList:
                name = f"off {listed} of {domain}"
                if not cleanup.has(name):
                    answer = read_removal(*await _answer(api.call(removal(domain, listed, cleanup.address)), name))
                    _check(answer.answered, name, answer.why)
                    cleanup = await self._stepped(cleanup, name, actor, answer.why)
        return cleanup

    async def _validated(self, cleanup: Cleanup, actor: Actor, api: MailgunApi) -> Cleanup:
        """Step 3."""
        if cleanup.has(VALIDATED):
            return cleanup
        found = read_validation(*await _answer(api.call(validation(cleanup.address)), VALIDATED))
        _check(found.answered, VALIDATED, found.why)
        cleanup = await self._stepped(cleanup, VALIDATED, actor, found.why)
        if found.verdict is Verdict.REFUSE:
            await self._ended(cleanup, CleanupStatus.REFUSED)
            reasons = f" ({', '.join(found.reasons)})" if found.reasons else ""
            raise NotDeliverable(f"{found.why}{reasons}")
        return cleanup

    async def _lift(self, cleanup: Cleanup, actor: Actor) -> None:
        """Step 4."""
        records = await self._log.read([subject for subject, _ in cleanup.terms])
        lifts: list[Lift] = []
        for subject, wanted in cleanup.terms:
            if terms := to_lift(records[subject], wanted, actor):
                # An id for each try: a lift that was cut by the brokers' clock is to count when it is made again.
                event_id = f"cleanup:{cleanup.id}:{self._clock()}"
                evidence = {"cleanup": cleanup.id, "by_hand": cleanup.has(BY_HAND)}
                lifts.append(Lift(event_id, subject, terms, actor, evidence))
        if lifts:
            await self._log.write(lifts)
            check_lifted(lifts, self._log.read_applied(_subjects(lifts)))

    async def _stepped(self, cleanup: Cleanup, name: str, actor: Actor, outcome: str) -> Cleanup:
        stepped = cleanup.with_step(Step(name, self._clock(), actor.id, outcome))
        await self._store.keep(stepped)
        return stepped

    async def _ended(self, cleanup: Cleanup, status: CleanupStatus) -> Cleanup:
        ended = cleanup.with_status(status)
        await self._store.keep(ended)
        return ended


async def _answer(calling: Awaitable[tuple[int, bytes]], name: str) -> tuple[int, bytes]:
    try:
        return await calling
    except Unreachable as error:
        raise Unfinished(f"{name}: {error}") from error


def _check(answered: Answered, name: str, why: str) -> None:
    if answered is Answered.RETRY:
        raise Unfinished(f"{name}: {why}")
    if answered is Answered.FAILED:
        raise StepFailed(name, why)


def _subjects(lifts: Sequence[Lift]) -> list[Subject]:
    return [lift.subject for lift in lifts]
