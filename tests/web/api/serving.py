"""The contact API on a real server and a real Kafka, and its callers."""

from __future__ import annotations

import hashlib
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

import aiohttp
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncEngine

from gateway.accounts import Accounts
from gateway.cleanup import EmailCleanups
from gateway.cleanup.store import CleanupStore
from gateway.cleanup.store import metadata as cleanups
from gateway.contacts.appeals import Appeals
from gateway.contacts.explain import Explainer
from gateway.contacts.log import DndLog
from gateway.contacts.store import AppealStore
from gateway.contacts.store import metadata as appeals
from gateway.database import create_tables, database_url, engine_for
from gateway.metrics import Metrics
from gateway.settings import Settings
from gateway.streams.topics import apply
from gateway.web.access import Access
from gateway.web.api import ContactApi
from gateway.web.api.audit import AUDIT, Audit
from gateway.web.server import HttpServer
from tests.contacts.people import Book
from tests.contacts.scene import PATIENT_S, Gateway, gateway_on
from tests.signals.scene import at_work

KEYS = {
    "user": "sk-user",
    "agency": "sk-agency",
    "support": "sk-support",
    "support2": "sk-support-2",
    "other": "sk-other",
}
"""By their id. All are for loc1, `other` for loc2."""

ROLES = {"support2": "support", "other": "user"}


def accounts(**locations: Mapping[str, object]) -> Accounts:
    keys = [
        {
            "id": name,
            "sha256": hashlib.sha256(key.encode()).hexdigest(),
            "role": ROLES.get(name, name),
            "locations": ["loc2"] if name == "other" else ["loc1"],
        }
        for name, key in KEYS.items()
    ]
    return Accounts.parse({"api_keys": keys, "locations": dict(locations)}, "test")


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    headers: Mapping[str, str]
    body: Any

    @property
    def problem(self) -> str:
        """The name of the problem type."""
        assert self.headers["Content-Type"].partition(";")[0] == "application/problem+json", self
        assert self.body["status"] == self.status
        return str(self.body["type"]).removeprefix("urn:sendguard:problem:")

    @property
    def fields(self) -> list[str]:
        """Those an error names."""
        return [error["field"] for error in self.body["errors"]]


@dataclass(frozen=True, slots=True)
class Api:
    """`call` as whoever."""

    url: str
    session: aiohttp.ClientSession
    gateway: Gateway
    directory: Book
    engine: AsyncEngine

    async def call(
        self, method: str, path: str, body: object = None, *, key: str | None = "user", raw: bytes | None = None
    ) -> Answer:
        """`path` below loc1 unless it begins with a slash; `key`: its id."""
        data = raw if raw is not None else None if body is None else json.dumps(body).encode()
        headers = {} if key is None else {"Authorization": f"Bearer {KEYS.get(key, key)}"}
        where = path if path.startswith("/") else f"/v1/locations/loc1/{path}"
        async with self.session.request(method, self.url + where, data=data, headers=headers) as answer:
            text = await answer.read()
            return Answer(answer.status, answer.headers, json.loads(text) if text else None)

    async def dnd(self, contact: str = "c1") -> Any:
        answer = await self.call("GET", f"contacts/{quote(contact, safe='')}/dnd")
        assert answer.status == 200, answer
        return answer.body

    async def audited(self) -> list[Mapping[str, Any]]:
        """All rows of the audit."""
        async with self.engine.connect() as connection:
            return [row._asdict() for row in await connection.execute(select(AUDIT).order_by(AUDIT.c.number))]


@asynccontextmanager
async def api_on(settings: Settings, known: Accounts | None = None) -> AsyncIterator[Api]:
    """Serving, on a log of its own."""
    await apply(settings)
    async with gateway_on(settings) as gateway, api_of(gateway, settings, known) as api:
        yield api


@asynccontextmanager
async def api_of(
    gateway: Gateway, settings: Settings, known: Accounts | None = None, deadline_s: float = PATIENT_S
) -> AsyncIterator[Api]:
    """Serving what the gateway knows."""
    known = known or accounts()
    log = DndLog(gateway.fresh, gateway.publisher, deadline_s)
    async with AsyncExitStack() as stack:
        directory = Book()
        engine = engine_for(database_url(settings.database_url, settings.data_dir))
        stack.push_async_callback(engine.dispose)
        for metadata in (appeals, cleanups):
            await create_tables(engine, metadata)
        api = ContactApi(
            Access(settings.api, known),
            gateway.service(directory, default_region=known.default_region, fresh_deadline_s=deadline_s),
            Explainer(log, known.default_region),
            Appeals(log, directory, AppealStore(engine)),
            EmailCleanups(log, directory, known, CleanupStore(engine)),
            Audit(engine),
        )
        server = HttpServer(settings.http, list, Metrics("test"), [api.add_to])
        await server.start()
        stack.push_async_callback(server.stop)
        await stack.enter_async_context(at_work(api.run()))
        session = await stack.enter_async_context(aiohttp.ClientSession())
        yield Api(f"http://127.0.0.1:{server.port}", session, gateway, directory, engine)
