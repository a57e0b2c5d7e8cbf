"""What our adapters send is taken by the sandbox on every channel, and its answers mean to them what they should."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import aiohttp
from yarl import URL

from gateway.demo.providers.accounts import make_accounts
from gateway.demo.providers.request_log import Asked, RequestLog
from gateway.demo.providers.sandbox import SandboxProviders
from gateway.dnd.model import Cause, Channel
from gateway.providers.http.send import HttpSender
from gateway.providers.mailgun.send import MailgunSender
from gateway.providers.meta.messenger_send import MessengerSender
from gateway.providers.meta.whatsapp_send import WhatsAppSender
from gateway.providers.sending import AccountBroken, Answer, HttpCall, Message, Outcome, Refused, Sender, Sent
from gateway.providers.twilio.calls import TwilioCalls
from gateway.providers.twilio.send import TwilioSms
from tests.demo.providers.serving import PERSON, PUBLIC_URL, parsed_accounts
from tests.providers.outgoing import message

LOCATION = "bright-smile"


def senders(running: SandboxProviders) -> Mapping[Channel, Sender]:
    """As the accounts file says."""
    accounts = parsed_accounts(running)
    location, meta = accounts.location(LOCATION), accounts.meta
    assert location.twilio is not None
    assert location.mailgun is not None
    assert meta is not None
    page, number = meta.page_of(LOCATION), meta.number_of(LOCATION)
    assert page is not None
    assert number is not None
    twilio = {
        "account_sid": location.twilio.account_sid,
        "auth_token": location.twilio.auth_tokens[0].reveal(),
        "public_url": location.twilio.public_url,
        "from_number": location.twilio.from_number,
        "api_base": location.twilio.api_base,
    }
    mailgun = location.mailgun
    return {
        Channel.SMS: TwilioSms(**twilio),  # type: ignore[arg-type]
        Channel.CALL: TwilioCalls(**twilio),  # type: ignore[arg-type]
        Channel.EMAIL: MailgunSender(
            domain=mailgun.domains[0], api_key=mailgun.api_key.reveal(), api_base=mailgun.api_base
        ),
        Channel.FB: MessengerSender(page_id=page, token=meta.pages[page].token.reveal(), api_base=meta.api_base),
        Channel.WHATSAPP: WhatsAppSender(
            phone_number_id=number, token=meta.whatsapp[number].token.reveal(), api_base=meta.api_base
        ),
        Channel.GMB: HttpSender(url=location.http[Channel.GMB].url),
    }


async def answered(call: HttpCall) -> Answer:
    async with (
        aiohttp.ClientSession() as session,
        session.request(call.method, URL(call.url, encoded=True), data=call.body, headers=call.headers) as answer,
    ):
        headers = {name.lower(): value for name, value in answer.headers.items()}
        return Answer(answer.status, headers, await answer.read())


async def sent(sender: Sender, sending: Message) -> Outcome:
    return sender.outcome(sending, await answered(sender.call(sending)))


def to_send(channel: Channel) -> Message:
    return message(channel, location_id=LOCATION, decision_id=f"outbound.requests-3-{channel}")


async def test_every_channels_message_is_taken_and_written_down_as_receipts_will_name_it(
    running: SandboxProviders,
) -> None:
    outcomes = {channel: await sent(sender, to_send(channel)) for channel, sender in senders(running).items()}
    written = {asked.channel: asked for asked in running.log.read()}
    assert set(written) == set(Channel) == set(outcomes)
    for channel, outcome in outcomes.items():
        assert outcome == Sent(written[channel].message_id), channel
        assert written[channel].to == to_send(channel).to, channel
        assert written[channel].location_id == LOCATION
        if channel is not Channel.FB:  # Messenger has no field for it
            assert written[channel].decision_id == f"outbound.requests-3-{channel}"


async def test_every_account_that_can_be_asked_says_that_it_works(running: SandboxProviders) -> None:
    for channel, sender in senders(running).items():
        probe = sender.probe()
        assert (probe is None) == (channel is Channel.GMB)
        if probe is not None:
            assert sender.works(await answered(probe)), channel


async def test_a_secret_that_is_wrong_breaks_the_account(running: SandboxProviders) -> None:
    right = senders(running)
    sms, mail, whatsapp, page = (right[each] for each in (Channel.SMS, Channel.EMAIL, Channel.WHATSAPP, Channel.FB))
    assert isinstance(sms, TwilioSms)
    assert isinstance(mail, MailgunSender)
    assert isinstance(whatsapp, WhatsAppSender)
    assert isinstance(page, MessengerSender)
    wrong: dict[Channel, Sender] = {
        Channel.SMS: replace(sms, auth_token="wrong"),  # noqa: S106
        Channel.EMAIL: replace(mail, api_key="wrong"),
        Channel.WHATSAPP: replace(whatsapp, token="wrong"),  # noqa: S106
        Channel.FB: replace(page, token="wrong"),  # noqa: S106
    }
    for channel, sender in wrong.items():
        assert isinstance(await sent(sender, to_send(channel)), AccountBroken), channel
        probe = sender.probe()
        assert probe is not None
        assert not sender.works(await answered(probe)), channel


async def test_an_opt_out_that_twilio_knows_comes_back_as_one(running: SandboxProviders) -> None:
    running.twilio.wrote(running.accounts.twilio[0], PERSON, "STOP")
    outcome = await sent(senders(running)[Channel.SMS], to_send(Channel.SMS))
    assert isinstance(outcome, Refused)
    assert (outcome.code, outcome.opt_outs[0].cause) == ("21610", Cause.CARRIER_OPT_OUT)


async def test_a_hook_takes_a_key_once(running: SandboxProviders) -> None:
    sender, sending = senders(running)[Channel.GMB], to_send(Channel.GMB)
    first, again = await sent(sender, sending), await sent(sender, sending)
    assert first == again
    assert [asked.repeated for asked in running.log.read()] == [False, True]


async def test_a_hook_refuses_what_is_for_another_channel(running: SandboxProviders) -> None:
    sender = senders(running)[Channel.GMB]
    assert isinstance(await sent(sender, replace(to_send(Channel.GMB), channel=Channel.SMS)), Refused)
    (written,) = running.log.read()
    assert (written.status, written.message_id) == (422, "")


class SaysWhenAsked(RequestLog):
    """A request log somebody can wait for."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.asked = asyncio.Event()

    def append(self, asked: Asked) -> None:
        super().append(asked)
        self.asked.set()


async def test_a_call_is_in_the_log_before_it_is_answered(tmp_path: Path) -> None:
    """So that whoever is killed while it waits for the answer has left a trace."""
    log = SaysWhenAsked(tmp_path / "requests.ndjson")
    accounts = make_accounts([LOCATION], PUBLIC_URL)
    async with SandboxProviders(accounts, log, latency_s=3600).served() as running:
        sending = asyncio.create_task(sent(HttpSender(url=f"{running.url}/hooks/{LOCATION}-gmb"), to_send(Channel.GMB)))
        await log.asked.wait()
        assert not sending.done()
        assert [asked.channel for asked in log.read()] == [Channel.GMB]
        sending.cancel()
        await asyncio.wait([sending])
