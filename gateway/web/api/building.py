"""The contact API of a process, put together from what its roles share, and the database behind it.

The API answers from the first moment: 503 until Kafka and the database can be asked. The tables are made when the
database is there, and then what somebody approved and was interrupted in is completed.
"""

from __future__ import annotations

import asyncio
import logging

from aiohttp import web
from sqlalchemy.exc import SQLAlchemyError

from gateway.cleanup import EmailCleanups
from gateway.cleanup.store import CleanupStore
from gateway.cleanup.store import metadata as cleanups_metadata
from gateway.contacts import ContactService, NotAvailable
from gateway.contacts.appeals import Appeals
from gateway.contacts.explain import Explainer
from gateway.contacts.log import DndLog
from gateway.contacts.store import AppealStore
from gateway.contacts.store import metadata as appeals_metadata
from gateway.database import create_tables, database_url, engine_for
from gateway.directory.directory import Directory
from gateway.dnd.model import Channel
from gateway.roles import Services
from gateway.signals.publish import Publisher
from gateway.web.access import Access
from gateway.web.api.api import ContactApi
from gateway.web.api.audit import Audit

log = logging.getLogger(__name__)

FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.2, 5.0
"""Between two tries to prepare, doubling."""


class ApiService:
    """`add_to` the server's application; `run` while it serves and the publisher and the fresh state run."""

    def __init__(self, services: Services, publisher: Publisher) -> None:
        """SettingsError: not a database we know. Asks for the fresh state, so before the service has begun to run."""
        settings, accounts = services.settings, services.accounts
        fresh, self._integrations = services.fresh_state(), services.integrations_state()
        self._engine = engine_for(database_url(settings.database_url, settings.data_dir))
        self._directory = Directory.of(settings)
        dnd = DndLog(fresh, publisher)
        contacts = ContactService(fresh, publisher, self._directory, self._enlisted, accounts.default_region)
        self._appeals = Appeals(dnd, self._directory, AppealStore(self._engine))
        self._api = ContactApi(
            Access(settings.api, accounts),
            contacts,
            Explainer(dnd, accounts.default_region, self._integrations.unavailable),
            self._appeals,
            EmailCleanups(dnd, self._directory, accounts, CleanupStore(self._engine)),
            Audit(self._engine),
        )

    def problems(self) -> list[str]:
        """Why no channel can be switched yet; an outage later is none."""
        return self._integrations.problems()

    def add_to(self, app: web.Application) -> None:
        self._api.add_to(app)

    async def run(self) -> None:
        """Until cancelled."""
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._api.run(), name="access")
                group.create_task(self._prepare(), name="tables and appeals")
        finally:
            await self._engine.dispose()
            await self._directory.close()

    def _enlisted(self, location_id: str) -> frozenset[Channel]:
        """NotAvailable before it is known: every channel would count as connected."""
        if problems := self._integrations.problems():
            raise NotAvailable(f"which channels are connected is not known yet: {problems[0]}")
        return self._integrations.enlisted(location_id)

    async def _prepare(self) -> None:
        pause, said = FIRST_PAUSE_S, ""
        while True:
            try:
                for metadata in (appeals_metadata, cleanups_metadata):
                    await create_tables(self._engine, metadata)
                completed = await self._appeals.resume()
            except (SQLAlchemyError, OSError, NotAvailable) as error:
                if said != (said := type(error).__name__):
                    log.warning("contact API: not prepared yet: %s", said)
                await asyncio.sleep(pause)
                pause = min(pause * 2, LONGEST_PAUSE_S)
            else:
                if completed:
                    log.info("appeals: %d that were interrupted are completed", completed)
                return
