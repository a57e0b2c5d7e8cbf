"""The sandbox is Meta to pywa, and its webhooks are what pywa and the service accept."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import aiohttp
import httpx
import pytest
from pywa.client import WhatsApp
from pywa.errors import AuthorizationError, WhatsAppError
from pywa.utils import webhook_updates_validator

from gateway.demo.providers.sandbox import SandboxProviders
from gateway.dnd.model import Cause, Channel, Scope
from gateway.providers.signals import OptIn, OptOut
from tests.demo.providers.serving import PERSON, called_back

WA_ID = PERSON.removeprefix("+")


async def asked(running: SandboxProviders, do: Callable[[WhatsApp], Any], *, token: str | None = None) -> Any:
    """What pywa, which blocks, makes of the answer."""
    number = running.accounts.meta.numbers[0]

    def ask() -> Any:
        with httpx.Client() as session:
            client = WhatsApp(phone_id=number.id, token=token or number.token, session=session, api_version=21.0)
            session.base_url = f"{running.url}/v21.0"
            return do(client)

    return await asyncio.to_thread(ask)


async def test_pywa_sends_a_message(running: SandboxProviders) -> None:
    sent = await asked(running, lambda wa: wa.send_message(WA_ID, "Hi", tracker="outbound.requests-0-7"))
    (written,) = running.log.read()
    assert sent.id == written.message_id
    assert (written.to, written.text, written.channel) == ((PERSON,), "Hi", Channel.WHATSAPP)
    assert (written.decision_id, written.location_id) == ("outbound.requests-0-7", "bright-smile")


async def test_pywa_sends_a_document_and_to_a_user_without_a_number(running: SandboxProviders) -> None:
    await asked(running, lambda wa: wa.send_document(WA_ID, "https://example.com/a.pdf", "a.pdf", "See"))
    await asked(running, lambda wa: wa.send_message("US.13491208655302741918", "Hi"))
    assert [written.to for written in running.log.read()] == [(PERSON,), ("US.13491208655302741918",)]


async def test_a_token_that_is_none_is_error_190(running: SandboxProviders) -> None:
    with pytest.raises(AuthorizationError) as refused:
        await asked(running, lambda wa: wa.send_message(WA_ID, "Hi"), token="expired")  # noqa: S106
    assert refused.value.code == 190
    (written,) = running.log.read()
    assert (written.status, written.code, written.message_id) == (401, "190", "")


async def test_the_token_of_another_number_is_error_100(running: SandboxProviders) -> None:
    other = running.accounts.meta.numbers[1].token
    with pytest.raises(WhatsAppError) as refused:
        await asked(running, lambda wa: wa.send_message(WA_ID, "Hi"), token=other)
    assert refused.value.code == 100


BAD: list[tuple[bool, dict[str, Any]]] = [
    (True, {"to": WA_ID, "text": {"body": "Hi"}}),
    (True, {"messaging_product": "whatsapp", "text": {"body": "Hi"}}),
    (True, {"messaging_product": "whatsapp", "to": WA_ID, "text": {"body": ""}}),
    (True, {"messaging_product": "whatsapp", "to": WA_ID, "type": "poem"}),
    (False, {"message": {"text": "Hi"}}),
    (False, {"recipient": {"id": "5678"}, "message": {}}),
]


@pytest.mark.parametrize(("is_number", "body"), BAD)
async def test_a_bad_message_is_error_100(running: SandboxProviders, is_number: bool, body: dict[str, Any]) -> None:
    meta = running.accounts.meta
    node = meta.numbers[0] if is_number else meta.pages[0]
    headers = {"Authorization": f"Bearer {node.token}"}
    async with (
        aiohttp.ClientSession(headers=headers) as session,
        session.post(f"{running.url}/v21.0/{node.id}/messages", json=body) as answer,
    ):
        assert (answer.status, (await answer.json())["error"]["code"]) == (400, 100)


async def test_a_page_sends_to_a_person(running: SandboxProviders) -> None:
    page = running.accounts.meta.pages[0]
    body = {"recipient": {"id": "5678"}, "messaging_type": "RESPONSE", "message": {"text": "Hi"}}
    headers = {"Authorization": f"Bearer {page.token}"}
    async with aiohttp.ClientSession(headers=headers) as session:
        async with session.post(f"{running.url}/v21.0/{page.id}/messages", json=body) as answer:
            taken = await answer.json()
        async with session.get(f"{running.url}/v21.0/{page.id}?fields=id") as found:
            assert await found.json() == {"id": page.id}
    (written,) = running.log.read()
    assert taken == {"recipient_id": "5678", "message_id": written.message_id}
    assert (written.channel, written.to, written.text) == (Channel.FB, ("5678",), "Hi")


async def test_pywas_validator_accepts_the_webhooks(running: SandboxProviders) -> None:
    meta = running.accounts.meta
    webhook = running.meta.preferred(meta.numbers[0], PERSON, "stop")
    signature = webhook.headers["X-Hub-Signature-256"]
    assert webhook_updates_validator(meta.app_secret, webhook.body, signature)
    assert not webhook_updates_validator("another secret", webhook.body, signature)
    assert not webhook_updates_validator(meta.app_secret, webhook.body + b" ", signature)


async def test_the_service_answers_the_handshake_and_takes_preferences(running: SandboxProviders) -> None:
    number = running.accounts.meta.numbers[0]
    async with called_back(running) as (_, door):
        assert await running.shake_hands("1158201444")
        assert await running.deliver(running.meta.preferred(number, PERSON, "stop")) == 200
        assert await running.deliver(running.meta.preferred(number, PERSON, "resume")) == 200
    stop, resume = door.told
    assert isinstance(stop, OptOut)
    assert isinstance(resume, OptIn)
    assert (stop.subject.location_id, stop.subject.id) == ("bright-smile", PERSON)
    assert (stop.scopes, stop.cause) == ((Scope.WHATSAPP,), Cause.PROVIDER_OPT_OUT)
