"""Twilio's API (2010-04-01) as far as sending goes: messages, their log, calls, the account; and what Twilio tells by
webhook.

twilio.com/docs/messaging/api/message-resource, /docs/voice/api/call-resource, /docs/iam/api/account; errors as in
twilio.com/docs/api/errors. Who replies with one of Twilio's opt-out words to a number is refused there from then on
(21610), until an opt-in word.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from urllib.parse import parse_qs, urlsplit

from aiohttp import web

from gateway.clock import now_ms
from gateway.demo.providers.accounts import TwilioAccount
from gateway.demo.providers.answering import Counter, Form, Newest, Refusal, Reply, opens, read_form
from gateway.demo.providers.request_log import Asked
from gateway.demo.providers.twilio_log import log_page
from gateway.demo.providers.twilio_resources import (
    API_VERSION,
    Resource,
    call_resource,
    date,
    error,
    message_resource,
    new_sid,
)
from gateway.demo.providers.webhooks import Webhook, twilio_webhook
from gateway.dnd.model import Channel

PROVIDER = "twilio"
BODY_LIMIT = 1_600
"""Characters of a message."""

OPT_OUT_WORDS = frozenset({"STOP", "STOPALL", "UNSUBSCRIBE", "CANCEL", "END", "QUIT", "REVOKE", "OPTOUT"})
OPT_IN_WORDS = frozenset({"START", "YES", "UNSTOP"})
"""Twilio's defaults (twilio.com/docs/api/errors/23002), compared with the whole body in any case."""

_E164 = re.compile(r"\+[1-9][0-9]{6,14}")

_WHATSAPP = "whatsapp:"

_NUMBERED = {Channel.SMS: "SM", Channel.CALL: "CA", Channel.WHATSAPP: "SM"}
"""How ids begin."""


class TwilioSandbox:
    """All of Twilio's accounts. `wrote` and `failed` make the webhooks of what happens outside."""

    def __init__(self, accounts: Mapping[str, TwilioAccount], public_url: str, counter: Counter) -> None:
        """`accounts` by SID."""
        self._accounts = accounts
        self._public_url = public_url
        self._counter = counter
        self._messages: Newest[Resource] = Newest()
        self._callbacks: Newest[str] = Newest()
        self._opted_out: set[tuple[str, str]] = set()

    def add_to(self, app: web.Application) -> None:
        root = f"/{API_VERSION}/Accounts/{{account_sid}}"
        app.router.add_get(f"{root}.json", self._account)
        app.router.add_post(f"{root}/Messages.json", self._create_message)
        app.router.add_get(f"{root}/Messages.json", self._list_messages)
        app.router.add_get(f"{root}/Messages/{{message_sid}}.json", self._message)
        app.router.add_post(f"{root}/Calls.json", self._create_call)

    def wrote(self, account: TwilioAccount, person: str, body: str) -> Webhook:
        """A person sends an SMS to the account's number."""
        word = body.strip().upper()
        if word in OPT_OUT_WORDS:
            self._opted_out.add((account.number, person))
        elif word in OPT_IN_WORDS:
            self._opted_out.discard((account.number, person))
        sid = new_sid("SM")
        resource = message_resource(account, sid, {"from": person, "to": account.number, "body": body})
        self._messages.keep(sid, resource | {"direction": "inbound", "status": "received", "date_sent": date()})
        fields = {
            "ToCountry": "US",
            "SmsMessageSid": sid,
            "NumMedia": "0",
            "SmsSid": sid,
            "SmsStatus": "received",
            "Body": body,
            "To": account.number,
            "NumSegments": "1",
            "MessageSid": sid,
            "AccountSid": account.sid,
            "From": person,
            "ApiVersion": API_VERSION,
        }
        return twilio_webhook(
            f"{self._public_url}/webhooks/twilio/{account.location_id}/inbound", fields, account.auth_token
        )

    def failed(self, account: TwilioAccount, person: str, code: str) -> Webhook:
        """The newest message to the person was not delivered. To whom none was sent: one from long ago."""
        found = next(
            (
                each
                for each in self._messages.newest_first()
                if (each["to"], each["account_sid"]) == (person, account.sid)
            ),
            None,
        )
        sid = str(found["sid"]) if found else new_sid("SM")
        if found is not None:
            found |= {"status": "undelivered", "error_code": int(code)}
        fields = {
            "ErrorCode": code,
            "SmsSid": sid,
            "SmsStatus": "undelivered",
            "MessageStatus": "undelivered",
            "To": person,
            "MessageSid": sid,
            "AccountSid": account.sid,
            "From": account.number,
            "ApiVersion": API_VERSION,
        }
        url = self._callbacks.get(sid) or f"{self._public_url}/webhooks/twilio/{account.location_id}/status"
        return twilio_webhook(url, fields, account.auth_token)

    async def _account(self, request: web.Request) -> web.Response:
        try:
            account = self._opened(request)
        except Refusal as refusal:
            return refusal.reply.response()
        uri = f"/{API_VERSION}/Accounts/{account.sid}"
        found = {
            "sid": account.sid,
            "friendly_name": account.location_id,
            "status": "active",
            "type": "Full",
            "owner_account_sid": account.sid,
            "auth_token": None,
            "date_created": date(),
            "date_updated": date(),
            "subresource_uris": {"messages": f"{uri}/Messages.json", "calls": f"{uri}/Calls.json"},
            "uri": f"{uri}.json",
        }
        return Reply(200, found).response()

    async def _message(self, request: web.Request) -> web.Response:
        try:
            account = self._opened(request)
            found = self._messages.get(request.match_info["message_sid"])
            if found is None or found["account_sid"] != account.sid:
                raise error(20404)
        except Refusal as refusal:
            return refusal.reply.response()
        return Reply(200, found).response()

    async def _list_messages(self, request: web.Request) -> web.Response:
        try:
            account = self._opened(request)
        except Refusal as refusal:
            return refusal.reply.response()
        theirs = [each for each in self._messages.newest_first() if each["account_sid"] == account.sid]
        return Reply(200, log_page(theirs, request.query, request.path)).response()

    async def _create_message(self, request: web.Request) -> web.Response:
        began_at = now_ms()
        form = await read_form(request)
        channel = Channel.WHATSAPP if form.get("To").startswith(_WHATSAPP) else Channel.SMS
        return await self._create(request, began_at, form, channel)

    async def _create_call(self, request: web.Request) -> web.Response:
        began_at = now_ms()
        return await self._create(request, began_at, await read_form(request), Channel.CALL)

    async def _create(self, request: web.Request, began_at: int, form: Form, channel: Channel) -> web.Response:
        sid, code = "", ""
        known = self._accounts.get(request.match_info["account_sid"])
        try:
            account = self._opened(request)
            _check_call(form) if channel is Channel.CALL else self._check_message(account, form)
            sid = new_sid(_NUMBERED[channel])
            if callback := form.get("StatusCallback"):
                self._callbacks.keep(sid, callback)
            reply = Reply(201, self._made(account, sid, form, channel))
        except Refusal as refusal:
            reply, code = refusal.reply, refusal.code
        asked = Asked(
            at=began_at,
            provider=PROVIDER,
            account=request.match_info["account_sid"],
            location_id="" if known is None else known.location_id,
            channel=channel,
            to=(form.get("To").removeprefix(_WHATSAPP),),
            text=form.get("Body") or form.get("Twiml"),
            status=reply.status,
            message_id=sid,
            code=code,
            decision_id=parse_qs(urlsplit(form.get("StatusCallback")).query).get("decision_id", [""])[0],
        )
        return await self._counter.answered(asked, reply)

    def _made(self, account: TwilioAccount, sid: str, form: Form, channel: Channel) -> Resource:
        sends = {"to": form.get("To"), "from": form.get("From") or None}
        if channel is Channel.CALL:
            return call_resource(account, sid, sends)
        service = form.get("MessagingServiceSid") or None
        made = message_resource(account, sid, {**sends, "body": form.get("Body"), "messaging_service_sid": service})
        made["num_media"] = str(len(form.all("MediaUrl")))
        self._messages.keep(sid, made)
        return made

    def _opened(self, request: web.Request) -> TwilioAccount:
        account = self._accounts.get(request.match_info["account_sid"])
        if account is None or not opens(request, account.sid, account.auth_token):
            raise error(20003)
        return account

    def _check_message(self, account: TwilioAccount, form: Form) -> None:
        to, sender = form.get("To"), form.get("From")
        if not to:
            raise error(21604)
        if not sender and not form.get("MessagingServiceSid"):
            raise error(21603)
        if sender and sender.removeprefix(_WHATSAPP) != account.number:
            raise error(21606)
        if not _E164.fullmatch(to.removeprefix(_WHATSAPP)):
            raise error(21211, to)
        if not form.get("Body") and not form.get("MediaUrl"):
            raise error(21602)
        if len(form.get("Body")) > BODY_LIMIT:
            raise error(21617)
        if (account.number, to) in self._opted_out:
            raise error(21610)


def _check_call(form: Form) -> None:
    if not form.get("To"):
        raise error(21201)
    if not form.get("From"):
        raise error(21213)
    if not _E164.fullmatch(form.get("To")):
        raise error(21211, form.get("To"))
    if not any(form.get(name) for name in ("Url", "Twiml", "ApplicationSid")):
        raise error(21205)
