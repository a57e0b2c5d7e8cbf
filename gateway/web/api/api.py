"""The contact API, wired: its routes, what answers them, and who may call."""

from __future__ import annotations

import re
from collections.abc import Mapping
from importlib.metadata import version

import msgspec
from aiohttp import web

from gateway.contacts import ContactService
from gateway.contacts.appeals import Appeals
from gateway.contacts.explain import Explainer
from gateway.web.access import Access
from gateway.web.api.appeals import AppealHandlers
from gateway.web.api.audit import Audit
from gateway.web.api.calls import Handler, served
from gateway.web.api.cleanups import CleansUp, CleanupHandlers
from gateway.web.api.contact_dnd import ContactDndHandlers
from gateway.web.api.explain import ExplainHandlers
from gateway.web.api.openapi import document
from gateway.web.api.routes import ROUTES, Route

DOCUMENT_PATH = "/openapi.json"


class ContactApi:
    """`add_to` the server's application, and `run` while it serves."""

    def __init__(
        self,
        access: Access,
        contacts: ContactService,
        explainer: Explainer,
        appeals: Appeals,
        cleanups: CleansUp,
        audit: Audit,
    ) -> None:
        self._access = access
        self._handlers: Mapping[Route, Handler] = {
            **ContactDndHandlers(contacts, audit).table(),
            **ExplainHandlers(explainer).table(),
            **AppealHandlers(appeals, audit).table(),
            **CleanupHandlers(cleanups, contacts, audit).table(),
        }
        self._document = msgspec.json.encode(document(ROUTES, version("sendguard")))

    def add_to(self, app: web.Application) -> None:
        app.router.add_get(DOCUMENT_PATH, self._openapi, allow_head=False)
        for route in ROUTES:
            path = re.sub(r"{(\w+)}", r"{\1:[^/]+}", route.path)  # ids may have braces, which aiohttp leaves out
            app.router.add_route(route.method, path, served(route, self._access, self._handlers[route]))

    async def run(self) -> None:
        """Until cancelled."""
        await self._access.run()

    async def _openapi(self, _: web.Request) -> web.Response:
        return web.Response(body=self._document, content_type="application/json")
