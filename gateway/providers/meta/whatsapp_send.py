"""Messages of a number in WhatsApp (developers.facebook.com/documentation/business-messaging/whatsapp/messages).

Outside 24 hours after the person last wrote, only a template is delivered: `metadata` of the request may carry one as
`template`, as Meta wants it (`name`, `language.code`, `components`); then the body is left out. The decision's id goes
along as `biz_opaque_callback_data`, which statuses repeat. `from` is not looked at: the number is the account.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

import msgspec

from gateway.dnd.addresses import BadAddress, recipient_key
from gateway.dnd.model import Actor, ActorKind, Cause, Channel, Scope, Subject, SubjectKind
from gateway.providers.http.answers import not_sent, succeeded, unreadable
from gateway.providers.meta.codes import meaning_of
from gateway.providers.meta.graph import GraphError, GraphNode, error_of, means, media_of, only_recipient
from gateway.providers.meta.send_codes import WHATSAPP
from gateway.providers.meta.whatsapp import PROVIDER, MarketingOptOut
from gateway.providers.reading import answered_object, event_id, evidence, objects, shown, text
from gateway.providers.sending import Answer, CannotSend, HttpCall, Message, Outcome, Sent
from gateway.providers.signals import OptOut

TRACKER_LIMIT = 512
"""Characters of `biz_opaque_callback_data`."""

_E164 = re.compile(r"\+[1-9][0-9]{6,14}")


class _Language(msgspec.Struct):
    code: str


class _Template(msgspec.Struct):
    name: str
    language: _Language


_template = msgspec.json.Decoder(_Template)


@dataclass(frozen=True, slots=True, kw_only=True)
class WhatsAppSender:
    """A number. `marketing_opt_out`: what a person's stop of marketing messages is to the location."""

    phone_number_id: str
    token: str = field(repr=False)
    api_base: str = "https://graph.facebook.com/v21.0"
    marketing_opt_out: MarketingOptOut = MarketingOptOut.BLOCK

    @property
    def provider(self) -> str:
        return PROVIDER

    @property
    def account(self) -> str:
        return self.phone_number_id

    def call(self, message: Message) -> HttpCall:
        fields: dict[str, object] = {
            "messaging_product": "whatsapp",
            "recipient_type": "individual",
            **_recipient(only_recipient(message)),
            **_content(message),
        }
        if 0 < len(message.decision_id) <= TRACKER_LIMIT:
            fields["biz_opaque_callback_data"] = message.decision_id
        return self._number().post_message(fields)

    def outcome(self, message: Message, answer: Answer) -> Outcome:
        found = answered_object(answer.body)
        if succeeded(answer) and "error" not in found:
            ids = [text(each, "id") for each in objects(found, "messages")]
            return Sent(ids[0]) if ids and ids[0] else unreadable(answer)
        error = error_of(found)
        return not_sent(
            means(WHATSAPP, error, answer),
            answer,
            error.named(),
            error.said,
            checked_at=message.checked_at,
            opt_outs=self._opt_outs(message, error),
        )

    def probe(self) -> HttpCall:
        return self._number().probe()

    def works(self, answer: Answer) -> bool:
        return self._number().works(answer)

    def _number(self) -> GraphNode:
        return GraphNode(id=self.phone_number_id, token=self.token, api_base=self.api_base)

    def _opt_outs(self, message: Message, error: GraphError) -> tuple[OptOut, ...]:
        """What `whatsapp.read_change` makes of a failed status with the code, but for its id: there is no message.

        It was true when we tried, not just when the message was made: a resume between the two does not end it.
        """
        cause = meaning_of(error.code)
        if not isinstance(cause, Cause) or self.marketing_opt_out is MarketingOptOut.IGNORE:
            return ()
        try:
            subject = Subject(message.location_id, *recipient_key(Channel.WHATSAPP, only_recipient(message), None))
        except (BadAddress, CannotSend):
            return ()
        told = evidence(
            provider=PROVIDER,
            product="whatsapp",
            phone_number_id=self.phone_number_id,
            event="send",
            code=str(error.code),
            message=shown(error.said),
            contact_id=message.contact_id,
            decision_id=message.decision_id,
        )
        own_id = event_id(PROVIDER, message.decision_id, str(error.code))
        actor = Actor(ActorKind.CONTACT, subject.id)
        return (OptOut(own_id, subject, (Scope.WHATSAPP,), cause, message.checked_at, actor, told),)


def _recipient(to: str) -> dict[str, str]:
    """A number goes as its digits, just as it was checked; the id of a user without a number has its own field."""
    if _E164.fullmatch(to):
        return {"to": to.removeprefix("+")}
    try:
        kind, key = recipient_key(Channel.WHATSAPP, to, None)
    except BadAddress as error:
        raise CannotSend("bad_recipient", f"expected {error}") from None
    return {"recipient": key} if kind is SubjectKind.WA_USER else {"to": key.removeprefix("+")}


def _content(message: Message) -> dict[str, object]:
    template, media = message.metadata.get("template"), media_of(message)
    if template is not None and template != b"null":
        if media is not None:
            raise CannotSend("template_with_attachment", "expected the template's file among its components")
        return {"type": "template", "template": _checked(template)}
    if media is None:
        if not message.body:
            raise CannotSend("no_content", "expected a body, an attachment or a template")
        return {"type": "text", "text": {"body": message.body, "preview_url": False}}
    if media.kind == "audio" and message.body:
        raise CannotSend("body_with_attachment", "expected no body: an audio message has no caption")
    fields = {"link": media.url}
    if message.body:
        fields["caption"] = message.body
    if media.kind == "document" and media.filename:
        fields["filename"] = media.filename
    return {"type": media.kind, media.kind: fields}


def _checked(template: msgspec.Raw) -> msgspec.Raw:
    """As it was given, if it has what every template has."""
    try:
        _template.decode(template)
    except (msgspec.DecodeError, ValueError, RecursionError):  # ValueError: not UTF-8
        raise CannotSend("bad_metadata", "metadata.template: expected an object with name and language.code") from None
    return template
