"""Meta's Graph API as far as sending goes: messages of pages (Messenger) and of numbers (WhatsApp); and their webhooks.

developers.facebook.com/docs/messenger-platform/reference/send-api, .../business-messaging/whatsapp/messages; errors as
in /docs/graph-api/guides/error-handling. Whichever version stands in the path is served.
"""

from __future__ import annotations

import secrets
import time
from base64 import b64encode
from collections.abc import Mapping

import msgspec
from aiohttp import web

from gateway.clock import now_ms
from gateway.demo.providers.accounts import MetaApp, MetaNode
from gateway.demo.providers.answering import Counter, Refusal, Reply, bears
from gateway.demo.providers.request_log import Asked
from gateway.demo.providers.webhooks import Webhook, meta_webhook
from gateway.dnd.model import Channel

PROVIDER = "meta"

BUSINESS_ID = "102290129340398"
"""Of the WhatsApp business account in webhooks."""

CONTENTS = ("text", "template", "image", "video", "audio", "document")
"""Types of a WhatsApp message that are taken."""


class _Recipient(msgspec.Struct, frozen=True):
    id: str = ""


class _Text(msgspec.Struct, frozen=True):
    body: str = ""


class _Message(msgspec.Struct, frozen=True):
    text: str = ""
    attachment: msgspec.Raw = msgspec.Raw(b"")


class _Sent(msgspec.Struct, frozen=True):
    """The body of both APIs' calls, as far as it is read."""

    messaging_product: str = ""
    to: str = ""
    recipient: _Recipient | str = ""
    type: str = "text"
    text: _Text = _Text()
    template: msgspec.Raw = msgspec.Raw(b"")
    biz_opaque_callback_data: str = ""
    messaging_type: str = ""
    message: _Message = _Message()


_decode = msgspec.json.Decoder(_Sent).decode


class MetaSandbox:
    """One app. `preferred` makes the webhook of what a person chose in WhatsApp."""

    def __init__(self, app: MetaApp, public_url: str, counter: Counter) -> None:
        self._app = app
        self._public_url = public_url
        self._counter = counter
        self._pages = {page.id: page for page in app.pages}
        self._numbers = {number.id: number for number in app.numbers}

    def add_to(self, app: web.Application) -> None:
        root = "/{version:v[0-9]+[.][0-9]+}/{node_id}"
        app.router.add_get(root, self._node)
        app.router.add_post(f"{root}/messages", self._send)

    def preferred(self, number: MetaNode, person: str, value: str) -> Webhook:
        """A person chose to `stop` or `resume` marketing messages of the number. `person` as E.164."""
        preference = {
            "wa_id": person.removeprefix("+"),
            "detail": f"User requested to {value} marketing messages",
            "category": "marketing_messages",
            "value": value,
            "timestamp": int(time.time()),
        }
        return self._changed(number, person, "user_preferences", {"user_preferences": [preference]})

    def _changed(self, number: MetaNode, person: str, field: str, told: Mapping[str, object]) -> Webhook:
        value = {
            "messaging_product": "whatsapp",
            "metadata": {"display_phone_number": f"1415555{number.id}", "phone_number_id": number.id},
            "contacts": [{"profile": {"name": "Somebody"}, "wa_id": person.removeprefix("+")}],
            **told,
        }
        post = {
            "object": "whatsapp_business_account",
            "entry": [{"id": BUSINESS_ID, "changes": [{"value": value, "field": field}]}],
        }
        return meta_webhook(f"{self._public_url}/webhooks/meta", post, self._app.app_secret)

    async def _node(self, request: web.Request) -> web.Response:
        try:
            node = self._opened(request)
        except Refusal as refusal:
            return refusal.reply.response()
        return Reply(200, {"id": node.id}).response()

    async def _send(self, request: web.Request) -> web.Response:
        began_at = now_ms()
        node_id, message_id, code = request.match_info["node_id"], "", ""
        is_number = node_id in self._numbers
        sent = _read(await request.read())
        try:
            self._opened(request)
            if is_number:
                message_id = f"wamid.{b64encode(secrets.token_bytes(24)).decode()}"
                reply = Reply(200, _whatsapp(sent, message_id))
            else:
                message_id = f"m_{secrets.token_urlsafe(48)}"
                reply = Reply(200, _messenger(sent, message_id))
        except Refusal as refusal:
            reply, code, message_id = refusal.reply, refusal.code, ""
        known = self._numbers.get(node_id) or self._pages.get(node_id)
        asked = Asked(
            at=began_at,
            provider=PROVIDER,
            account=node_id,
            location_id="" if known is None else known.location_id,
            channel=Channel.WHATSAPP if is_number else Channel.FB,
            to=_to(sent, is_number=is_number),
            text=sent.text.body or sent.message.text or bytes(sent.template).decode(errors="replace"),
            status=reply.status,
            message_id=message_id,
            code=code,
            decision_id=sent.biz_opaque_callback_data,
        )
        return await self._counter.answered(asked, reply)

    def _opened(self, request: web.Request) -> MetaNode:
        """A token that is nobody's is refused before anything else; one of another node does not see this one."""
        node_id = request.match_info["node_id"]
        node = self._numbers.get(node_id) or self._pages.get(node_id)
        if not any(bears(request, each.token) for each in (*self._pages.values(), *self._numbers.values())):
            raise _error(401, 190, "Invalid OAuth access token - Cannot parse access token")
        if node is None or not bears(request, node.token):
            said = f"Unsupported post request. Object with ID '{node_id}' does not exist, or cannot be loaded"
            raise _error(400, 100, said, subcode=33)
        return node


def _read(body: bytes) -> _Sent:
    """What is no message reads as an empty one, which is refused for what is missing."""
    try:
        return _decode(body)
    except (msgspec.DecodeError, ValueError, RecursionError):
        return _Sent()


def _to(sent: _Sent, *, is_number: bool) -> tuple[str, ...]:
    if isinstance(sent.recipient, _Recipient):
        return (sent.recipient.id,)
    if sent.recipient or not is_number:
        return (sent.recipient,)
    return (f"+{sent.to.removeprefix('+')}",)


def _whatsapp(sent: _Sent, message_id: str) -> dict[str, object]:
    if sent.messaging_product != "whatsapp":
        raise _error(400, 100, "(#100) The parameter messaging_product is required.")
    if not sent.to and not sent.recipient:
        raise _error(400, 100, "(#100) The parameter to is required.")
    if sent.type not in CONTENTS:
        raise _error(400, 100, f"(#100) Param type must be one of {{{', '.join(CONTENTS).upper()}}}")
    if sent.type == "text" and not sent.text.body:
        raise _error(400, 100, "(#100) The parameter text['body'] is required.")
    to = sent.to or str(sent.recipient)
    return {
        "messaging_product": "whatsapp",
        "contacts": [{"input": to, "wa_id": to.removeprefix("+")}],
        "messages": [{"id": message_id}],
    }


def _messenger(sent: _Sent, message_id: str) -> dict[str, object]:
    if not isinstance(sent.recipient, _Recipient) or not sent.recipient.id:
        raise _error(400, 100, "(#100) The parameter recipient is required")
    if not sent.message.text and not sent.message.attachment:
        raise _error(400, 100, "(#100) The parameter message is required")
    return {"recipient_id": sent.recipient.id, "message_id": message_id}


def _error(status: int, code: int, message: str, *, subcode: int | None = None) -> Refusal:
    error: dict[str, object] = {"message": message, "type": "OAuthException", "code": code}
    if subcode is not None:
        error["error_subcode"] = subcode
    named = str(code) if subcode is None else f"{code}/{subcode}"
    return Refusal(Reply(status, {"error": error | {"fbtrace_id": secrets.token_urlsafe(8)}}), named)
