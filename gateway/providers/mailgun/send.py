"""Email through Mailgun (documentation.mailgun.com/docs/mailgun/api-reference/send/mailgun/messages).

One call sends to everybody in `to`, `cc` and `bcc`, so each of them must have been checked. Mailgun documents no
idempotency key: a call whose answer was lost is not repeated. A 200 is no promise: an address on a suppression list
fails later, by webhook.
"""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from urllib.parse import urlencode

from gateway.contract.requests import RECIPIENTS_LIMIT
from gateway.providers.http.answers import Means, by_status, not_sent, succeeded, unreadable
from gateway.providers.reading import answered_object, member, path_segment, text, word
from gateway.providers.sending import Answer, CannotSend, HttpCall, Message, Outcome, Sent

OPTIONS_LIMIT_BYTES = 16 * 1024
"""Names and values of all `o:`, `h:`, `v:` and `t:` fields together."""

DEFAULT_SENDER = "no-reply"
"""Sends what names no sender, at the sending domain: such an address is always allowed, and nobody reads it."""

STATUSES: Mapping[int, Means] = MappingProxyType(
    {
        402: Means.BROKEN,  # unpaid, or above the plan's limit: every message is refused until somebody pays
        404: Means.BROKEN,  # the URL names nothing but the domain: not this account's, or of the other region
    }
)
"""Statuses that say something else than they do elsewhere."""

_NOT_ONE_ADDRESS = re.compile(r"[\s,;:<>()\[\]\"\\]|[\x00-\x1f\x7f]")
"""What would let one address be read as several, of whom only one was checked."""

_NOT_ONE_LINE = re.compile(r"[\r\n\x00]")


@dataclass(frozen=True, slots=True, kw_only=True)
class MailgunSender:
    """A sending domain. `api_key` must open more than sending: a domain's sending key cannot ask for the domain."""

    domain: str
    api_key: str = field(repr=False)
    api_base: str = "https://api.mailgun.net"

    @property
    def provider(self) -> str:
        return "mailgun"

    @property
    def account(self) -> str:
        return self.domain

    def call(self, message: Message) -> HttpCall:
        """A form. Without a sender: from `no-reply` at the domain."""
        if message.attachments:
            # Mailgun takes the files themselves; we only have where they are, and a call must be made without I/O.
            raise CannotSend("attachments_unsupported", "expected no attachments; put links into the body")
        _check_recipients(message)
        sender = (message.from_ or "").strip() or f"{DEFAULT_SENDER}@{self.domain}"
        if _NOT_ONE_LINE.search(sender):
            raise CannotSend("bad_sender", "expected the sender as one line")
        if not message.body and not message.html:
            raise CannotSend("no_content", "expected a body or html")
        fields = [("from", sender), *_content(message), *_variables(message)]
        headers = {**self._headers(), "Content-Type": "application/x-www-form-urlencoded"}
        url = f"{self._base()}/v3/{path_segment(self.domain)}/messages"
        return HttpCall("POST", url, headers, urlencode(fields, errors="replace").encode())

    def outcome(self, message: Message, answer: Answer) -> Outcome:
        found = answered_object(answer.body)
        if succeeded(answer):
            id_ = text(found, "id").strip().removeprefix("<").removesuffix(">")
            return Sent(id_) if id_ else unreadable(answer)
        means = STATUSES.get(answer.status, by_status(answer))
        return not_sent(means, answer, "", text(found, "message"), checked_at=message.checked_at)

    def probe(self) -> HttpCall:
        """Asks for the domain: free, and refused like sending to a key that is none."""
        return HttpCall("GET", f"{self._base()}/v4/domains/{path_segment(self.domain)}", self._headers())

    def works(self, answer: Answer) -> bool:
        """Whether the domain was told, and may send. That a bill is unpaid it does not tell."""
        domain = member(answered_object(answer.body), "domain")
        return answer.status == 200 and word(domain, "state") == "active" and domain.get("is_disabled") is not True

    def _base(self) -> str:
        return self.api_base.rstrip("/")

    def _headers(self) -> Mapping[str, str]:
        credentials = b64encode(f"api:{self.api_key}".encode()).decode()
        return {"Authorization": f"Basic {credentials}", "Accept": "application/json"}


def _check_recipients(message: Message) -> None:
    recipients = (*message.to, *message.cc, *message.bcc)
    if not message.to:
        raise CannotSend("bad_recipient", "expected somebody in to")
    if len(recipients) > RECIPIENTS_LIMIT:
        raise CannotSend("too_many_recipients", f"expected at most {RECIPIENTS_LIMIT} over to, cc and bcc")
    if any(not each.strip() or _NOT_ONE_ADDRESS.search(each.strip()) for each in recipients):
        raise CannotSend("bad_recipient", "expected each recipient as one e-mail address, without a name")


def _content(message: Message) -> Iterator[tuple[str, str]]:
    for name, addresses in (("to", message.to), ("cc", message.cc), ("bcc", message.bcc)):
        for address in addresses:
            yield name, address.strip()
    for name, value in (("subject", message.subject), ("text", message.body), ("html", message.html)):
        if value:
            yield name, value


def _variables(message: Message) -> list[tuple[str, str]]:
    """What webhooks repeat in `user-variables`: whom and what an event is about, as a hint; nothing in it is signed."""
    fields = [
        ("v:location_id", message.location_id),
        ("v:contact_id", message.contact_id),
        ("v:decision_id", message.decision_id),
        ("v:request_id", message.request_id),
        ("v:created_at", str(message.created_at)),
    ]
    if sum(len(part.encode("utf-8", errors="replace")) for pair in fields for part in pair) > OPTIONS_LIMIT_BYTES:
        raise CannotSend("ids_too_long", f"expected ids of at most {OPTIONS_LIMIT_BYTES} bytes together")
    return fields
