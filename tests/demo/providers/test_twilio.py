"""The sandbox is Twilio to Twilio's own SDK: its client gets what it expects, its validator accepts the webhooks."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qsl

import aiohttp
import pytest
from twilio.base.exceptions import TwilioRestException  # type: ignore[import-untyped]  # ships no py.typed
from twilio.http.http_client import TwilioHttpClient  # type: ignore[import-untyped]
from twilio.request_validator import RequestValidator  # type: ignore[import-untyped]
from twilio.rest import Client  # type: ignore[import-untyped]

from gateway.demo.providers.accounts import TwilioAccount
from gateway.demo.providers.sandbox import SandboxProviders
from gateway.demo.providers.webhooks import Webhook
from gateway.dnd.model import Cause, Channel, Scope
from gateway.providers.signals import OptIn, OptOut
from gateway.providers.twilio.webhooks import status_callback_url
from tests.demo.providers.serving import PERSON, PUBLIC_URL, called_back

CALLBACK = status_callback_url(PUBLIC_URL, "bright-smile", 1_763_900_000_000, "c-1", "outbound.requests-0-7")


@contextmanager
def sdk(running: SandboxProviders, *, token: str | None = None) -> Iterator[Any]:
    account, http = running.accounts.twilio[0], TwilioHttpClient()
    client = Client(account.sid, token or account.auth_token, http_client=http)
    client.api.base_url = running.url
    try:
        yield client
    finally:
        http.session.close()


async def asked(running: SandboxProviders, do: Callable[[Any], Any], *, token: str | None = None) -> Any:
    """What the SDK's client, which blocks, makes of the answer."""

    def ask() -> Any:
        with sdk(running, token=token) as client:
            return do(client)

    return await asyncio.to_thread(ask)


async def code_of(running: SandboxProviders, do: Callable[[Any], Any], *, token: str | None = None) -> tuple[int, int]:
    with pytest.raises(TwilioRestException) as refused:
        await asked(running, do, token=token)
    return refused.value.status, refused.value.code


def text_to(to: str, body: str = "Hi", **more: Any) -> Callable[[Any], Any]:
    fields = {"from_": "+14155550100"} | more
    return lambda client: client.messages.create(to=to, body=body, **fields)


async def test_the_sdk_sends_a_message_and_fetches_it_again(running: SandboxProviders) -> None:
    made = await asked(running, text_to(PERSON, status_callback=CALLBACK))
    assert (made.status, made.to, made.from_, made.body) == ("queued", PERSON, "+14155550100", "Hi")
    assert made.sid.startswith("SM")
    assert abs(datetime.now(UTC) - made.date_created) < timedelta(minutes=1)
    again = await asked(running, lambda client: client.messages(made.sid).fetch())
    assert (again.sid, again.date_created) == (made.sid, made.date_created)
    (written,) = running.log.read()
    assert (written.to, written.text, written.message_id) == ((PERSON,), "Hi", made.sid)
    assert (written.channel, written.location_id) == (Channel.SMS, "bright-smile")
    assert written.decision_id == "outbound.requests-0-7"


async def test_the_sdk_sends_whatsapp_messages_media_and_calls(running: SandboxProviders) -> None:
    whatsapp = text_to(f"whatsapp:{PERSON}", from_="whatsapp:+14155550100")
    assert (await asked(running, whatsapp)).to == f"whatsapp:{PERSON}"
    media = await asked(running, text_to(PERSON, media_url=["https://example.com/a.png"]))
    assert media.num_media == "1"
    call = await asked(
        running, lambda client: client.calls.create(to=PERSON, from_="+14155550100", twiml="<Response/>")
    )
    assert (call.status, call.sid[:2]) == ("queued", "CA")
    channels = [written.channel for written in running.log.read()]
    assert channels == [Channel.WHATSAPP, Channel.SMS, Channel.CALL]
    assert all(written.to == (PERSON,) for written in running.log.read())


async def test_the_sdk_fetches_the_account(running: SandboxProviders) -> None:
    found = await asked(running, lambda client: client.api.v2010.accounts(client.account_sid).fetch())
    assert (found.status, found.sid) == ("active", running.accounts.twilio[0].sid)


@pytest.mark.parametrize(
    ("do", "expected"),
    [
        (text_to("+1415"), (400, 21211)),
        (text_to("5550123"), (400, 21211)),
        (text_to(PERSON, ""), (400, 21602)),
        (text_to(PERSON, "x" * 1_601), (400, 21617)),
        (text_to(PERSON, from_="+14155550999"), (400, 21606)),
        (lambda client: client.messages.create(to=PERSON, body="Hi"), (400, 21603)),
        (lambda client: client.calls.create(to=PERSON, from_="+14155550100"), (400, 21205)),
        (lambda client: client.calls.create(to="+1415", from_="+1", twiml="<Response/>"), (400, 21211)),
        (lambda client: client.messages("SM1").fetch(), (404, 20404)),
    ],
)
async def test_what_twilio_refuses_is_refused_with_its_codes(
    running: SandboxProviders, do: Callable[[Any], Any], expected: tuple[int, int]
) -> None:
    assert await code_of(running, do) == expected
    assert all(not written.message_id and written.code == str(expected[1]) for written in running.log.read())


async def test_the_sdk_lists_the_messages_of_its_account_page_by_page(running: SandboxProviders) -> None:
    ours, other = running.accounts.twilio
    running.twilio.wrote(other, PERSON, "not ours")
    sent = await asked(running, text_to(PERSON))
    for number in range(4):
        running.twilio.wrote(ours, PERSON, f"reply {number}")
    begun = datetime.now(UTC) - timedelta(minutes=1)

    def listed(client: Any) -> Any:
        return client.messages.list(date_sent_after=begun, page_size=2)

    found = await asked(running, listed)
    assert [each.body for each in found] == [*[f"reply {number}" for number in (3, 2, 1, 0)], "Hi"]
    assert [each.direction for each in found] == ["inbound"] * 4 + ["outbound-api"]
    assert found[-1].sid == sent.sid
    begun += timedelta(hours=1)
    assert await asked(running, listed) == []


async def test_a_bad_token_is_refused_with_20003(running: SandboxProviders) -> None:
    assert await code_of(running, text_to(PERSON), token="of-last-year") == (401, 20003)  # noqa: S106
    (written,) = running.log.read()
    assert (written.status, written.code, written.to) == (401, "20003", (PERSON,))


async def test_who_has_replied_stop_is_refused_with_21610_until_start(running: SandboxProviders) -> None:
    account = running.accounts.twilio[0]
    running.twilio.wrote(account, PERSON, " Stop ")
    assert await code_of(running, text_to(PERSON)) == (400, 21610)
    assert (await asked(running, text_to("+14155550124"))).status == "queued"
    running.twilio.wrote(account, PERSON, "start")
    assert (await asked(running, text_to(PERSON))).status == "queued"


def valid(webhook: Webhook, account: TwilioAccount) -> bool:
    fields = dict(parse_qsl(webhook.body.decode(), keep_blank_values=True, strict_parsing=True))
    found = RequestValidator(account.auth_token).validate(webhook.url, fields, webhook.headers["X-Twilio-Signature"])
    assert isinstance(found, bool)
    return found


async def test_the_sdks_validator_accepts_every_webhook(running: SandboxProviders) -> None:
    ours, other = running.accounts.twilio
    await asked(running, text_to(PERSON, status_callback=CALLBACK))
    webhooks = [
        running.twilio.wrote(ours, PERSON, "STOP"),
        running.twilio.wrote(ours, PERSON, "Ça va ? & = + % 😀\r\nÀ lundi"),
        running.twilio.wrote(ours, PERSON, ""),
        running.twilio.failed(ours, PERSON, "30003"),
        running.twilio.failed(ours, "+14155550199", "30004"),
    ]
    assert all(valid(webhook, ours) for webhook in webhooks)
    assert not any(valid(webhook, other) for webhook in webhooks)


async def test_the_service_takes_a_stop_a_start_and_a_failure_for_what_they_are(running: SandboxProviders) -> None:
    account = running.accounts.twilio[0]
    await asked(running, text_to(PERSON, status_callback=CALLBACK))
    async with called_back(running) as (_, door):
        stop = running.twilio.wrote(account, PERSON, "STOP")
        assert await running.deliver(stop) == 200
        assert await running.deliver(running.twilio.failed(account, PERSON, "30003")) == 200
        assert await running.deliver(running.twilio.wrote(account, PERSON, "Start")) == 200
    placed, unreachable, lifted = door.told
    assert isinstance(placed, OptOut)
    assert isinstance(unreachable, OptOut)
    assert isinstance(lifted, OptIn)
    assert (placed.subject.id, placed.scopes, placed.cause) == (PERSON, (Scope.SMS,), Cause.KEYWORD_OPT_OUT)
    assert (unreachable.cause, unreachable.at) == (Cause.UNREACHABLE, 1_763_900_000_000)
    assert unreachable.evidence["decision_id"] == "outbound.requests-0-7"


async def test_a_webhook_with_another_accounts_signature_is_refused_by_the_service(running: SandboxProviders) -> None:
    ours, other = running.accounts.twilio
    mine, theirs = running.twilio.wrote(ours, PERSON, "STOP"), running.twilio.wrote(other, PERSON, "STOP")
    async with called_back(running) as (_, door):
        assert await running.deliver(Webhook(mine.url, theirs.headers, mine.body)) == 403
    assert door.told == []


async def test_a_text_from_the_phone_in_the_hand_reaches_the_service(running: SandboxProviders) -> None:
    url = f"{running.url}/phones/{PERSON}/texts"
    async with called_back(running) as (_, door), aiohttp.ClientSession() as session:
        async with session.post(url, data={"business": "bright-smile", "body": "STOP"}) as answer:
            assert (answer.status, "answered with 200" in await answer.text()) == (200, True)
        async with session.post(url, data={"business": "nobody", "body": "STOP"}) as answer:
            assert answer.status == 404
    (placed,) = door.told
    assert isinstance(placed, OptOut)
    assert placed.subject.id == PERSON
