"""The sandbox is Mailgun to Mailgun's own SDK: its client is answered, its verification accepts the webhooks."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest
import requests
from mailgun.client import Client
from mailgun.security import SecurityGuard

from gateway.demo.providers.sandbox import SandboxProviders
from gateway.demo.providers.webhooks import Webhook
from gateway.dnd.model import Cause
from gateway.providers.signals import OptOut
from tests.demo.providers.serving import called_back

ADA, BEN = "ada@example.com", "ben@example.org"
DOMAIN = "mg.bright-smile.example.com"
MESSAGE = {"from": f"Bright Smile <hello@{DOMAIN}>", "to": [ADA], "subject": "Hi", "text": "See you on Monday"}


async def asked(
    running: SandboxProviders, do: Callable[[Client], requests.Response], *, key: str | None = None
) -> tuple[int, Any]:
    """The status of the answer, and its JSON, to what the SDK's client, which blocks, asks."""

    def ask() -> tuple[int, Any]:
        with Client(auth=("api", key or running.accounts.mailgun[0].api_key), api_url=running.url) as client:
            answer = do(client)
            is_json = "json" in answer.headers["Content-Type"]
            return answer.status_code, answer.json() if is_json else answer.text

    return await asyncio.to_thread(ask)


def mail(**changed: Any) -> Callable[[Client], requests.Response]:
    data = {name: value for name, value in (MESSAGE | changed).items() if value is not None}
    return lambda client: client.messages.create(data=data, domain=DOMAIN)


async def test_the_sdk_sends_a_message_to_all_its_recipients(running: SandboxProviders) -> None:
    variables = {"v:decision_id": "outbound.requests-0-7", "v:contact_id": "c-1"}
    status, answer = await asked(running, mail(cc=f"Ben <{BEN}>", **variables))
    assert (status, answer["message"]) == (200, "Queued. Thank you.")
    (written,) = running.log.read()
    assert answer["id"] == f"<{written.message_id}>"
    assert (written.to, written.account, written.location_id) == ((ADA, BEN), DOMAIN, "bright-smile")
    assert (written.text, written.decision_id) == ("See you on Monday", "outbound.requests-0-7")


async def test_the_sdk_lists_the_events_of_what_was_sent(running: SandboxProviders) -> None:
    await asked(running, mail(to=[ADA, BEN], **{"v:contact_id": "c-1"}))
    running.mailgun.failed(running.accounts.mailgun[0], BEN, "bounce")
    status, found = await asked(running, lambda client: client.events.get(domain=DOMAIN, filters={"recipient": BEN}))
    assert status == 200
    assert [event["event"] for event in found["items"]] == ["failed", "accepted"]
    first, second = found["items"]
    assert first["user-variables"] == second["user-variables"] == {"contact_id": "c-1"}
    assert first["message"] == second["message"]
    _, rest = await asked(
        running, lambda client: client.events.get(domain=DOMAIN, filters={"event": "accepted", "limit": 1})
    )
    assert len(rest["items"]) == 1


async def test_the_sdk_asks_for_the_domain(running: SandboxProviders) -> None:
    status, found = await asked(running, lambda client: client.domains.get(domain_name=DOMAIN))
    assert (status, found["domain"]["state"]) == (200, "active")


def reading(name: str, **filters: str) -> Callable[[Client], requests.Response]:
    return lambda client: getattr(client, name).get(domain=DOMAIN, filters=filters)


async def test_the_sdk_reads_the_suppression_lists_and_takes_an_address_off(running: SandboxProviders) -> None:
    domain = running.accounts.mailgun[0]
    for person in (ADA, BEN, BEN):
        running.mailgun.failed(domain, person, "bounce")
    running.mailgun.failed(domain, "carl@example.com", "generic")  # says nothing of the list
    running.mailgun.told(domain, ADA, "unsubscribed")
    running.mailgun.told(domain, BEN, "complained")
    lists = {"bounces": [ADA, BEN], "unsubscribes": [ADA], "complaints": [BEN]}
    for name, expected in lists.items():
        status, found = await asked(running, reading(name))
        assert (status, [item["address"] for item in found["items"]]) == (200, expected)
    _, first = await asked(running, reading("bounces", limit="1"))
    query = dict(parse_qsl(urlsplit(first["paging"]["next"]).query))
    _, second = await asked(running, reading("bounces", **query))
    assert [item["address"] for item in (*first["items"], *second["items"])] == [ADA, BEN]
    for expected_status in (200, 404):
        status, _ = await asked(running, lambda client: client.bounces.delete(domain=DOMAIN, bounce_address=ADA))
        assert status == expected_status


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"from": None}, "from parameter is missing"),
        ({"to": None}, "to parameter is missing"),
        ({"to": ["front desk"]}, "'to' parameter is not a valid address. please check documentation"),
        ({"text": None}, "Need at least one of 'text', 'html', 'amp-html' or 'template' parameters specified"),
        (
            {"to": [f"a{number}@example.com" for number in range(1_001)]},
            "the message has more than 1000 recipients",
        ),
    ],
)
async def test_a_bad_message_is_refused(running: SandboxProviders, changed: dict[str, Any], said: str) -> None:
    assert await asked(running, mail(**changed)) == (400, {"message": said})
    (written,) = running.log.read()
    assert (written.message_id, written.code) == ("", "http_400")


async def test_a_bad_key_opens_nothing_and_that_of_another_domain_not_this_one(running: SandboxProviders) -> None:
    assert await asked(running, mail(), key="key-of-nobody") == (401, "Forbidden")
    status, _ = await asked(running, mail(), key=running.accounts.mailgun[1].api_key)
    assert status == 404


def verified(webhook: Webhook, signing_key: str) -> bool:
    given = json.loads(webhook.body)["signature"]
    return SecurityGuard.verify_webhook(signing_key, given["token"], given["timestamp"], given["signature"])


async def test_the_sdks_verification_accepts_every_webhook(running: SandboxProviders) -> None:
    ours, other = running.accounts.mailgun
    webhooks = [
        running.mailgun.failed(ours, ADA, "bounce"),
        running.mailgun.told(ours, ADA, "complained"),
        running.mailgun.told(ours, BEN, "unsubscribed"),
    ]
    assert all(verified(webhook, ours.signing_key) for webhook in webhooks)
    assert not any(verified(webhook, other.signing_key) for webhook in webhooks)


async def test_the_service_takes_each_event_for_what_it_is_once(running: SandboxProviders) -> None:
    domain = running.accounts.mailgun[0]
    await asked(running, mail(**{"v:contact_id": "c-1"}))
    events = [
        running.mailgun.failed(domain, ADA, "bounce"),
        running.mailgun.failed(domain, BEN, "suppress-complaint", 607),
        running.mailgun.told(domain, ADA, "complained"),
        running.mailgun.told(domain, BEN, "unsubscribed"),
    ]
    async with called_back(running) as (_, door):
        assert [await running.deliver(event) for event in (*events, *events)] == [200] * 8
    placed = [signal for signal in door.told if isinstance(signal, OptOut)]
    causes = [Cause.BOUNCE, Cause.SUPPRESSED_COMPLAINT, Cause.COMPLAINT, Cause.UNSUBSCRIBE]
    assert [signal.cause for signal in placed] == causes
    assert placed[0].subject.id == ADA
    assert placed[0].evidence["contact_id"] == "c-1"
    (written,) = running.log.read()
    assert placed[2].evidence["provider_message_id"] == written.message_id
