"""The composition root: a service from its settings to its end.

Start: 1 HTTP server, so that health answers from the first moment -> 2 topics checked; a difference that could lose a
hold ends it, brokers that do not answer are asked again -> 3 view opened, if a role wants it -> 4 followers (of
the events, of the integrations), barrier, watcher of the accounts file and roles, all tasks of one group: whichever
dies ends the process.
Stop: 1 roles finish what is at hand -> 2 followers, barrier and watcher -> 3 view -> 4 HTTP server.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine, Sequence
from importlib.metadata import version
from typing import Any

from gateway.accounts import LiveAccounts
from gateway.metrics import ACCOUNTS_OUTDATED, READY, Metrics
from gateway.roles import Role, Services, find_roles
from gateway.settings import Settings
from gateway.settings.data_dir import make_data_dir
from gateway.stopping import ended_before_stop
from gateway.streams.topics import Difference, KafkaUnreachableError, Severity, check
from gateway.view.errors import ViewMismatch
from gateway.web.health import Problem
from gateway.web.server import HttpServer

log = logging.getLogger(__name__)

STOP_DEADLINE_S = 15.0
"""For the roles to finish: above the member's drain and its closing, below what supervisors wait (30 s)."""

FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.2, 5.0
"""Between two tries to start against Kafka, doubling."""


class RefusedError(Exception):
    """The topics differ from the contract in a way that could lose a hold; `differences` are those that do."""

    def __init__(self, differences: Sequence[Difference]) -> None:
        super().__init__("\n".join(str(difference) for difference in differences))
        self.differences = tuple(differences)


class DiedError(Exception):
    """A task that must run to the end of the service has ended by itself."""


async def serve(settings: Settings, roles: Sequence[str], stop: asyncio.Event) -> None:
    """Run the named roles (all, when none is named) until `stop` is set. What `Service.run` raises."""
    await Service(settings, roles).run(stop)


class Service:
    """One process of sendguard; several can live in one test."""

    def __init__(self, settings: Settings, roles: Sequence[str] = ()) -> None:
        """SettingsError: the data directory, accounts or TLS files are unusable. UnknownRoleError. Nothing connects."""
        make_data_dir(settings.data_dir)
        self.metrics = Metrics(version("sendguard"))
        self._settings = settings
        self._accounts = LiveAccounts(settings.accounts)
        self._services = Services(settings, self._accounts, self.metrics)
        self._roles: dict[str, Role] = {name: build(self._services) for name, build in find_roles(roles).items()}
        self._http = HttpServer(settings.http, self.problems, self.metrics, self._services.web)
        self._phase: str | None = "starting"
        self.metrics.watch(READY, lambda: {(): float(not self.problems())})
        self.metrics.watch(ACCOUNTS_OUTDATED, lambda: {(): float(self._accounts.problem is not None)})

    @property
    def port(self) -> int:
        """Where health is served, once `run` has begun."""
        return self._http.port

    def problems(self) -> list[Problem]:
        """Why it is not ready; empty = it is."""
        if self._phase is not None:
            return [Problem("service", self._phase)]
        return [Problem(name, reason) for name, role in self._roles.items() for reason in role.problems()]

    def reload_accounts(self) -> None:
        """Read the accounts file now, not at the next look. What was in force stays when the new one is wrong."""
        self._accounts.reload_soon()

    async def run(self, stop: asyncio.Event) -> None:
        """Until `stop`. RefusedError, ViewError, AddressInUseError: it cannot start. A group: what tasks died of."""
        await self._http.start()
        log.info("health on http://%s:%d/readyz", self._settings.http.host, self.port)
        try:
            if await _unless(stop, self._prepare()):
                await self._work(stop)
        finally:
            if self._services.fresh is not None:
                self._services.fresh.close()
            await self._http.stop()

    async def _prepare(self) -> None:
        """Steps 2 and 3."""
        await self._patiently(self._check_topics)
        if (fresh := self._services.fresh) is not None:
            self._phase = "loading: opening the view"
            await self._patiently(fresh.open)

    async def _patiently(self, step: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """Try again what somebody else has to put right first."""
        pause, said = FIRST_PAUSE_S, ""
        while True:
            try:
                await step()
            except (KafkaUnreachableError, ViewMismatch) as error:
                self._phase = str(error) if isinstance(error, ViewMismatch) else f"Kafka cannot be reached: {error}"
                if self._phase != said:
                    log.warning("waiting: %s", self._phase)
                said = self._phase
                await asyncio.sleep(pause)
                pause = min(pause * 2, LONGEST_PAUSE_S)
            else:
                return

    async def _check_topics(self) -> None:
        found = await check(self._settings)
        for difference in found:
            log.log(logging.ERROR if difference.severity is Severity.REFUSE else logging.WARNING, "%s", difference)
        refusals = [difference for difference in found if difference.severity is Severity.REFUSE]
        if refusals:
            raise RefusedError(refusals)

    async def _work(self, stop: asyncio.Event) -> None:
        """Step 4, and stopping."""
        async with asyncio.TaskGroup() as group:
            background = [group.create_task(_forever("accounts", self._accounts.run()), name="accounts")]
            if (fresh := self._services.fresh) is not None:
                background.append(group.create_task(_forever("fresh state", fresh.run()), name="fresh state"))
            if (integrations := self._services.integrations) is not None:
                background.append(group.create_task(_forever("integrations", integrations.run()), name="integrations"))
            roles = {
                group.create_task(_until(stop, name, role.run(stop)), name=f"role {name}")
                for name, role in self._roles.items()
            }
            self._phase = None
            log.info("roles started: %s", ", ".join(self._roles))
            await stop.wait()  # a task that dies cancels this
            self._phase = "stopping"
            log.info("stopping")
            _, late = await asyncio.wait(roles, timeout=STOP_DEADLINE_S)
            if late:
                raise DiedError(f"{', '.join(task.get_name() for task in late)} did not stop in {STOP_DEADLINE_S:g} s")
            for task in background:
                task.cancel()


async def _unless(stop: asyncio.Event, work: Coroutine[Any, Any, None]) -> bool:
    """Whether `work` was done before `stop` was set; it is cancelled then. What `work` raises."""
    working = asyncio.create_task(work, name="start-up")
    try:
        if done := await ended_before_stop(working, stop):
            working.result()
        return done
    finally:
        working.cancel()
        await asyncio.gather(working, return_exceptions=True)


async def _until(stop: asyncio.Event, name: str, work: Coroutine[Any, Any, None]) -> None:
    await work
    if not stop.is_set():
        raise DiedError(f"the role {name} has ended by itself")


async def _forever(name: str, work: Coroutine[Any, Any, None]) -> None:
    await work
    raise DiedError(f"{name} has ended by itself")
