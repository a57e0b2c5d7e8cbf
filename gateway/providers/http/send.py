"""Messages posted to a URL: a provider without an adapter of its own, and GMB, whose service ended in 2024.

The request: POST with a JSON object of our own names (those of `outbound.requests`, see `HttpSender.call`) and the
decision's id in `Idempotency-Key` (draft-ietf-httpapi-idempotency-key-header). Who takes it must take the same key once
only, because a post whose answer was lost is made again.

The answer: 2xx = taken, under the id in `id` or `message_id`, else under the decision's. 409 with such an id = taken
already; without = another try is still going on, so we ask again. 429 and 503 = later (`Retry-After`). 401 and 403 =
the URL does not know us. Every other 4xx refuses the message. `{"opt_out": true}` in any 4xx: the recipients, and with
a list of addresses those of them, want nothing more on this channel.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from urllib.parse import urlsplit

import msgspec

from gateway.dnd.addresses import KINDS_OF_CHANNEL, BadAddress, canonical, recipient_key
from gateway.dnd.model import Actor, ActorKind, Cause, Channel, Scope, Subject
from gateway.providers.http.answers import Means, by_status, not_sent, succeeded
from gateway.providers.reading import Json, answered_object, event_id, evidence, shown, text, texts
from gateway.providers.sending import Answer, CannotSend, HttpCall, Message, Outcome, Sent
from gateway.providers.signals import OptOut

PROVIDER = "http"

CAUSES: Mapping[Channel, Cause] = MappingProxyType(
    {
        Channel.SMS: Cause.CARRIER_OPT_OUT,
        Channel.EMAIL: Cause.UNSUBSCRIBE,
        Channel.WHATSAPP: Cause.PROVIDER_OPT_OUT,
        Channel.CALL: Cause.MANUAL,
        Channel.GMB: Cause.MANUAL,
        Channel.FB: Cause.MANUAL,
    }
)
"""What an opt-out is: what the causes table has for "the provider says so" on the channel. On three it has nothing but
`manual`; a keyword would hold harder, and nobody said that there was one."""

ID_LIMIT = 256
"""Characters of a provider's id of a message; the rest of a longer one is cut."""

STATUSES: Mapping[int, Means] = MappingProxyType({409: Means.UNCLEAR})
"""Statuses that say something else than they do elsewhere."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpSender:
    """A URL. It may hold a secret, and is not shown."""

    url: str = field(repr=False)

    @property
    def provider(self) -> str:
        return PROVIDER

    @property
    def account(self) -> str:
        """The host, and which of its URLs."""
        which = hashlib.sha256(self.url.encode("utf-8", errors="replace")).hexdigest()[:12]
        return f"{urlsplit(self.url).hostname or 'unknown'}:{which}"

    def call(self, message: Message) -> HttpCall:
        """`channel` as in R1; `spelling` as the sender wrote it. Lists are never null; times are ms since 1970."""
        if not message.to:
            raise CannotSend("bad_recipient", "expected somebody in to")
        fields = {
            "decision_id": message.decision_id,
            "request_id": message.request_id,
            "location_id": message.location_id,
            "contact_id": message.contact_id,
            "channel": message.channel,
            "spelling": message.spelling,
            "to": message.to,
            "cc": message.cc,
            "bcc": message.bcc,
            "from": message.from_,
            "subject": message.subject,
            "body": message.body,
            "html": message.html,
            "attachments": message.attachments,
            "metadata": dict(message.metadata),
            "created_at": message.created_at,
            "not_after": message.not_after,
        }
        headers = {
            "Content-Type": "application/json",
            "Accept": "application/json",
            "Idempotency-Key": message.decision_id,
        }
        return HttpCall("POST", self.url, headers, msgspec.json.encode(fields), repeatable=True)

    def outcome(self, message: Message, answer: Answer) -> Outcome:
        found = answered_object(answer.body)
        id_ = (text(found, "id") or text(found, "message_id"))[:ID_LIMIT]
        if succeeded(answer):
            return Sent(id_ or message.decision_id)
        if 400 <= answer.status < 500 and (opt_outs := tuple(_opt_outs(message, found))):
            return not_sent(Means.REFUSED, answer, "opt_out", text(found, "message"), opt_outs=opt_outs)
        if answer.status == 409 and id_:
            return Sent(id_)
        means = STATUSES.get(answer.status, by_status(answer))
        return not_sent(means, answer, "", text(found, "message"), checked_at=message.checked_at)

    def probe(self) -> None:
        """Nothing is known that could be asked for free."""

    def works(self, answer: Answer) -> bool:
        return succeeded(answer)


def _opt_outs(message: Message, answered: Json) -> Iterator[OptOut]:
    """True when we tried, not just when the message was made: a later opt-in alone ends it."""
    told = answered.get("opt_out")
    named = {_subject(message, each) for each in texts(answered, "opt_out")}
    recipients = [_subject(message, each) for each in (*message.to, *message.cc, *message.bcc)]
    known = evidence(
        provider=PROVIDER,
        event="send",
        message=shown(text(answered, "message")),
        contact_id=message.contact_id,
        decision_id=message.decision_id,
    )
    for subject in dict.fromkeys(recipients):
        if told is True or subject in named:
            yield OptOut(
                event_id(PROVIDER, message.location_id, message.decision_id, subject.id),
                subject,
                (Scope(message.channel),),
                CAUSES[message.channel],
                message.checked_at,
                Actor(ActorKind.PROVIDER, PROVIDER),
                known,
            )


def _subject(message: Message, address: str) -> Subject:
    try:
        return Subject(message.location_id, *recipient_key(message.channel, address, None))
    except BadAddress:
        return canonical(Subject(message.location_id, KINDS_OF_CHANNEL[message.channel][0], address))
