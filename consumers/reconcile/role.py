"""The role `reconcile`: when each account is read, and by whom.

Theory of operation. One process at a time does it for a database, so that an account's limit is kept whatever number
of processes run. Every few seconds it looks which lists are due: a round began so long ago as the setting says, or it
was asked for (`sendguard reconcile --now`), or one is under way that was interrupted. Each account that has such lists
gets a task, which reads them one after another; a slow account holds up nobody else. When all accounts are read, or one
takes longer than the interval, holds are compared the other way round, in one pass through the view.

What goes wrong with a list is kept with it and shown; after a pause it goes on from the last page done. The accounts
are those of the accounts file as it is now; a list that nobody has any more is forgotten.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator, Mapping, Sequence

import aiohttp
from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection

from consumers.reconcile.backwards import compare_backwards
from consumers.reconcile.calling import Caller, new_session
from consumers.reconcile.lists import Account, ProviderList, accounts_of
from consumers.reconcile.pulling import AGAIN_MS, Puller
from consumers.sole_work import SoleWork
from gateway.clock import now_ms
from gateway.dnd.model import Subject
from gateway.dnd.record import Record
from gateway.drift import DriftStore, ListState, Side, report
from gateway.fresh import FreshState
from gateway.metrics import DRIFT, RECONCILE_AGE, Samples
from gateway.roles import Services
from gateway.signals.publish import DRAIN_DEADLINE_S, Publisher

log = logging.getLogger(__name__)

LOOK_EVERY_S = 2.0
"""For what is due or was asked for."""

ACCOUNTS_AT_ONCE = 8
"""Each has a page of up to 16 MiB in memory."""


def build(services: Services) -> ReconcileRole:
    return ReconcileRole(services)


class ReconcileRole:
    """Reads the providers' lists, or waits for its turn."""

    def __init__(self, services: Services) -> None:
        """SettingsError: the database's URL is none."""
        self._services = services
        self._settings = services.settings.reconcile
        self._fresh = services.fresh_state()
        self._held = FreshHolds(self._fresh)
        self._store = DriftStore.of(services.settings)
        self._publisher = Publisher(services.clients, services.topics.dnd_events, DRAIN_DEADLINE_S)
        self._puller = Puller(self._store, self._held, self._publisher, services.metrics, now_ms)
        self._states: dict[str, ListState] = {}
        self._drift: Samples = {}
        self._read_times = self._compared_times = 0
        """How often an account was read, and how often it had been when holds were compared the other way round."""
        self._compared_at = now_ms()
        self._sole = SoleWork("lists are not compared")
        services.metrics.watch(DRIFT, lambda: self._drift)
        services.metrics.watch(RECONCILE_AGE, self._ages)

    async def run(self, stop: asyncio.Event) -> None:
        """Until `stop`. It can be ended anywhere: it goes on behind the last page that was kept."""
        try:
            if not await self._fresh.loaded(stop):
                return
            async with asyncio.TaskGroup() as group:
                working = [
                    group.create_task(self._publisher.run(), name="reconcile's publisher"),
                    group.create_task(self._sole.keep(self._turn), name="reconcile"),
                ]
                await stop.wait()
                for task in working:
                    task.cancel()
        finally:
            await self._store.close()

    def problems(self) -> list[str]:
        return self._fresh.problems() + self._sole.problems

    async def _turn(self) -> None:
        self._states, self._drift = {}, {}
        async with self._store.sole_worker() as lock, new_session(ACCOUNTS_AT_ONCE) as session:
            self._states = {state.key: state for state in await self._store.states()}
            await self._tell()
            self._sole.begun()
            await self._work(lock, session)

    async def _work(self, lock: AsyncConnection, session: aiohttp.ClientSession) -> None:
        """For ever. SQLAlchemyError, OSError, TimeoutError."""
        try:
            async with asyncio.TaskGroup() as group:
                await self._look(lock, session, group)
        except ExceptionGroup as several:
            _, unexpected = several.split((SQLAlchemyError, OSError, TimeoutError))
            if unexpected is not None:
                raise
            raise several.exceptions[0] from several

    async def _look(self, lock: AsyncConnection, session: aiohttp.ClientSession, group: asyncio.TaskGroup) -> None:
        running: dict[str, asyncio.Task[None]] = {}
        limit = asyncio.Semaphore(ACCOUNTS_AT_ONCE)
        while True:
            async with lock.begin():
                await lock.execute(text("SELECT 1"))  # the lock is as good as its connection
            accounts = accounts_of(self._services.accounts.current)
            await self._forget_others(accounts)
            asked = await self._store.asked()
            running = {name: task for name, task in running.items() if not task.done()}
            for account in accounts:
                due = [each for each in account.lists if self._is_due(each.key, asked)]
                if due and account.name not in running:
                    work = self._read(account, due, session, limit)
                    running[account.name] = group.create_task(work, name=f"reconcile {account.name}")
            await self._compare_backwards(accounts, busy=bool(running))
            await asyncio.sleep(LOOK_EVERY_S)

    async def _compare_backwards(self, accounts: Sequence[Account], *, busy: bool) -> None:
        """When something was read since."""
        now, times = now_ms(), self._read_times
        if times == self._compared_times or (busy and now < self._compared_at + self._settings.interval_ms):
            return
        lists = [each for account in accounts for each in account.lists]
        await compare_backwards(lists, self._states, self._held, self._store, now)
        self._compared_times, self._compared_at = times, now
        await self._tell()

    def _is_due(self, key: str, asked: Mapping[str, int]) -> bool:
        return is_due(self._states.get(key), asked.get(key, 0), now_ms(), self._settings.interval_ms)

    async def _read(
        self, account: Account, due: Sequence[ProviderList], session: aiohttp.ClientSession, limit: asyncio.Semaphore
    ) -> None:
        settings, metrics = self._settings, self._services.metrics
        caller = Caller(session, account.base, account.user, account.key, settings.calls_per_second, metrics)
        async with limit:
            for each in due:
                state = self._states.setdefault(each.key, ListState(each.provider, each.account, each.listed))
                await self._puller.pull(each, state, caller, settings.page_size)
            self._read_times += 1
            await self._tell()

    async def _forget_others(self, accounts: Sequence[Account]) -> None:
        mine = {each.key for account in accounts for each in account.lists}
        if others := self._states.keys() - mine:
            await self._store.drop(others)
            self._states = {key: state for key, state in self._states.items() if key in mine}

    async def _tell(self) -> None:
        rows = report(self._states.values(), await self._store.missing())
        self._drift = {
            (row.location_id, row.provider, row.listed, side.value): row.found.of(side) for row in rows for side in Side
        }

    def _ages(self) -> Samples:
        """Since when the list that was read through longest ago is not known any better, by provider."""
        now, oldest = now_ms(), dict[tuple[str, ...], float]()
        for state in self._states.values():
            # A list that was never read through counts from when it was begun.
            since = state.finished_at or state.started_at or now
            oldest[(state.provider,)] = max(oldest.get((state.provider,), 0.0), (now - since) / 1000)
        return oldest


def is_due(state: ListState | None, asked_at: int, now: int, interval_ms: int) -> bool:
    """Whether the list is to be read now. A clock that was set back puts off nothing."""
    if state is None or state.started_at is None:
        return True
    if state.error_at is not None and state.again_at is not None:
        may_hurry = state.again_at <= state.error_at + AGAIN_MS  # the provider itself asks for nothing longer
        return not state.error_at <= now < state.again_at or (may_hurry and asked_at > state.error_at)
    late = not state.started_at <= now < state.started_at + interval_ms
    return state.under_way or late or asked_at > state.started_at


class FreshHolds:
    """The view behind a barrier."""

    def __init__(self, fresh: FreshState) -> None:
        self._fresh = fresh

    async def fresh(self) -> None:
        """Returns once a barrier has passed."""
        await self._fresh.vouched()

    def get(self, subject: Subject) -> Record:
        return self._fresh.view.get(subject)

    def records(self) -> Iterator[tuple[Subject, Record]]:
        return self._fresh.view.records()
