"""Mailgun's API as far as sending goes: messages, the event log, the suppression lists, the domain; and what Mailgun
tells by webhook.

documentation.mailgun.com/docs/mailgun/api-reference/send/mailgun: messages (v3), events (v3), domains (v4, and v3 as
before). A webhook carries the event as it stands in the log. Who stands on a list is sent to all the same.
"""

from __future__ import annotations

import secrets
import time
import uuid
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import getaddresses

from aiohttp import web

from gateway.clock import now_ms
from gateway.demo.providers.accounts import MailgunDomain
from gateway.demo.providers.answering import Counter, Form, Newest, Refusal, Reply, opens, read_form
from gateway.demo.providers.mailgun_lists import LISTS, SuppressionLists
from gateway.demo.providers.request_log import Asked
from gateway.demo.providers.webhooks import Webhook, mailgun_webhook
from gateway.dnd.model import Channel

PROVIDER = "mailgun"

RECIPIENTS_LIMIT = 1_000
"""Of one message."""

PAGE_LIMIT = 300
"""Events of one page, and what a page has by default."""

_TO_FIELDS = ("to", "cc", "bcc")

_LISTED = {
    "bounce": "bounces",
    "suppress-bounce": "bounces",
    "unsubscribed": "unsubscribes",
    "suppress-unsubscribe": "unsubscribes",
    "complained": "complaints",
    "suppress-complaint": "complaints",
}
"""Which list an event, or the reason of a failure, says that its recipient is on."""

_LIST_PATH = f"/v3/{{domain}}/{{list:{'|'.join(LISTS)}}}"

Event = dict[str, object]


class MailgunSandbox:
    """All sending domains. `failed` and `told` make the webhooks of what happens outside."""

    def __init__(self, domains: Mapping[str, MailgunDomain], public_url: str, counter: Counter) -> None:
        """`domains` by name."""
        self._domains = domains
        self._public_url = public_url
        self._counter = counter
        self._events: Newest[Event] = Newest()
        self._suppressed = SuppressionLists()

    def add_to(self, app: web.Application) -> None:
        app.router.add_post("/v3/{domain}/messages", self._send)
        app.router.add_get("/v3/{domain}/events", self._list_events)
        app.router.add_get("/{version:v[34]}/domains/{domain}", self._domain)
        app.router.add_get(_LIST_PATH, self._list_suppressed)
        app.router.add_delete(f"{_LIST_PATH}/{{address}}", self._unsuppress)

    def failed(self, domain: MailgunDomain, recipient: str, reason: str, code: int = 550) -> Webhook:
        """The newest message to the recipient failed for good."""
        return self._webhook(
            domain,
            recipient,
            {
                "event": "failed",
                "severity": "permanent",
                "reason": reason,
                "log-level": "error",
                "delivery-status": {
                    "attempt-no": 1,
                    "code": code,
                    "message": "No Such User Here",
                    "description": "",
                    "session-seconds": 0.1,
                    "mx-host": f"mx.{recipient.rpartition('@')[2]}",
                },
            },
        )

    def told(self, domain: MailgunDomain, recipient: str, event: str) -> Webhook:
        """The recipient of the newest message `complained` or `unsubscribed`."""
        return self._webhook(
            domain, recipient, {"event": event, "log-level": "warn" if event == "complained" else "info"}
        )

    def _webhook(self, domain: MailgunDomain, recipient: str, fields: Event) -> Webhook:
        about = next(
            (
                each
                for each in self._events.newest_first()
                if (each["recipient"], each["domain"]) == (recipient, {"name": domain.name})
            ),
            None,
        )
        carried = {name: about[name] for name in ("message", "user-variables")} if about else {}
        event = self._logged(domain, recipient, {**carried, **fields})
        if listed := _LISTED.get(str(fields.get("reason", fields["event"]))):
            self._suppressed.put(domain.name, listed, recipient)
        url = f"{self._public_url}/webhooks/mailgun/{domain.location_id}"
        return mailgun_webhook(url, event, domain.signing_key)

    def _logged(self, domain: MailgunDomain, recipient: str, fields: Event) -> Event:
        id_ = secrets.token_urlsafe(16)
        event: Event = {
            "id": id_,
            "timestamp": time.time(),
            "recipient": recipient,
            "recipient-domain": recipient.rpartition("@")[2],
            "tags": [],
            "campaigns": [],
            "user-variables": {},
            "flags": {"is-routed": False, "is-authenticated": True, "is-system-test": False, "is-test-mode": False},
            "message": {"headers": {"message-id": _new_message_id(domain)}, "attachments": [], "size": 0},
            "domain": {"name": domain.name},
            **fields,
        }
        self._events.keep(id_, event)
        return event

    async def _send(self, request: web.Request) -> web.Response:
        began_at = now_ms()
        form = await read_form(request)
        message_id, code = "", ""
        try:
            domain = self._opened(request)
            recipients = _recipients(form)
            _check(form, recipients)
            message_id = _new_message_id(domain)
            self._accept(domain, form, recipients, message_id)
            reply = Reply(200, {"id": f"<{message_id}>", "message": "Queued. Thank you."})
        except Refusal as refusal:
            reply, code = refusal.reply, refusal.code
        known = self._domains.get(request.match_info["domain"])
        asked = Asked(
            at=began_at,
            provider=PROVIDER,
            account=request.match_info["domain"],
            location_id="" if known is None else known.location_id,
            channel=Channel.EMAIL,
            to=tuple(address for _, address in getaddresses([each for name in _TO_FIELDS for each in form.all(name)])),
            text=form.get("text") or form.get("subject"),
            status=reply.status,
            message_id=message_id,
            code=code,
            decision_id=form.get("v:decision_id"),
        )
        return await self._counter.answered(asked, reply)

    def _accept(self, domain: MailgunDomain, form: Form, recipients: list[str], message_id: str) -> None:
        """Each recipient has events of its own."""
        headers = {"message-id": message_id, "from": form.get("from"), "subject": form.get("subject")}
        variables = {name.removeprefix("v:"): value for name, value in form.fields if name.startswith("v:")}
        for recipient in recipients:
            message = {"headers": {**headers, "to": recipient}, "attachments": [], "size": 0}
            fields: Event = {"event": "accepted", "log-level": "info", "message": message, "user-variables": variables}
            self._logged(domain, recipient, fields)

    async def _list_events(self, request: web.Request) -> web.Response:
        """The newest first; `event`, `recipient` and `limit` are looked at, and there is one page."""
        try:
            domain = self._opened(request)
        except Refusal as refusal:
            return refusal.reply.response()
        wanted = {name: request.query[name] for name in ("event", "recipient") if name in request.query}
        asked_limit = request.query.get("limit", "")
        limit = min(int(asked_limit), PAGE_LIMIT) if asked_limit.isdecimal() else PAGE_LIMIT
        found = [
            event
            for event in self._events.newest_first()
            if event["domain"] == {"name": domain.name} and wanted.items() <= event.items()
        ]
        here = str(request.url)
        paging = {"first": here, "last": here, "next": f"{here}#end", "previous": here}
        return Reply(200, {"items": found[:limit], "paging": paging}).response()

    async def _domain(self, request: web.Request) -> web.Response:
        try:
            domain = self._opened(request)
        except Refusal as refusal:
            return refusal.reply.response()
        return Reply(200, {"domain": {"name": domain.name, "state": "active", "is_disabled": False}}).response()

    async def _list_suppressed(self, request: web.Request) -> web.Response:
        try:
            domain = self._opened(request)
        except Refusal as refusal:
            return refusal.reply.response()
        url = str(request.url.with_query(None))
        return Reply(200, self._suppressed.page(domain.name, request.match_info["list"], request.query, url)).response()

    async def _unsuppress(self, request: web.Request) -> web.Response:
        try:
            domain = self._opened(request)
        except Refusal as refusal:
            return refusal.reply.response()
        address = request.match_info["address"]
        if self._suppressed.take_off(domain.name, request.match_info["list"], address):
            return Reply(200, {"message": "The address has been removed", "address": address}).response()
        return Reply(404, {"message": "Address not found"}).response()

    def _opened(self, request: web.Request) -> MailgunDomain:
        """A key that is nobody's is refused before anything else; one of another domain does not see this one."""
        domain = self._domains.get(request.match_info["domain"])
        if not any(opens(request, "api", each.api_key) for each in self._domains.values()):
            raise Refusal(Reply(401, "Forbidden"))
        if domain is None or not opens(request, "api", domain.api_key):
            raise Refusal(Reply(404, {"message": f"Domain not found: {request.match_info['domain']}"}))
        return domain


def _recipients(form: Form) -> list[str]:
    """Everybody the message goes to. A refusal for an address that is none."""
    found = []
    for name in _TO_FIELDS:
        for _, address in getaddresses(form.all(name)):
            if "@" not in address.strip("@"):
                raise _bad(f"'{name}' parameter is not a valid address. please check documentation")
            found.append(address)
    return found


def _check(form: Form, recipients: list[str]) -> None:
    for name in ("from", "to"):
        if not form.get(name):
            raise _bad(f"{name} parameter is missing")
    if not any(form.get(name) for name in ("text", "html", "amp-html", "template")):
        raise _bad("Need at least one of 'text', 'html', 'amp-html' or 'template' parameters specified")
    if len(recipients) > RECIPIENTS_LIMIT:
        raise _bad(f"the message has more than {RECIPIENTS_LIMIT} recipients")


def _bad(message: str) -> Refusal:
    return Refusal(Reply(400, {"message": message}))


def _new_message_id(domain: MailgunDomain) -> str:
    """Without the angle brackets, as webhooks name it."""
    return f"{datetime.now(UTC):%Y%m%d%H%M%S}.{uuid.uuid4().hex[:16]}@{domain.name}"
