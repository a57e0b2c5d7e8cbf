"""The role `http`: webhooks and the API, once there are any. Health is served whatever roles run."""

from __future__ import annotations

import asyncio

from gateway.roles import Services


def build(services: Services) -> HttpRole:
    return HttpRole(services)


class HttpRole:
    """Ready at once: the service's own server is up before any role runs."""

    def __init__(self, services: Services) -> None:
        self._services = services

    async def run(self, stop: asyncio.Event) -> None:
        await stop.wait()

    def problems(self) -> list[str]:
        return []
