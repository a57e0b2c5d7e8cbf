"""What happens outside, brought in by the doors that the service has: signed webhooks, and the contact API.

Nothing here writes to Kafka. A deed is done when the service has answered: what a 2xx says is in force. Providers come
again after a 503, and so does this.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any, assert_never

import aiohttp

from gateway.demo.accounts_file import Keys
from gateway.demo.people import Contact
from gateway.demo.providers.sandbox import SandboxProviders
from gateway.demo.providers.webhooks import Webhook
from gateway.demo.setup import DemoError
from gateway.demo.steps import Appealed, Bounced, Chose, Objected, Signal, Switched, Texted, Undelivered
from gateway.dnd.model import Channel, Scope

COME_AGAIN_S = 0.5
"""Before another try after 503 (Kafka is away) or 429 (too many calls)."""

PATIENCE_S = 30.0
"""For one deed; a healthy local service takes milliseconds."""

_COME_AGAIN = frozenset({429, 503})

_MAILGUN_CODES: Mapping[str, int] = {"suppress-bounce": 605, "suppress-unsubscribe": 606, "suppress-complaint": 607}
"""`delivery-status.code` by reason, where it is not the receiving server's."""


class Outside:
    """People, carriers, mail providers, and the CRM's users."""

    def __init__(self, providers: SandboxProviders, keys: Keys, session: aiohttp.ClientSession) -> None:
        """`providers.service_url` is where the service listens."""
        self._providers = providers
        self._keys = keys
        self._session = session
        self._delivered: dict[int, Webhook] = {}
        accounts = providers.accounts
        self._twilio = {each.location_id: each for each in accounts.twilio}
        self._mailgun = {each.location_id: each for each in accounts.mailgun}
        self._numbers = {each.location_id: each for each in accounts.meta.numbers}

    async def happen(self, signal: Signal) -> None:
        """Returns when the service has answered 2xx. DemoError for any other answer, aiohttp.ClientError for none."""
        match signal.deed:
            case Switched(contact, scope, on):
                await self._switch(contact, scope, on=on)
            case Appealed(contact, channel):
                await self._appeal(contact, channel)
            case _:
                webhook = self._delivered.get(signal.number) or self._webhook(signal)
                self._delivered[signal.number] = webhook
                await self._deliver(webhook)

    async def shows(self, contact: Contact) -> Mapping[str, Any]:
        """The contact's DND as the API shows it, with everything acknowledged."""
        return await self._call("GET", f"{_of(contact)}/dnd", self._keys.user, None)

    def _webhook(self, signal: Signal) -> Webhook:
        providers, deed = self._providers, signal.deed
        location_id, contact = deed.contact.location.id, deed.contact
        match deed:
            case Texted():
                return providers.twilio.wrote(self._twilio[location_id], _phone(contact), deed.words)
            case Undelivered():
                return providers.twilio.failed(self._twilio[location_id], _phone(contact), deed.code)
            case Bounced():
                code = _MAILGUN_CODES.get(deed.reason, 550)
                return providers.mailgun.failed(self._mailgun[location_id], contact.email, deed.reason, code)
            case Objected():
                return providers.mailgun.told(self._mailgun[location_id], contact.email, deed.event)
            case Chose():
                return providers.meta.preferred(self._numbers[location_id], _phone(contact), deed.value)
            case Switched() | Appealed():
                raise AssertionError("not told by a provider")
            case _:
                assert_never(deed)

    async def _deliver(self, webhook: Webhook) -> None:
        async with asyncio.timeout(PATIENCE_S):
            while (status := await self._providers.deliver(webhook)) in _COME_AGAIN:  # noqa: ASYNC110 - over HTTP
                await asyncio.sleep(COME_AGAIN_S)
        if status != 200:
            raise DemoError(f"the service answered {status} to a webhook: {webhook.url}")

    async def _switch(self, contact: Contact, scope: Scope, *, on: bool) -> None:
        status = {"status": "active" if on else "inactive"}
        body = {"dnd": on} if scope is Scope.ALL else {"dndSettings": {scope.value: status}}
        await self._call("PUT", f"{_of(contact)}/dnd", self._keys.user, body)

    async def _appeal(self, contact: Contact, channel: Channel) -> None:
        evidence = {
            "relationship_numbers": [_phone(contact)],
            "contact": contact.name,
            "recording_url": "https://example.com/recordings/1",
        }
        body = {"channel": channel, "evidence": evidence}
        filed = await self._call("POST", f"{_of(contact)}/appeals", self._keys.user, body)
        path = f"/v1/locations/{contact.location.id}/appeals/{filed['id']}/approve"
        await self._call("POST", path, self._keys.support, {"note": "listened to the recording"})

    async def _call(self, method: str, path: str, key: str, body: object) -> Mapping[str, Any]:
        url, headers = f"{self._providers.service_url}{path}", {"Authorization": f"Bearer {key}"}
        async with asyncio.timeout(PATIENCE_S):
            while True:
                async with self._session.request(method, url, headers=headers, json=body) as answer:
                    found: Mapping[str, Any] = await answer.json(content_type=None)
                if answer.ok:
                    return found
                if answer.status not in _COME_AGAIN:
                    raise DemoError(f"the service answered {answer.status} to {method} {path}: {found.get('detail')}")
                await asyncio.sleep(COME_AGAIN_S)


def snapshot(contact: Contact, legacy: Sequence[Contact]) -> Mapping[str, object]:
    """The contact as the CRM's import has it, on `contacts`."""
    return {
        "location_id": contact.location.id,
        "contact_id": contact.id,
        "phone": contact.phone,
        "email": contact.email,
        "psid": contact.psid,
        "dnd": contact in legacy,
    }


def _of(contact: Contact) -> str:
    return f"/v1/locations/{contact.location.id}/contacts/{contact.id}"


def _phone(contact: Contact) -> str:
    """As E.164: providers know no other spelling."""
    return contact.address(Channel.SMS).id
